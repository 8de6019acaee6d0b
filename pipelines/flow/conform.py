"""Takes one landed delivery through read, harmonise and validate, and balances its ledger."""

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import geodesy
from pipelines.contracts import Dataset, Feed, Schemas
from pipelines.deliveries import Delivery
from pipelines.errors import RejectedError
from pipelines.findings import ISSUE_SCHEMA, Finding, issue_table
from pipelines.flow.installation import vocabularies_of
from pipelines.flow.modes import STATED, record_ids
from pipelines.flow.sources import Held, SourceUse, write_quarantine
from pipelines.flow.split import Job, Outcome, split
from pipelines.harmonise import RawTable, plan
from pipelines.read import ReadReport, read
from pipelines.store import whole
from pipelines.tablewise import beside

NO_OUTLINES = "not installed: positions were not compared with the countries that records state"
SOURCE = "_source"
"""Folder of a run for what was found before rows became records."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replay:
    """Rows to take again, by dataset, and what stands already."""

    rows: dict[str, dict[str, np.ndarray]]
    """By dataset and file, the row numbers to take."""
    taken: dict[str, frozenset[str]]
    parents: dict[str, pa.Array]
    whole: frozenset[str] = frozenset()
    """Datasets of which every row is taken, because the partner sent corrected rows."""

    def only(self, dataset: str) -> dict[str, np.ndarray] | None:
        """Give by file the rows of a dataset to take; None for all."""
        return None if dataset in self.whole else self.rows.get(dataset, {})


def conform_delivery(
    feed: Feed,
    schemas: Schemas,
    delivery: Delivery,
    folder: Path,
    fingerprint: str,
    replay: Replay | None = None,
    standing: Mapping[str, pa.Array] | None = None,
) -> dict[str, Any]:
    """Split a delivery into accepted, quarantined and reported rows, and give its run record.

    Parameters
    ----------
    folder : the run's own folder; what an earlier attempt left there is removed.
    replay : take only these rows, beside what stands already.
    standing : by dataset the record ids that stand from earlier deliveries, where this one does not restate them all.

    Returns
    -------
    The content of ``run.json``: tables, the ledger by file and by dataset, rules with counts, figures.

    Raises
    ------
    RejectedError
        If a file cannot be read, or a ledger does not balance.
    ContractError
        If the delivery's layout is not the one that the feed describes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = read(delivery, feed.tables, folder)
    _refuse_unread(feed, delivery.id, report, folder)
    tables = _raw_tables(report, folder)
    uses = {name: SourceUse.of(table) for name, table in tables.items()}
    stands = dict(standing or {})
    accepted_ids: dict[str, pa.Array] = {**stands, **(replay.parents if replay else {})}
    referred = {key.reference.resource for name in feed.datasets for key in schemas.datasets[name].foreign_keys}
    outcomes: dict[str, Outcome] = {}
    for dataset in in_order(feed, schemas):
        outcomes[dataset.name] = _conform_dataset(
            feed,
            dataset,
            delivery.id,
            tables=tables,
            uses=uses,
            schemas=schemas,
            parents=accepted_ids,
            folder=folder / dataset.name,
            replay=replay,
            standing=stands.get(dataset.name),
        )
        if dataset.name in referred:
            mine = record_ids(folder / dataset.name / STATED)
            accepted_ids[dataset.name] = pa.concat_arrays([accepted_ids.get(dataset.name, mine[:0]), mine])
    told = _told_of(feed, tables, replay)
    sources = _settle_sources(feed, delivery.id, report, tables=told, uses=uses, folder=folder) if told else []
    datasets = {name: outcome.as_record(schemas.datasets[name].rules()) for name, outcome in outcomes.items()}
    record = _record(feed, delivery, fingerprint, report) | {"sources": sources, "datasets": datasets}
    balance(record)
    _keep_record(record, folder)
    shutil.rmtree(folder / "raw", ignore_errors=True)
    return record


def _raw_tables(report: ReadReport, folder: Path) -> dict[str, RawTable]:
    return {name: RawTable(name, table.file, folder / "raw" / f"{name}.arrow") for name, table in report.tables.items()}


def _keep_record(record: dict[str, Any], folder: Path) -> None:
    with whole(folder / "run.json") as path:
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")


def _told_of(feed: Feed, tables: dict[str, RawTable], replay: Replay | None) -> dict[str, RawTable]:
    """Give the tables of which every row is taken; those of a replay were settled when they first came."""
    if replay is None:
        return tables
    return {name: tables[name] for name in tables if name in {feed.main_table(dataset) for dataset in replay.whole}}


def _record(feed: Feed, delivery: Delivery, fingerprint: str, report: ReadReport) -> dict[str, Any]:
    return {
        "feed": feed.id,
        "delivery": delivery.id,
        "fingerprint": fingerprint,
        "isolation": report.isolation,
        "outlines": geodesy.outlines_digest() or NO_OUTLINES,
        "rights": feed.rights.model_dump(mode="json"),
        "notes": [note.model_dump(mode="json") for note in feed.notes],
        "tables": {name: _about(report, name) for name in report.tables},
    }


