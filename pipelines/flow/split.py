"""Streams one dataset of a delivery through harmonise and validate, into accepted, quarantined and reported rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts import Rule
from pipelines.findings import ISSUE_SCHEMA, Finding, RuleCounts, error_mask, issue_table, rule_lists
from pipelines.flow.duplicates import Identities, contradiction, keep, settle
from pipelines.flow.modes import GONE, deletion_findings, statement_findings
from pipelines.flow.sources import Held, SourceUse, write_quarantine
from pipelines.harmonise import DELETED, TABLE, Plan, RawTable, harmonise, identify, shape, table_files
from pipelines.tablewise import Beside, judge_together
from pipelines.validate import foreign_keys, validate


@dataclass
class Outcome:
    """What became of one dataset's shaped rows."""

    shaped: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicates: int = 0
    filtered: int = 0
    deletions: int = 0
    """Rows that took a record away; they are no shaped rows."""
    counts: RuleCounts = field(default_factory=RuleCounts)
    heard: dict[str, Finding] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)
    extent: list[float] | None = None
    origins: set[str] = field(default_factory=set)
    """Tables whose rows the records are named after."""

    def hear(self, findings: list[Finding]) -> None:
        """Remember severity, column and hint of every rule, and the first hint that says something."""
        for finding in findings:
            known = self.heard.get(finding.rule)
            if known is None or (not known.hint and finding.hint):
                self.heard[finding.rule] = Finding(
                    finding.rule, finding.severity, finding.column, finding.mask.slice(0, 0), None, finding.hint
                )

    def measure(self, batch: pa.RecordBatch) -> None:
        """Add a batch of accepted rows to the figures."""
        self.accepted += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self.nulls[name] = self.nulls.get(name, 0) + column.null_count
        if "longitude" in batch.schema.names and batch.num_rows:
            self._widen(*(pc.min_max(batch.column(name)).as_py() for name in ("longitude", "latitude")))

    def _widen(self, lon: dict[str, Any], lat: dict[str, Any]) -> None:
        if lon["min"] is None or lat["min"] is None:
            return
        here = [lon["min"], lat["min"], lon["max"], lat["max"]]
        old = self.extent or here
        self.extent = [min(old[0], here[0]), min(old[1], here[1]), max(old[2], here[2]), max(old[3], here[3])]

    def as_record(self, rules: tuple[Rule, ...]) -> dict[str, object]:
        """Give the ledger, the count of every rule, and the figures, as run.json keeps them."""
        contract = {rule.id for rule in rules}
        rows = self.counts.rows(rules)
        for rule, finding in sorted(self.heard.items()):
            if rule not in contract:
                rows.append(
                    {
                        "rule": rule,
                        "severity": finding.severity,
                        "column": finding.column or "",
                        "evaluated": self.shaped,
                        "failed": self.counts.failed.get(rule, 0),
                        "hint": finding.hint,
                    }
                )
        whole = max(self.accepted, 1)
        unknown = {
            finding.column: self.counts.failed.get(rule, 0) / max(self.shaped, 1)
            for rule, finding in self.heard.items()
            if rule.endswith(".unknown_term")
        }
        return {
            "shaped": self.shaped,
            "accepted": self.accepted,
            "quarantined": self.quarantined,
            "duplicates": self.duplicates,
            "filtered": self.filtered,
            "deletions": self.deletions,
            "rules": rows,
            "figures": {
                "rows": self.accepted,
                "null_share": {name: count / whole for name, count in self.nulls.items()},
                "unknown_share": unknown,
                "extent": self.extent,
            },
        }


@dataclass(frozen=True)
class Job:
    """One dataset to be split, and everything it is judged by."""

    how: Plan
    tables: dict[str, RawTable]
    rules: tuple[Rule, ...]
    codes: dict[str, frozenset[str]]
    parents: dict[str, pa.Array]
    """Accepted record ids of the datasets that this one refers to, where the feed fills them."""
    folder: Path
    beside: Beside = field(default_factory=Beside)
    """What the rules of the table may look into."""
    only: dict[str, np.ndarray] | None = None
    """By file the row numbers to take, when only some are replayed."""
    taken: frozenset[str] = frozenset()
    """Record ids that stand already, when only some rows are replayed."""
    standing: pa.Array | None = None
    """Record ids that stand from earlier deliveries; None where the delivery restates them all."""


def split(job: Job, uses: dict[str, SourceUse]) -> Outcome:
    """Split one dataset's rows; every row comes out exactly once.

    Writes ``accepted.arrow`` (Arrow IPC stream), ``issues.parquet`` and ``quarantine.parquet`` into the job's folder,
    and ``deleted.arrow`` where the feed says which rows take records away.
    """
    outcome = Outcome()
    job.folder.mkdir(parents=True, exist_ok=True)
    held = Held(job.how.dataset.name)
    draft: list[Path] = []
    with pq.ParquetWriter(job.folder / "issues.parquet", ISSUE_SCHEMA, compression="zstd") as issues:
        identities = _draft(job, uses, draft, outcome=outcome, held=held, issues=issues)
        _judge_together(job, draft, identities, outcome=outcome, held=held, issues=issues)
        _write_accepted(job, draft, identities, outcome=outcome, held=held, issues=issues)
    outcome.quarantined = held.count
    write_quarantine(held, _by_file(job, outcome), job.folder / "quarantine.parquet")
    return outcome


