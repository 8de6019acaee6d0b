"""Tells the catalogue what a run did: its ledger, its issues added up, and the rows it kept back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from pipelines.catalogue import Catalogue
from pipelines.catalogue.facts import DatasetLedger, Example, HeldRow, Issue, SourceLedger
from pipelines.errors import RejectedError

EXAMPLES = 5


def read_record(folder: Path | str) -> dict[str, Any]:
    """Read a run's record.

    Raises
    ------
    RejectedError
        If the run's folder is gone; run the feed again to make it anew from landing.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        feed = path.parent.parent.name
        raise RejectedError(f"{feed}: the folder of its run is gone; `minerals run {feed}` makes it anew from landing")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def record_run(catalogue: Catalogue, run: int, record: dict[str, Any], folder: Path) -> None:
    """Record a conformed run: ledger, issues and quarantine, then its state."""
    sources = [
        SourceLedger(
            file=source["file"],
            table_name=source["table"],
            **{word: source[word] for word in ("rows", "used", "filtered", "quarantined")},
        )
        for source in record["sources"]
    ]
    datasets = [
        DatasetLedger(name, figures["shaped"], figures["accepted"], figures["quarantined"], figures["duplicates"])
        for name, figures in record["datasets"].items()
    ]
    catalogue.record_ledger(run, sources, datasets)
    catalogue.record_issues(run, issues_of(folder))
    catalogue.record_quarantine(run, quarantine_of(folder))
    catalogue.finish_run(run, "conformed")


def ledger_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a run's ledger as rows for printing: the source rows of all its files, then each dataset's shaped rows."""
    feed = record["feed"]
    parts = {"read": "rows", "used": "used", "quarantined": "quarantined", "filtered": "filtered"}
    source = {name: sum(one[word] for one in record["sources"]) for name, word in parts.items()}
    datasets = [
        {
            "feed": feed,
            "dataset": name,
            "read": figures["shaped"],
            "accepted": figures["accepted"],
            "quarantined": figures["quarantined"],
            "filtered": figures["filtered"],
            "duplicate": figures["duplicates"],
        }
        for name, figures in record["datasets"].items()
    ]
    return [{"feed": feed, "files": sorted({one["file"] for one in record["sources"]}), **source}, *datasets]


def issue_files(folder: Path) -> list[Path]:
    """List a run's issue files in a stable order."""
    return sorted(folder.glob("*/issues.parquet"))


def quarantine_files(folder: Path) -> list[Path]:
    """List a run's quarantine files in a stable order."""
    return sorted([*folder.glob("*/quarantine.parquet"), *folder.glob("_source/[!i]*.parquet")])


def issues_of(folder: Path) -> Iterator[Issue]:
    """Add up a run's issues by dataset, file, rule and column, with a few examples of each."""
    files = [str(path) for path in issue_files(folder)]
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = connection.execute(
            'SELECT dataset, file, rule, severity, "column", count(*), max(hint), '
            "list({'row': row, 'record_id': record_id, 'found': found} ORDER BY row)[1:" + str(EXAMPLES) + "] "
            "FROM read_parquet(?) GROUP BY ALL ORDER BY ALL",
            [files],
        ).fetchall()
    for dataset, file, rule, severity, column, count, hint, examples in rows:
        yield Issue(
            file=file,
            rule=rule,
            severity=severity,
            count=count,
            dataset=dataset,
            column_name=column,
            hint=hint,
            examples=tuple(Example(**example) for example in examples),
        )


def quarantine_of(folder: Path) -> Iterator[HeldRow]:
    """Give every row that a run kept back."""
    for path in quarantine_files(folder):
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(columns=["dataset", "file", "row", "record_id", "rules"]):
                for row in batch.to_pylist():
                    yield HeldRow(**{**row, "rules": tuple(row["rules"])})