def in_order(feed: Feed, schemas: Schemas) -> list[Dataset]:
    """Order a feed's datasets so that each stands after those that it refers to."""
    waiting = [schemas.datasets[name] for name in feed.datasets]
    ordered: list[Dataset] = []
    while waiting:
        done = {dataset.name for dataset in ordered}
        ready = [
            dataset
            for dataset in waiting
            if all(
                key.reference.resource in done | {dataset.name} or key.reference.resource not in feed.datasets
                for key in dataset.foreign_keys
            )
        ]
        ordered.extend(ready or waiting[:1])
        waiting = [dataset for dataset in waiting if dataset not in ordered]
    return ordered


def balance(record: dict[str, Any]) -> None:
    """Refuse a run whose rows do not add up.

    Raises
    ------
    RejectedError
        Naming the file or dataset and its figures.
    """
    for source in record["sources"]:
        if source["rows"] != source["used"] + source["filtered"] + source["quarantined"]:
            raise RejectedError(f"{record['feed']}: the ledger of {source['file']} does not balance: {source}")
    for name, figures in record["datasets"].items():
        parts = {word: figures[word] for word in ("accepted", "quarantined", "duplicates")}
        if figures["shaped"] != sum(parts.values()):
            raise RejectedError(
                f"{record['feed']}: the ledger of {name} does not balance: {figures['shaped']}, {parts}"
            )


def _conform_dataset(
    feed: Feed,
    dataset: Dataset,
    delivery: str,
    *,
    tables: dict[str, RawTable],
    uses: dict[str, SourceUse],
    schemas: Schemas,
    parents: dict[str, pa.Array],
    folder: Path,
    replay: Replay | None,
    standing: pa.Array | None,
) -> Outcome:
    files = {name: table.file for name, table in tables.items()}
    vocabularies = vocabularies_of(dataset, schemas)
    job = Job(
        how=plan(feed, dataset, delivery, files, vocabularies),
        tables=tables,
        rules=dataset.rules(),
        codes={name: frozenset(vocabulary.codes) for name, vocabulary in vocabularies.items()},
        parents=parents,
        folder=folder,
        beside=beside(dataset, schemas.datasets, vocabularies, folder.parent),
        only=replay.only(dataset.name) if replay else None,
        taken=replay.taken.get(dataset.name, frozenset()) if replay else frozenset(),
        standing=standing,
    )
    outcome = split(job, uses)
    told = (outcome.shaped, outcome.accepted, outcome.quarantined, outcome.duplicates, outcome.filtered)
    words = "%s %s: %d rows shaped, %d accepted, %d quarantined, %d duplicates, %d filtered"
    log.info(words, feed.id, dataset.name, *told)
    return outcome


def _refuse_unread(feed: Feed, delivery: str, report: ReadReport, folder: Path) -> None:
    """Refuse a delivery of which a file was quarantined as a whole; what was found is written down first."""
    if not report.refused:
        return
    _write_issues([_as_batch(feed, delivery, name, report) for name in report.tables], folder)
    raise RejectedError(f"{feed.id}: {'; '.join(report.refused)}")


