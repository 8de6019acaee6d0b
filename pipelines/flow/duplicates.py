"""Settles records that name themselves twice: identical ones count once, contradicting ones are all kept back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.findings import Finding
from pipelines.harmonise import Plan

PLACES = frozenset({"source_file", "source_row", "source_also", "delivery"})
"""Columns that say where a record came from; two records that differ in nothing else are the same."""


class Counted(Protocol):
    """What the settling changes in an outcome."""

    accepted: int
    duplicates: int


@dataclass
class Identities:
    """Hashes of the record ids seen so far, 8 bytes each."""

    parts: list[np.ndarray] = field(default_factory=list)
    connection: duckdb.DuckDBPyConnection = field(default_factory=lambda: duckdb.connect(config={"threads": 1}))

    def hash(self, ids: pa.Array) -> np.ndarray:
        """Hash record ids to 64 bits."""
        self.connection.register("ids", pa.table({"id": ids}))
        return self.connection.execute("SELECT hash(id) AS h FROM ids").fetchnumpy()["h"].astype(np.uint64)

    def add(self, ids: pa.Array) -> None:
        """Remember a batch of record ids."""
        if len(ids):
            self.parts.append(self.hash(ids))

    def repeated(self, taken: frozenset[str]) -> np.ndarray:
        """Give the hashes that were seen more than once, or that stand already."""
        standing = [self.hash(pa.array(sorted(taken), pa.string()))] if taken else []
        seen = np.sort(np.concatenate([*self.parts, *standing])) if self.parts else np.zeros(0, np.uint64)
        return np.unique(seen[1:][seen[1:] == seen[:-1]])


def settle(
    accepted: Path, identities: Identities, taken: frozenset[str], outcome: Counted, how: Plan
) -> Iterator[tuple[pa.RecordBatch, Finding]]:
    """Take repeated records out of the accepted file.

    Writes ``settled.arrow`` beside the accepted file when something was repeated, lowers the outcome's count of
    accepted rows, and yields the contradicting rows with the rule that they break.
    """
    hashes = identities.repeated(taken)
    if not len(hashes):
        return
    suspects = pa.Table.from_batches(
        [batch.filter(pa.array(_suspected(batch, identities, hashes))) for batch in _batches(accepted)]
    )
    verdict = _verdicts(suspects, taken)
    start = 0
    with (
        pa.OSFile(str(accepted.with_name("settled.arrow")), "wb") as sink,
        pa.ipc.new_stream(sink, how.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer,
    ):
        for batch in _batches(accepted):
            mask = _suspected(batch, identities, hashes)
            mine = verdict[start : start + int(mask.sum())]
            start += len(mine)
            whole = np.full(batch.num_rows, "stands", dtype=object)
            whole[mask] = mine
            outcome.duplicates += int((whole == "same").sum())
            outcome.accepted -= int((whole != "stands").sum())
            writer.write_batch(batch.filter(pa.array(whole == "stands")))
            contradicting = batch.filter(pa.array(whole == "differs"))
            if contradicting.num_rows:
                yield contradicting, _finding(contradicting, how.dataset.name)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        yield from reader


def _suspected(batch: pa.RecordBatch, identities: Identities, hashes: np.ndarray) -> np.ndarray:
    return np.isin(identities.hash(batch.column("record_id")), hashes)


def _verdicts(suspects: pa.Table, taken: frozenset[str]) -> np.ndarray:
    """Say for every suspect whether it stands, is the same as an earlier one, or differs from another."""
    content = [name for name in suspects.schema.names if name not in PLACES]
    packed = ", ".join(f'"{name}"' for name in content)
    connection = duckdb.connect(config={"threads": 1})
    numbered = suspects.append_column("_i", pa.array(np.arange(suspects.num_rows)))
    connection.register("suspects", numbered)
    connection.register("taken", pa.table({"id": pa.array(sorted(taken), pa.string())}))
    found = connection.execute(
        "WITH told AS (SELECT _i, record_id, md5(CAST(row(" + packed + ") AS VARCHAR)) AS content FROM suspects) "  # noqa: S608 - names come from the contract
        "SELECT CASE WHEN record_id IN (SELECT id FROM taken) OR min(content) OVER same <> max(content) OVER same "
        "THEN 'differs' WHEN _i > min(_i) OVER same THEN 'same' ELSE 'stands' END AS verdict FROM told "
        "WINDOW same AS (PARTITION BY record_id) ORDER BY _i"
    ).fetchall()
    connection.close()
    return np.array([row[0] for row in found], dtype=object)


def _finding(batch: pa.RecordBatch, dataset: str) -> Finding:
    return Finding(
        rule=f"{dataset}.record_id.unique",
        severity="error",
        column="record_id",
        mask=pa.array(np.ones(batch.num_rows, dtype=bool)),
        found=pc.cast(batch.column("record_id"), pa.string()),
        hint="several rows name the same record with different content; say which holds, or widen the key",
    )
