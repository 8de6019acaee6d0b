"""The story on one page: a feed's files become a delivery, a delivery becomes records, records become a release."""

import json
from pathlib import Path
from typing import Any

from pipelines import land as landing
from pipelines.catalogue import Catalogue
from pipelines.deliveries import load_delivery
from pipelines.errors import MineralsError, RejectedError
from pipelines.flow.conform import conform_delivery
from pipelines.flow.installation import (
    catalogue_of,
    codes_of,
    find_feed,
    keep_delivery,
    naming,
    run_fingerprint,
    schemas_of,
    vocabularies_of,
)
from pipelines.flow.modes import standing_before
from pipelines.flow.recording import issues_of, read_record, record_run
from pipelines.flow.releasing import certificates_beside, release
from pipelines.flow.replaying import Replayed, is_again, settle_corrected
from pipelines.flow.replaying import replay as take_again
from pipelines.settings import Settings
from pipelines.tablewise import beside

__all__ = [
    "accept",
    "audit",
    "conform",
    "find_feed",
    "ingest",
    "land_feed",
    "release",
    "replay",
    "report",
]


def ingest(feed_id: str, settings: Settings, confirmed: str | None = None) -> dict[str, Any]:
    """Take one feed through the whole line up to its accepted share, and report to the next release.

    Parameters
    ----------
    confirmed : id of a delivery whose change against the one before a person has confirmed; no other is let through.

    Returns
    -------
    The run record, with ``state`` (fresh or unchanged) and ``run``.

    Raises
    ------
    MineralsError
        What failed; it was reported before.
    """
    error: MineralsError | None = None
    try:
        delivery = land_feed(feed_id, settings)
        run = conform(feed_id, delivery, settings)
        for dataset in find_feed(feed_id, settings).datasets:
            audit(run, dataset, settings, confirmed)
        accept(run, settings)
    except MineralsError as caught:
        error = caught
        raise
    finally:
        said = report(feed_id, settings, failed=error is not None, error=str(error) if error else None)
    folder = catalogue_of(settings).run(run).folder
    return {**read_record(folder), "run": run, "state": said["state"], "page": str(Path(folder) / "quality.html")}


def land_feed(feed_id: str, settings: Settings) -> str:
    """Fetch what the partner publishes now, keep it untouched, and give the delivery's id."""
    feed = find_feed(feed_id, settings)
    catalogue = catalogue_of(settings)
    known = catalogue.deliveries(feed_id, limit=1)
    previous = load_delivery(Path(known[0].folder)) if known and Path(known[0].folder).is_dir() else None
    delivery = landing.land(feed, settings, previous)
    keep_delivery(catalogue, feed, delivery)
    return delivery.id


def conform(feed_id: str, delivery_id: str, settings: Settings) -> int:
    """Split a delivery into accepted and quarantined rows, and give the run's number.

    A delivery that was accepted under the same mapping, contracts, vocabularies and code is not taken again.
    """
    schemas = schemas_of(feed_id, settings)
    feed = schemas.feeds[feed_id]
    catalogue = catalogue_of(settings)
    fingerprint = run_fingerprint(feed)
    done = catalogue.find_run(feed_id, delivery_id, fingerprint, "accepted")
    share = [one.id for one in catalogue.latest_accepted(feed_id)]
    if done is not None and done.id in share and (Path(done.folder) / "run.json").is_file():
        return done.id
    landed = catalogue.find_delivery(delivery_id, feed_id)
    if landed is None:
        raise RejectedError(f"{feed_id}: no delivery {delivery_id} was landed")
    folder = settings.work / feed_id / f"{delivery_id[:16]}-{fingerprint[:8]}"
    run = catalogue.start_run(feed_id, delivery_id, fingerprint=fingerprint, folder=str(folder))
    try:
        with naming(feed_id):
            delivery = load_delivery(Path(landed.folder))
            standing = standing_before(catalogue, feed, delivery_id)
            record = conform_delivery(feed, schemas, delivery, folder, fingerprint, standing=standing)
        record_run(catalogue, run, record, folder)
    except MineralsError as error:
        if any(folder.glob("*/issues.parquet")):
            catalogue.record_issues(run, issues_of(folder))
        catalogue.finish_run(run, "failed", error=str(error))
        raise
    return run