def _write_issues(batches: list[pa.RecordBatch], folder: Path) -> None:
    (folder / SOURCE).mkdir(exist_ok=True)
    with pq.ParquetWriter(folder / SOURCE / "issues.parquet", ISSUE_SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _about(report: ReadReport, name: str) -> dict[str, Any]:
    table = report.tables[name]
    return {"file": table.file, "rows": table.rows, "columns": list(table.columns), "crs": table.crs}


def _settle_sources(
    feed: Feed,
    delivery: str,
    report: ReadReport,
    *,
    tables: dict[str, RawTable],
    uses: dict[str, SourceUse],
    folder: Path,
) -> list[dict[str, Any]]:
    """Keep back the source rows that reached nothing, and write down everything found about files."""
    batches = [_as_batch(feed, delivery, name, report) for name in tables]
    batches.append(_file_findings(feed, delivery, report))
    ledgers = []
    for name, table in tables.items():
        rejected = [
            issue for issue in report.tables[name].issues if issue["row"] is not None and issue["severity"] == "error"
        ]
        if feed.tables[name].lookup:
            uses[name].mark(uses[name].unused(), filtered=True)
        unused = uses[name].unused()
        held = Held(SOURCE)
        if len(unused):
            lost = _unused_finding(len(unused))
            batches.append(_place_issues(feed, delivery, table.file, pa.array(unused), [lost]))
            rules = pa.array([[lost.rule]] * len(unused), pa.list_(pa.string()))
            count = len(unused)
            held.add(pa.repeat(table.file, count), pa.array(unused), pa.nulls(count, pa.string()), rules)
        _hold(held, rejected, table, folder / SOURCE / f"{name}.parquet")
        ledger = uses[name].ledger(report.tables[name].rejected)
        ledgers.append({"file": table.file, "table": name, **ledger})
    _write_issues(batches, folder)
    return ledgers


def _unused_finding(count: int) -> Finding:
    return Finding(
        rule="source.unused_row",
        severity="error",
        column=None,
        mask=pa.array(np.ones(count, dtype=bool)),
        hint="the feed's select makes no record of this row; widen the select or declare a filter with its reason",
    )


def _hold(held: Held, rejected: list[dict[str, Any]], table: RawTable, path: Path) -> None:
    """Write the source rows kept back; rows that could not be split into columns keep their whole text."""
    if not held.count and not rejected:
        return
    write_quarantine(held, [table], path)
    if rejected:
        kept = pq.read_table(path)
        text = [json.dumps({"line": issue["found"]}, ensure_ascii=False) for issue in rejected]
        rows = pa.table(
            {
                "dataset": [SOURCE] * len(rejected),
                "table": [table.name] * len(rejected),
                "file": [table.file] * len(rejected),
                "row": [issue["row"] for issue in rejected],
                "record_id": pa.nulls(len(rejected), pa.string()),
                "raw": text,
                "rules": [[issue["rule"]] for issue in rejected],
            }
        )
        pq.write_table(pa.concat_tables([kept, rows.cast(kept.schema)]), path, compression="zstd")


def _as_batch(feed: Feed, delivery: str, name: str, report: ReadReport) -> pa.RecordBatch:
    """Turn the reader's issues into issue rows."""
    issues = report.tables[name].issues
    words = ("rule", "severity", "column", "hint")
    kinds: list[tuple[Any, ...]] = [tuple(issue.get(word) for word in words) for issue in issues]
    found = pa.array([issue.get("found") for issue in issues], pa.string())
    findings = [
        Finding(kind[0], kind[1], kind[2], pa.array([other == kind for other in kinds]), found, kind[3] or "")
        for kind in dict.fromkeys(kinds)
    ]
    rows = pa.array([issue.get("row") for issue in issues], pa.int64())
    return _place_issues(feed, delivery, report.tables[name].file, rows, findings)


def _place_issues(
    feed: Feed, delivery: str, file: str, rows: pa.Array | None, findings: list[Finding]
) -> pa.RecordBatch:
    return issue_table(
        findings, feed=feed.id, delivery=delivery, dataset=SOURCE, files=file, rows=rows, record_ids=None
    )


def _file_findings(feed: Feed, delivery: str, report: ReadReport) -> pa.RecordBatch:
    """Say once per delivery what the feed settled and assumes, and which columns it does not know."""
    said = list(_said(feed, report))
    found = pa.array([word[3] for word in said], pa.string())
    findings = [
        Finding(rule, severity, column, pa.array(np.arange(len(said)) == index), found, hint)
        for index, (rule, severity, column, _, hint) in enumerate(said)
    ]
    return _place_issues(feed, delivery, next(iter(report.tables.values())).file, None, findings)


def _said(feed: Feed, report: ReadReport) -> Iterator[tuple[str, str, str | None, str | None, str]]:
    for note in feed.notes:
        yield note.rule, note.severity, note.column, None, note.text
    for known in feed.known_files:
        yield "source.known_file", "info", None, known.path, known.reason
    for name, mapping in feed.datasets.items():
        if mapping.position is not None and mapping.position.crs_basis == "assumed":
            yield (
                f"{name}.position.crs_assumed",
                "warning",
                None,
                str(mapping.position.crs),
                mapping.position.crs_reason or "",
            )
    if feed.rights.licence == "LicenseRef-not-stated":
        yield "rights.licence_not_stated", "warning", None, feed.rights.document, "ask the partner to state a licence"
    for name, table in report.tables.items():
        for column in table.columns:
            if column not in _known_columns(feed, name):
                hint = f"{table.file} has a column that the feed neither maps nor lists as unused; it is left out"
                yield "source.unmapped_column", "warning", column, column, hint


def _known_columns(feed: Feed, table: str) -> set[str]:
    """Columns that the feed maps, names in its SQL, or lists as unused."""
    known = set(feed.unused.get(table, ()))
    for mapping in feed.datasets.values():
        known.update(_mapped(json.loads(mapping.model_dump_json(by_alias=True))))
        sql = " ".join(
            [
                mapping.select or "",
                mapping.deleted or "",
                *(check.where for check in mapping.checks),
                *(left.where for left in mapping.filters),
            ]
        )
        known.update(word.strip('"') for word in _words(sql))
    return known


def _mapped(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _mapped(part)
    elif isinstance(value, list):
        for part in value:
            yield from _mapped(part)


def _words(sql: str) -> list[str]:
    """Give the identifiers of an SQL text, quoted or plain."""
    return re.findall(r'"[^"]+"|[A-Za-z_][A-Za-z0-9_]*', sql)