def _draft(
    job: Job, uses: dict[str, SourceUse], draft: list[Path], *, outcome: Outcome, held: Held, issues: pq.ParquetWriter
) -> Identities:
    """Keep every harmonised row, plainly since it is read again at once, and hold those that break a rule."""
    identities = Identities()
    with _deletions(job) as gone:
        for batch, findings, deletes in _judged(job, uses, outcome):
            if deletes:
                _delete(job, batch, findings, outcome=outcome, held=held, issues=issues, gone=gone)
                continue
            bad = error_mask(findings, batch.num_rows)
            _report(job, batch, findings, issues)
            if bad.any():
                held.add(*_place(batch, pa.array(np.flatnonzero(bad))), rule_lists(findings, bad))
            identities.add(batch.column("record_id"), ~bad)
            draft.append(job.folder / f"draft-{len(draft):06d}.arrow")
            keep(batch, draft[-1])
    return identities


def _judge_together(
    job: Job, draft: list[Path], identities: Identities, *, outcome: Outcome, held: Held, issues: pq.ParquetWriter
) -> None:
    """Report what rows break together, and hold those that break a rule of severity error."""
    if not any(rule.kind == "table" for rule in job.rules):
        return
    dataset, scratch = job.how.dataset, job.folder / "scratch"
    again = identities.told_again()
    found = judge_together(draft, dataset, job.rules, beside=job.beside, scratch=scratch, again=again)
    _report(job, found.rows, found.findings, issues)
    outcome.counts.add(found.rows, (), found.findings)
    fresh = identities.refuse(found.places, error_mask(found.findings, found.rows.num_rows))
    if fresh.any():
        held.add(*_place(found.rows, pa.array(np.flatnonzero(fresh))), rule_lists(found.findings, fresh))


