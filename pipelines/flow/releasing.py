"""Cuts a release from the accepted share of every feed, when the feeds that are due have reported."""

from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.catalogue import Catalogue
from pipelines.catalogue.facts import Release, ReleaseLedger, Report, Run
from pipelines.contracts import Feed, feed_files, load_datasets, load_feed
from pipelines.errors import ContractError, RejectedError
from pipelines.flow.installation import catalogue_of
from pipelines.flow.recording import read_record
from pipelines.publish import Published, Rights, Share, publish
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
    shares = [_share(catalogue, feed, reports.get(feed.id)) for feed in loadable_feeds(settings)]
    if not any(share.accepted for share in shares):
        raise RejectedError("nothing was accepted yet, so there is nothing to release; run a feed first")
    store = LocalStore(settings.releases)
    done = publish(shares, load_datasets(settings.schemas), store, settings.work / "_release")
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


def loadable_feeds(settings: Settings) -> list[Feed]:
    """Load the feeds whose files hold; a broken one is told by its DAG and by `feeds lint`."""
    datasets = load_datasets(settings.schemas)
    feeds = []
    for path in feed_files(settings.schemas):
        try:
            feeds.append(load_feed(path, datasets))
        except ContractError:
            continue
    return feeds


def _share(catalogue: Catalogue, feed: Feed, told: Report | None) -> Share:
    runs = catalogue.latest_accepted(feed.id)
    records = [read_record(run.folder) for run in runs]
    accepted = {
        name: [
            Path(run.folder) / name / "accepted.arrow"
            for run, record in zip(runs, records, strict=True)
            if name in record["datasets"]
        ]
        for name in feed.datasets
    }
    return Share(
        feed=feed.id,
        state=_state(runs, told),
        rights=Rights(feed.rights.licence, feed.rights.attribution, feed.rights.basis, feed.rights.document),
        delivery=runs[-1].delivery if runs else None,
        run_fingerprint=runs[-1].fingerprint if runs else "",
        accepted={name: files for name, files in accepted.items() if files},
        sources=tuple(source for record in records for source in record["sources"]),
        datasets={name: _summed(name, records) for name in feed.datasets} if runs else {},
        notes=tuple(note.model_dump(mode="json") for note in feed.notes),
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