def audit(run: int, dataset: str, settings: Settings, confirmed: str | None = None) -> None:
    """Have Great Expectations judge one dataset of a run.

    Parameters
    ----------
    confirmed : id of a delivery that is not compared with the one before, because a person has confirmed its change.

    Raises
    ------
    RejectedError
        With the expectations that failed or could not be judged.
    """
    from pipelines import audit as auditing  # heavy: Great Expectations takes seconds to import
    from pipelines.quality import write_quality  # heavy: renders a page

    catalogue = catalogue_of(settings)
    told = catalogue.run(run)
    if told.state == "accepted":
        return
    schemas = schemas_of(told.feed, settings)
    feed, contract = schemas.feeds[told.feed], schemas.datasets[dataset]
    alike = feed.delivery_mode == "snapshot" and not is_again(told.folder) and told.delivery != confirmed
    previous = _previous_figures(catalogue, told.feed, dataset) if alike else None
    result = auditing.audit(
        Path(told.folder),
        contract,
        codes_of(contract, schemas),
        previous=previous,
        seed=run_seed(told.delivery),
        beside=beside(contract, schemas.datasets, vocabularies_of(contract, schemas), Path(told.folder)),
    )
    if not result.success:
        write_quality(Path(told.folder), feed, schemas)
        reasons = "; ".join(result.messages[:5])
        message = f"{told.feed} {dataset}: Great Expectations refuses delivery {told.delivery}: {reasons}"
        catalogue.finish_run(run, "failed", error=message)
        raise RejectedError(message)


def accept(run: int, settings: Settings) -> None:
    """Let a run's rows into the next release, once every dataset was judged, and write its quality page."""
    from pipelines.quality import write_quality  # heavy: reads issues with DuckDB and renders a page

    catalogue = catalogue_of(settings)
    told = catalogue.run(run)
    if told.state == "accepted":
        return
    folder = Path(told.folder)
    record = read_record(folder)
    judged = [
        name for name, figures in record["datasets"].items() if figures["accepted"] or "-again-" not in folder.name
    ]
    missing = [name for name in judged if not (folder / name / "audit.json").is_file()]
    if missing:
        raise RejectedError(f"{told.feed}: run {run} was not judged yet: {missing}")
    schemas = schemas_of(told.feed, settings)
    write_quality(folder, schemas.feeds[told.feed], schemas, certificates_beside(told.feed, catalogue, settings))
    verdicts = {name: json.loads((folder / name / "audit.json").read_text()).get("success") for name in judged}
    catalogue.finish_run(run, "accepted", audit=verdicts)
    settle_corrected(catalogue, told.feed, run)


def report(feed_id: str, settings: Settings, *, failed: bool, error: str | None = None) -> dict[str, Any]:
    """Tell the next release how a feed's ingest ended: fresh, unchanged or failed; nothing is ever left unsaid.

    Returns
    -------
    ``state``, ``delivery``, ``rows`` accepted, ``quarantined`` and ``digest``, as the feed's asset shows them.
    """
    catalogue = catalogue_of(settings)
    share = catalogue.latest_accepted(feed_id)
    before = catalogue.latest_report(feed_id)
    newest = max(share, key=lambda run: run.id, default=None)
    if failed or newest is None:
        state = "failed"
    else:
        state = "unchanged" if before is not None and before.run == newest.id else "fresh"
    catalogue.report(
        feed_id, state, delivery=newest.delivery if newest else None, run=newest.id if newest else None, detail=error
    )
    ledgers = [catalogue.ledger(one.id) for one in share]
    return {
        "state": state,
        "delivery": newest.delivery if newest else None,
        "rows": sum(part.accepted for ledger in ledgers for part in ledger.datasets),
        "quarantined": sum(count.rows for count in catalogue.quarantine_counts(feed_id) if count.state == "open"),
        "digest": newest.fingerprint if newest else None,
    }


def run_seed(delivery: str) -> int:
    """Seed of a delivery's random sample: the same delivery is sampled the same way."""
    return int(delivery[:8], 16)


def replay(feed_id: str, settings: Settings, corrected: Path | None = None) -> Replayed:
    """Take a feed's quarantined rows again, or the partner's corrected rows in their place; see `replaying`."""

    def judge(run: int) -> None:
        folder = catalogue_of(settings).run(run).folder
        for dataset, figures in read_record(folder)["datasets"].items():
            if figures["accepted"]:
                audit(run, dataset, settings)
        accept(run, settings)

    done = take_again(feed_id, settings, judge=judge, corrected=corrected)
    if done.accepted:
        report(feed_id, settings, failed=False)
    return done


def _previous_figures(catalogue: Catalogue, feed: str, dataset: str) -> dict[str, Any] | None:
    """Figures of the feed's share as it stands, to compare a new delivery with."""
    for run in catalogue.latest_accepted(feed)[:1]:
        path = Path(run.folder) / "run.json"
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))["datasets"].get(dataset)
            return found["figures"] if found else None
    return None
