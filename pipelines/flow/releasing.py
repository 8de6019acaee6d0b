"""Cuts a release from the accepted share of every feed, when the feeds that are due have reported."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.catalogue import Catalogue
from pipelines.catalogue.facts import Release, ReleaseLedger, Report, Run
from pipelines.contracts import Dataset, Feed, feed_files, load_datasets, load_feed
from pipelines.contracts.feeds import Rights as FeedRights
from pipelines.derive import Members, derive
from pipelines.errors import ContractError, RejectedError
from pipelines.flow.installation import catalogue_of
from pipelines.flow.recording import read_record
from pipelines.publish import Derive, Published, Rights, Share, publish
from pipelines.publish.shares import State
from pipelines.settings import Settings
from pipelines.store import LocalStore


def release(settings: Settings) -> dict[str, Any]:
    """Publish what every feed has accepted, unless exactly that is published already.

    Returns
    -------
    ``number`` of the release that stands now, whether it is ``new``, its ``content_hash`` and ``folder``, ``rows`` per
    dataset, ``feeds`` with their states, and ``said`` in words.

    Raises
    ------
    RejectedError
        If no feed has an accepted share, or what was written does not read back as the ledger says.
    """
    catalogue = catalogue_of(settings)
    reports = {told.feed: told for told in catalogue.reports_since()}
    shares = _shares(catalogue, settings, reports)
    if not any(share.accepted for share in shares):
        raise RejectedError("nothing was accepted yet, so there is nothing to release; run a feed first")
    store = LocalStore(settings.releases)
    done = publish(shares, load_datasets(settings.schemas), store, settings.work / "_release", derive=_derive(settings))
    _record(catalogue, done)
    catalogue.mark_reported(done.number, [told.id for told in reports.values()])
    rows = sum(done.rows.values())
    news = f"Release {done.number} published: {rows:,} rows in {len(done.rows)} datasets."
    same = f"Nothing new: the content is that of release {done.number} ({done.content_hash[:12]}), which stands."
    return {
        "number": done.number,
        "new": done.new,
        "content_hash": done.content_hash,
        "folder": str(settings.releases / done.folder),
        "rows": dict(done.rows),
        "feeds": {share.feed: share.state for share in shares},
        "said": news if done.new else same,
    }


def _derive(settings: Settings) -> Derive:
    """Give what computes a dataset of a release."""

    def compute(dataset: Dataset, files: Mapping[str, list[Path]], path: Path) -> None:
        derive(dataset, Members(files, settings.schemas / "vocabularies", path.parent / "_scratch"), path)

    return compute


def loadable_feeds(settings: Settings) -> tuple[list[Feed], list[str]]:
    """Load the feeds whose files hold, and name those whose files do not; their DAGs and `feeds lint` tell why."""
    datasets = load_datasets(settings.schemas)
    feeds, broken = [], []
    for path in feed_files(settings.schemas):
        try:
            feeds.append(load_feed(path, datasets))
        except ContractError:
            broken.append(path.stem)
    return feeds, broken


def certificates_beside(feed_id: str, catalogue: Catalogue, settings: Settings) -> list[Path]:
    """List the accepted certified values of the other feeds, by which a feed's standards are judged."""
    feeds, _ = loadable_feeds(settings)
    others = [feed.id for feed in feeds if "certified_value" in feed.datasets and feed.id != feed_id]
    runs = [run for other in others for run in catalogue.latest_accepted(other)]
    return [Path(run.folder) / "certified_value" / "accepted.arrow" for run in runs]


def _shares(catalogue: Catalogue, settings: Settings, reports: Mapping[str, Report]) -> list[Share]:
    """Give every feed's share; a feed whose file is broken keeps the one that it had, on the grounds of that time."""
    feeds, broken = loadable_feeds(settings)
    stated = {feed.id: feed for feed in feeds}
    return [_share(catalogue, name, stated.get(name), reports.get(name)) for name in sorted([*stated, *broken])]


def _share(catalogue: Catalogue, name: str, feed: Feed | None, told: Report | None) -> Share:
    runs = catalogue.latest_accepted(name)
    records = [read_record(run.folder) for run in runs]
    if feed is not None:
        rights, notes = feed.rights, [note.model_dump(mode="json") for note in feed.notes]
    elif records:
        rights, notes = FeedRights.model_validate(records[-1]["rights"]), records[-1]["notes"]
    else:
        return Share(feed=name, state="absent", rights=Rights("LicenseRef-not-stated"))
    accepted: dict[str, list[Path]] = {}
    for run, record in zip(runs, records, strict=True):
        for dataset in record["datasets"]:
            accepted.setdefault(dataset, []).append(Path(run.folder) / dataset / "accepted.arrow")
    return Share(
        feed=name,
        state=_state(runs, told if feed is not None else None),
        rights=Rights(rights.licence, rights.attribution, rights.basis, rights.document),
        delivery=runs[-1].delivery if runs else None,
        run_fingerprint=runs[-1].fingerprint if runs else "",
        accepted=accepted,
        sources=tuple(source for record in records for source in record["sources"]),
        datasets={dataset: _summed(dataset, records) for dataset in accepted},
        notes=tuple(notes),
    )


def _state(runs: list[Run], told: Report | None) -> State:
    if not runs:
        return "absent"
    if told is None or told.state == "failed":
        return "carried"
    return "fresh" if told.state == "fresh" else "unchanged"


def _summed(dataset: str, records: list[dict[str, Any]]) -> dict[str, int]:
    words = ("shaped", "accepted", "quarantined", "duplicates", "filtered")
    found = [record["datasets"][dataset] for record in records if dataset in record["datasets"]]
    return {word: sum(figures[word] for figures in found) for word in words}


def _record(catalogue: Catalogue, done: Published) -> None:
    """Tell the catalogue of a release; the log stays the truth if this is lost."""
    if catalogue.release(done.number) is not None:
        return
    catalogue.add_release(
        Release(
            number=done.number,
            content_hash=done.content_hash,
            log_key=done.log_key,
            created_at=datetime.fromisoformat(done.committed_at),
            rows=sum(done.rows.values()),
            semantic_version=done.semantic_version,
            summary={"rows": dict(done.rows)},
        ),
        [
            ReleaseLedger(row.feed, row.dataset, row.accepted, row.published, row.superseded, row.withheld)
            for row in done.ledger
        ],
    )
