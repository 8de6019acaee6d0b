"""Which accepted runs make up what a feed currently states."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pipelines.catalogue import tables
from pipelines.catalogue.facts import Delivery, Run
from pipelines.catalogue.rows import delivered, fact


def current_share(deliveries: Iterable[Delivery], accepted: Iterable[Run]) -> list[Run]:
    """Choose the runs that make up a feed's share, oldest statement first.

    The share begins with the newest snapshot, which restates everything before it, and goes on with the deltas,
    additions and corrections that arrived after it, and with the corrections that were made to it when it stood before.
    Of each delivery it takes the newest ingest or reprocess run, then
    the replays of what that run had quarantined.

    Parameters
    ----------
    deliveries : deliveries of one feed.
    accepted : accepted runs of that feed.
    """
    runs = sorted(accepted, key=lambda run: run.id)
    bases = {run.delivery: run for run in runs if run.kind != "replay"}
    arrived = [one for one in sorted(deliveries, key=lambda one: one.arrived) if one.id in bases]
    start = max((place for place, one in enumerate(arrived) if one.mode == "snapshot"), default=0)
    restated = {one.id for one in arrived[start:]}
    corrections = [one for one in arrived[:start] if one.mode == "correction" and one.corrects in restated]
    chosen = [*arrived[start : start + 1], *corrections, *arrived[start + 1 :]]
    return [run for one in chosen for run in _with_replays(bases[one.id], runs)]


def _with_replays(base: Run, runs: Sequence[Run]) -> list[Run]:
    """Follow a run by the replays that go back to it; those of an earlier run of the delivery are restated by it."""
    chosen = {base.id: base}
    for run in runs:
        later = run.kind == "replay" and run.delivery == base.delivery and run.id > base.id
        if later and (run.parent is None or run.parent in chosen):
            chosen[run.id] = run
    return list(chosen.values())


def share_of(session: Session, feed: str) -> list[Run]:
    """Choose the runs of a feed's share from the catalogue."""
    deliveries = session.scalars(select(tables.Delivery).filter_by(feed=feed)).all()
    accepted = session.scalars(select(tables.Run).filter_by(feed=feed, state="accepted")).all()
    return current_share(map(delivered, deliveries), (fact(Run, run) for run in accepted))


def close_quarantine_behind(session: Session, accepted: tables.Run) -> None:
    """Close the open quarantine of the feed's earlier runs that a newly accepted run took out of its share."""
    share = [run.id for run in share_of(session, accepted.feed)]
    if accepted.id not in share:
        return
    row, now = tables.QuarantineRow, datetime.now(UTC)
    behind = update(row).filter_by(feed=accepted.feed, state="open").where(row.run < accepted.id, row.run.not_in(share))
    session.execute(behind.values(state="replaced", resolved_by=accepted.id, resolved_at=now))


def newest_statement(session: Session, feed: str) -> int:
    """Give the order of a feed's newest delivery that is no correction; a correction does not take its base's place."""
    arrived = select(func.max(tables.Delivery.arrived)).where(tables.Delivery.feed == feed)
    return session.scalar(arrived.where(tables.Delivery.mode != "correction")) or 0