def _write_accepted(
    job: Job, draft: list[Path], identities: Identities, *, outcome: Outcome, held: Held, issues: pq.ParquetWriter
) -> None:
    """Write the rows that stand, plainly: the disk costs less than compressing and decompressing them would."""
    with (
        pa.OSFile(str(job.folder / "accepted.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, job.how.schema) as writer,
    ):
        for settled in settle(draft, identities, job.taken):
            if settled.contradicting.num_rows:
                _hold_contradicting(job, settled.contradicting, outcome=outcome, held=held, issues=issues)
            outcome.duplicates += settled.same
            outcome.measure(settled.standing)
            writer.write_batch(settled.standing)


def _hold_contradicting(
    job: Job, batch: pa.RecordBatch, *, outcome: Outcome, held: Held, issues: pq.ParquetWriter
) -> None:
    finding = contradiction(batch, job.how.dataset.name)
    _report(job, batch, [finding], issues)
    outcome.hear([finding])
    outcome.counts.failed[finding.rule] = outcome.counts.failed.get(finding.rule, 0) + batch.num_rows
    everything = np.ones(batch.num_rows, dtype=bool)
    held.add(*_place(batch, pa.array(np.flatnonzero(everything))), rule_lists([finding], everything))


def _judged(
    job: Job, uses: dict[str, SourceUse], outcome: Outcome
) -> Iterator[tuple[pa.RecordBatch, list[Finding], bool]]:
    """Yield harmonised batches with everything found about them, and whether they take records away.

    Declared filters leave rows out first.
    """
    mapping, main = job.how.mapping, job.how.main
    for whole in shape(job.tables, mapping, main, job.folder / "scratch", job.how.feed.id):
        shaped = _without_filtered(_only(whole, job), len(mapping.filters), uses, main, outcome)
        if shaped.num_rows == 0:
            continue
        _mark_used(shaped, uses, main, filtered=False)
        outcome.origins.update(shaped.column(TABLE).unique().to_pylist() if TABLE in shaped.schema.names else [main])
        shaped, gone = _parted(shaped)
        if gone.num_rows:
            named = identify(gone, job.how)
            yield named, deletion_findings(named, job.how.dataset.name, job.standing), True
        if shaped.num_rows == 0:
            continue
        made = harmonise(shaped, job.how)
        findings = made.findings + validate(made.batch, job.rules, job.codes)
        findings += statement_findings(made.batch, job.how.feed.delivery_mode, job.how.dataset.name, job.standing)
        for rule in job.rules:
            if rule.kind == "foreign_key" and rule.value in job.parents:
                findings.append(foreign_keys(made.batch, rule, job.parents[str(rule.value)]))
        outcome.shaped += made.batch.num_rows
        outcome.counts.add(made.batch, job.rules, findings)
        outcome.hear(findings)
        yield made.batch, findings, False


def _parted(shaped: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Tell the rows that state a record from those that take one away."""
    if DELETED not in shaped.schema.names:
        return shaped, shaped.slice(0, 0)
    gone = pc.fill_null(shaped.column(DELETED), False)
    return shaped.filter(pc.invert(gone)), shaped.filter(gone)


@contextmanager
def _deletions(job: Job) -> Iterator[pa.ipc.RecordBatchStreamWriter | None]:
    """Open the file of the records that the delivery takes away, where the feed says which."""
    if job.how.mapping.deleted is None:
        yield None
        return
    with (
        pa.OSFile(str(job.folder / GONE), "wb") as sink,
        pa.ipc.new_stream(sink, pa.schema([job.how.schema.field("record_id")])) as writer,
    ):
        yield writer


def _delete(
    job: Job,
    batch: pa.RecordBatch,
    findings: list[Finding],
    *,
    outcome: Outcome,
    held: Held,
    issues: pq.ParquetWriter,
    gone: pa.ipc.RecordBatchStreamWriter | None,
) -> None:
    """Write the records that rows take away; rows that name none that stands are kept back."""
    bad = error_mask(findings, batch.num_rows)
    _report(job, batch, findings, issues)
    outcome.hear(findings)
    for finding in findings:
        outcome.counts.failed[finding.rule] = outcome.counts.failed.get(finding.rule, 0) + finding.mask.true_count
    if bad.any():
        held.add(*_place(batch, pa.array(np.flatnonzero(bad))), rule_lists(findings, bad))
    outcome.shaped += int(bad.sum())
    outcome.deletions += int((~bad).sum())
    if gone is not None:
        gone.write_batch(batch.select(["record_id"]).filter(pa.array(~bad)))


def _only(batch: pa.RecordBatch, job: Job) -> pa.RecordBatch:
    if job.only is None:
        return batch
    rows = batch.column("_row").to_numpy()
    if TABLE not in batch.schema.names:
        wanted = job.only.get(job.how.files[job.how.main], np.zeros(0, dtype=np.int64))
        return batch.filter(pa.array(np.isin(rows, wanted)))
    files = table_files(batch, job.how.files)
    chosen = np.zeros(batch.num_rows, dtype=bool)
    for file, wanted in job.only.items():
        chosen |= pc.equal(files, file).to_numpy(zero_copy_only=False) & np.isin(rows, wanted)
    return batch.filter(pa.array(chosen))


def _place(batch: pa.RecordBatch, rows: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    file, row, record_id = (batch.column(name).take(rows) for name in ("source_file", "source_row", "record_id"))
    return file, row, record_id


def _by_file(job: Job, outcome: Outcome) -> list[RawTable]:
    return [job.tables[name] for name in job.tables if name in (outcome.origins or {job.how.main})]


def _without_filtered(
    batch: pa.RecordBatch, filters: int, uses: dict[str, SourceUse], main: str, outcome: Outcome
) -> pa.RecordBatch:
    if not filters:
        return batch
    out = np.zeros(batch.num_rows, dtype=bool)
    for index in range(filters):
        out |= pc.fill_null(batch.column(f"_filter_{index}"), False).to_numpy(zero_copy_only=False)
    if not out.any():
        return batch
    _mark_used(batch.filter(pa.array(out)), uses, main, filtered=True)
    outcome.filtered += int(out.sum())
    return batch.filter(pa.array(~out))


def _mark_used(batch: pa.RecordBatch, uses: dict[str, SourceUse], main: str, *, filtered: bool) -> None:
    several = TABLE in batch.schema.names
    for table, use in uses.items():
        if several:
            mine = batch.filter(pc.equal(batch.column(TABLE), table))
            use.mark(_row_numbers(mine.column("_row")), filtered=filtered)
        elif table == main:
            use.mark(_row_numbers(batch.column("_row")), filtered=filtered)
        if f"_row_{table}" in batch.schema.names:
            use.mark(_row_numbers(batch.column(f"_row_{table}")), filtered=filtered)


def _row_numbers(rows: pa.Array) -> np.ndarray:
    flat = pc.list_flatten(rows) if pa.types.is_list(rows.type) else rows
    return flat.drop_null().to_numpy(zero_copy_only=False).astype(np.int64)


def _report(job: Job, batch: pa.RecordBatch, findings: list[Finding], issues: pq.ParquetWriter) -> None:
    found = [finding for finding in findings if finding.mask.true_count]
    if not found:
        return
    rows = issue_table(
        found,
        feed=job.how.feed.id,
        delivery=job.how.delivery,
        dataset=job.how.dataset.name,
        files=batch.column("source_file"),
        rows=batch.column("source_row"),
        record_ids=batch.column("record_id"),
    )
    issues.write_batch(rows)
