"""The catalogue's own words: what is told to it, and what it is asked.

Every method is one short transaction (quarantined rows go in several) and gives facts, never rows of a session. What
has been told once may be told again: the answer is the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Engine, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from pipelines.catalogue import tables
from pipelines.catalogue.facts import (
    DatasetLedger,
    Delivery,
    DeliveryFile,
    HeldRow,
    Issue,
    QuarantineCount,
    QuarantineRow,
    Release,
    ReleaseLedger,
    Report,
    Run,
    RunLedger,
    SourceLedger,
)
from pipelines.catalogue.rows import (
    alone,
    balanced,
    database_errors,
    delivered,
    fact,
    issue,
    merged,
    one_line,
    quarantined,
    unfinished,
)
from pipelines.catalogue.share import close_quarantine_behind, newest_statement, share_of
from pipelines.errors import RejectedError

CHUNK = 5_000
"""Quarantined rows to a transaction."""

FOLLOWING = {
    "running": {"conformed", "accepted", "failed"},
    "conformed": {"conformed", "accepted", "failed"},
    "accepted": {"accepted"},
    "failed": {"failed"},
}
"""The states that a run may go to from each state."""


@dataclass(frozen=True)
class Catalogue:
    """What happened, in a database; see :func:`pipelines.catalogue.open_catalogue`."""

    engine: Engine

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Give a session that sees one state of the catalogue."""
        with database_errors(), Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """Give a session whose changes are all kept or none."""
        engine = self.engine.execution_options(writes=True)
        with database_errors(), Session(engine) as session, session.begin():
            yield session

    def add_delivery(
        self,
        feed: str,
        delivery: str,
        *,
        partner: str,
        received_at: datetime,
        mode: str,
        folder: str,
        files: Sequence[DeliveryFile],
        corrects: str | None = None,
    ) -> Delivery:
        """Record that a feed received a delivery, and give it.

        A delivery that is known already stays as it is, unless it is received again (at a later time) after other
        content came between: the partner went back to it, and it becomes the feed's newest delivery once more.

        Parameters
        ----------
        delivery : SHA-256 of the sorted names and hashes.
        mode : ``snapshot``, ``delta``, ``append`` or ``correction``.
        corrects : the delivery of this feed that a correction is for.
        """
        if received_at.tzinfo is None:
            raise RejectedError(f"{feed}: delivery {delivery}: received at {received_at}, a time without a zone")
        with self._writing() as session:
            alone(session, feed)
            newest = session.scalar(select(func.max(tables.Delivery.arrived)).where(tables.Delivery.feed == feed)) or 0
            known = session.get(tables.Delivery, (feed, delivery))
            if known is None:
                known = tables.Delivery(
                    feed=feed, id=delivery, partner=partner, mode=mode, folder=folder, corrects=corrects
                )
                known.received_at, known.arrived = received_at, newest + 1
                known.file_count, known.bytes = len(files), sum(file.size for file in files)
                known.files = [tables.DeliveryFile(**asdict(file)) for file in files]
                session.add(known)
            elif known.arrived < newest_statement(session, feed) and received_at > known.received_at:
                known.received_at, known.arrived = received_at, newest + 1
            session.flush()
            session.refresh(known)
            return delivered(known)

    def find_delivery(self, delivery: str, feed: str | None = None) -> Delivery | None:
        """Find a delivery; name the feed where two feeds may have received the same files.

        Raises
        ------
        RejectedError
            If no feed is named and several have received it.
        """
        query = select(tables.Delivery).where(tables.Delivery.id == delivery)
        with self._reading() as session:
            found = session.scalars(query if feed is None else query.where(tables.Delivery.feed == feed)).all()
            if len(found) > 1:
                raise RejectedError(f"delivery {delivery}: received by {sorted(one.feed for one in found)}, name one")
            return delivered(found[0]) if found else None

    def deliveries(self, feed: str | None = None, limit: int | None = None) -> list[Delivery]:
        """List deliveries of one feed or all, newest first."""
        newest_first = tables.Delivery.received_at.desc(), tables.Delivery.feed
        query = select(tables.Delivery).order_by(*newest_first).limit(limit)
        if feed is not None:
            query = select(tables.Delivery).filter_by(feed=feed).order_by(tables.Delivery.arrived.desc()).limit(limit)
        with self._reading() as session:
            return [delivered(one) for one in session.scalars(query)]

    def start_run(
        self,
        feed: str,
        delivery: str,
        *,
        fingerprint: str,
        folder: str,
        kind: str = "ingest",
        isolation: str | None = None,
        parent: int | None = None,
    ) -> int:
        """Begin a run and give its number, greater than every run's before it.

        A run of the same delivery, kind and fingerprint that is still running was left by a worker that died or was
        given up: it fails, so that its worker, should it wake, can record nothing.

        Parameters
        ----------
        kind : ``ingest``, ``replay`` (of rows that ``parent`` quarantined) or ``reprocess``.
        fingerprint : digest of the contract, the mapping and the code.
        isolation : how the readers were shut off.
        """
        same = {"feed": feed, "delivery": delivery, "kind": kind, "fingerprint": fingerprint}
        with self._writing() as session:
            alone(session, feed)
            if session.get(tables.Delivery, (feed, delivery)) is None:
                raise RejectedError(f"{feed}: no delivery {delivery} in the catalogue to run")
            started = tables.Run(**same, state="running", folder=folder, isolation=isolation, parent=parent)
            started.started_at = datetime.now(UTC)
            session.add(started)
            session.flush()
            left = (
                update(tables.Run).filter_by(**same, state="running", parent=parent).where(tables.Run.id < started.id)
            )
            given_up = f"given up: run {started.id} took its place"
            session.execute(left.values(state="failed", error=given_up, finished_at=started.started_at))
            return started.id

    def finish_run(self, run: int, state: str, *, error: str | None = None, audit: dict[str, Any] | None = None) -> Run:
        """Move a run on to ``conformed``, ``accepted`` or ``failed``, and give it as it then is.

        Accepting a run closes, as replaced by it, the open quarantine of runs that it takes out of the feed's share.
        Record ledger, issues and quarantine first: an accepted or failed run takes no more.

        Raises
        ------
        RejectedError
            If the run has already come to another end.
        """
        with self._writing() as session:
            found = session.get(tables.Run, run, with_for_update=True)
            if found is None:
                raise RejectedError(f"run {run}: not in the catalogue")
            if state not in FOLLOWING[found.state]:
                raise RejectedError(
                    f"{found.feed}: run {run} is {found.state} and cannot become {state}: {found.error}"
                )
            if state in {"accepted", "failed"} and found.state != state:
                found.finished_at = datetime.now(UTC)
            found.state = state
            found.error = found.error if error is None else one_line(error)
            found.audit = found.audit if audit is None else audit
            session.flush()
            session.refresh(found)
            if state == "accepted" and found.kind != "replay":
                close_quarantine_behind(session, found)
            return fact(Run, found)

    def find_run(
        self,
        feed: str,
        delivery: str,
        fingerprint: str | None = None,
        state: str | None = "accepted",
        kinds: Sequence[str] = ("ingest", "reprocess"),
    ) -> Run | None:
        """Find the newest run of a delivery in a state, under a fingerprint (None: under any)."""
        query = select(tables.Run).filter_by(feed=feed, delivery=delivery).where(tables.Run.kind.in_(kinds))
        if fingerprint is not None:
            query = query.where(tables.Run.fingerprint == fingerprint)
        if state is not None:
            query = query.where(tables.Run.state == state)
        with self._reading() as session:
            found = session.scalars(query.order_by(tables.Run.id.desc()).limit(1)).first()
            return fact(Run, found) if found else None

    def run(self, run: int) -> Run:
        """Give one run.

        Raises
        ------
        RejectedError
            If there is none of that number.
        """
        with self._reading() as session:
            found = session.get(tables.Run, run)
            if found is None:
                raise RejectedError(f"run {run}: not in the catalogue")
            return fact(Run, found)

    def runs(self, feed: str | None = None, limit: int | None = None) -> list[Run]:
        """List runs of one feed or all, newest first."""
        query = select(tables.Run).order_by(tables.Run.id.desc()).limit(limit)
        with self._reading() as session:
            found = session.scalars(query if feed is None else query.where(tables.Run.feed == feed))
            return [fact(Run, one) for one in found]

    def latest_accepted(self, feed: str) -> list[Run]:
        """List the runs that make up a feed's current share, oldest statement first; empty when it has none."""
        with self._reading() as session:
            return share_of(session, feed)

    def record_ledger(self, run: int, sources: Sequence[SourceLedger], datasets: Sequence[DatasetLedger]) -> None:
        """Record where every row of a run went, in place of what the run recorded before.

        Raises
        ------
        RejectedError
            If figures do not balance, naming them; or if the run is over.
        """
        balanced(f"run {run}", [*sources, *datasets])
        with self._writing() as session:
            unfinished(session, run)
            session.execute(delete(tables.SourceLedger).filter_by(run=run))
            session.execute(delete(tables.DatasetLedger).filter_by(run=run))
            session.add_all(tables.SourceLedger(run=run, **asdict(one)) for one in sources)
            session.add_all(tables.DatasetLedger(run=run, **asdict(one)) for one in datasets)

    def ledger(self, run: int) -> RunLedger:
        """Give a run's figures, files and datasets in the order of their names."""
        files = select(tables.SourceLedger).filter_by(run=run)
        datasets = select(tables.DatasetLedger).filter_by(run=run).order_by(tables.DatasetLedger.dataset)
        with self._reading() as session:
            ordered = files.order_by(tables.SourceLedger.file, tables.SourceLedger.table_name)
            sources = tuple(fact(SourceLedger, one) for one in session.scalars(ordered))
            return RunLedger(run, sources, tuple(fact(DatasetLedger, one) for one in session.scalars(datasets)))

    def ledgers(self, feed: str | None = None, limit: int | None = None) -> list[RunLedger]:
        """List the figures of the runs of one feed or all, newest run first."""
        return [self.ledger(run.id) for run in self.runs(feed, limit)]

    def record_issues(self, run: int, rows: Iterable[Issue]) -> None:
        """Record a run's issues, added up by rule, file and column, in place of what it recorded before."""
        added_up = merged(rows)
        with self._writing() as session:
            unfinished(session, run)
            session.execute(delete(tables.Issue).filter_by(run=run))
            session.add_all(tables.Issue(run=run, **asdict(one)) for one in added_up)

    def issue_counts(self, run: int) -> list[Issue]:
        """List a run's issues: errors, then warnings, then information, the most frequent first."""
        query = select(tables.Issue).filter_by(run=run)
        ordered = query.order_by(tables.Issue.severity == "info", tables.Issue.severity, tables.Issue.count.desc())
        with self._reading() as session:
            return [issue(one) for one in session.scalars(ordered.order_by(tables.Issue.id))]

    def record_quarantine(self, run: int, rows: Iterable[HeldRow]) -> int:
        """Record the rows that a run quarantined, in place of what it recorded before; give their number.

        Rows go in by the thousand, so that other writers are not kept waiting; they count once the run is finished.
        """
        remaining, recorded = iter(rows), 0
        with self._writing() as session:
            told = unfinished(session, run)
            of_run = {"run": run, "feed": told.feed, "delivery": told.delivery, "state": "open"}
            session.execute(delete(tables.QuarantineRow).filter_by(run=run))
        while chunk := [{**of_run, **vars(row), "rules": list(row.rules)} for row in islice(remaining, CHUNK)]:
            with self._writing() as session:
                unfinished(session, run)
                session.execute(insert(tables.QuarantineRow), chunk)
            recorded += len(chunk)
        return recorded

    def quarantine(
        self,
        feed: str | None = None,
        state: str | None = "open",
        dataset: str | None = None,
        limit: int | None = None,
        run: int | None = None,
    ) -> list[QuarantineRow]:
        """List quarantined rows, oldest first; those of failed runs are not waiting for anything and are left out."""
        query = select(tables.QuarantineRow).join(tables.Run, tables.Run.id == tables.QuarantineRow.run)
        wanted = {"feed": feed, "state": state, "dataset": dataset, "run": run}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(getattr(tables.QuarantineRow, column) == value)
        query = query.where(tables.Run.state != "failed").order_by(tables.QuarantineRow.id).limit(limit)
        with self._reading() as session:
            return [quarantined(row) for row in session.scalars(query)]

    def quarantine_counts(self, feed: str | None = None) -> list[QuarantineCount]:
        """Count quarantined rows by feed, dataset and state, leaving out those of failed runs."""
        row = tables.QuarantineRow
        query = select(row.feed, row.dataset, row.state, func.count()).join(tables.Run, tables.Run.id == row.run)
        query = query.where(tables.Run.state != "failed").group_by(row.feed, row.dataset, row.state)
        if feed is not None:
            query = query.where(row.feed == feed)
        with self._reading() as session:
            counts = [QuarantineCount(*one) for one in session.execute(query)]
        return sorted(counts, key=lambda one: (one.feed, one.dataset or "", one.state))

    def resolve_quarantine(
        self, *, state: str, resolved_by: int, runs: Sequence[int] = (), rows: Sequence[int] = ()
    ) -> int:
        """Close open quarantined rows, chosen by their runs or by their own ids; give how many were closed.

        Parameters
        ----------
        state : ``released`` (accepted after all) or ``replaced`` (by rows received later).
        resolved_by : the run that did so.
        """
        row, changed = tables.QuarantineRow, 0
        now = datetime.now(UTC)
        with self._writing() as session:
            for start in range(0, max(len(runs), len(rows)), CHUNK):
                some = slice(start, start + CHUNK)
                chosen = update(row).where(row.state == "open", or_(row.run.in_(runs[some]), row.id.in_(rows[some])))
                closed = chosen.values(state=state, resolved_by=resolved_by, resolved_at=now).returning(row.id)
                changed += len(session.scalars(closed, execution_options={"synchronize_session": False}).all())
        return changed

    def report(
        self,
        feed: str,
        state: str,
        *,
        delivery: str | None = None,
        run: int | None = None,
        detail: str | None = None,
    ) -> Report:
        """Tell the next release that a feed is ``fresh``, ``unchanged`` or ``failed``."""
        told = tables.Report(feed=feed, state=state, delivery=delivery, run=run, at=datetime.now(UTC))
        told.detail = None if detail is None else one_line(detail)
        with self._writing() as session:
            session.add(told)
            session.flush()
            session.refresh(told)
            return fact(Report, told)

    def reports_since(self, release: int | None = None) -> list[Report]:
        """List the reports that no release has heard, and those that only releases after a given one have."""
        query, heard_by = select(tables.Report).order_by(tables.Report.id), tables.Report.release
        query = query.where(heard_by.is_(None) if release is None else or_(heard_by.is_(None), heard_by > release))
        with self._reading() as session:
            return [fact(Report, one) for one in session.scalars(query)]

    def latest_report(self, feed: str) -> Report | None:
        """Give the last report of a feed."""
        query = select(tables.Report).filter_by(feed=feed).order_by(tables.Report.id.desc()).limit(1)
        with self._reading() as session:
            found = session.scalars(query).first()
            return fact(Report, found) if found else None

    def mark_reported(self, release: int, reports: Sequence[int] | None = None) -> int:
        """Note that a release heard some reports (None: all that none heard before); give how many."""
        query = update(tables.Report).where(tables.Report.release.is_(None)).values(release=release)
        if reports is not None:
            query = query.where(tables.Report.id.in_(reports))
        with self._writing() as session:
            return len(session.scalars(query.returning(tables.Report.id)).all())

    def add_release(self, release: Release, ledger: Sequence[ReleaseLedger] = ()) -> None:
        """Record a release that stands in the log, with where the accepted rows of every feed went.

        Raises
        ------
        RejectedError
            If figures do not balance, or another content is already recorded under its number.
        """
        balanced(f"release {release.number}", ledger)
        with self._writing() as session:
            known = session.get(tables.Release, release.number)
            if known is not None and known.content_hash != release.content_hash:
                raise RejectedError(
                    f"release {release.number}: recorded with content {known.content_hash}, not {release.content_hash}"
                )
            if known is None:
                session.add(tables.Release(**vars(release)))
                session.flush()
                session.add_all(tables.ReleaseLedger(release=release.number, **asdict(one)) for one in ledger)

    def release(self, number: int) -> Release | None:
        """Give one release."""
        with self._reading() as session:
            found = session.get(tables.Release, number)
            return fact(Release, found) if found else None

    def releases(self) -> list[Release]:
        """List all releases, newest first."""
        with self._reading() as session:
            found = session.scalars(select(tables.Release).order_by(tables.Release.number.desc()))
            return [fact(Release, one) for one in found]

    def release_ledger(self, number: int) -> list[ReleaseLedger]:
        """List where accepted rows went in a release, by feed and dataset."""
        query = select(tables.ReleaseLedger).filter_by(release=number)
        ordered = query.order_by(tables.ReleaseLedger.feed, tables.ReleaseLedger.dataset)
        with self._reading() as session:
            return [fact(ReleaseLedger, one) for one in session.scalars(ordered)]
