"""Follows every source row: which reached a record, which a filter left out, and which are kept back as received."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipelines.harmonise import RawTable

QUARANTINE_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("table", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("record_id", pa.string()),
        ("raw", pa.string()),
        ("rules", pa.list_(pa.string())),
    ]
)


@dataclass
class SourceUse:
    """Which rows of one raw table exist, were used, and were left out by a declared filter."""

    table: RawTable
    exists: np.ndarray
    used: np.ndarray
    filtered: np.ndarray

    @classmethod
    def of(cls, table: RawTable) -> "SourceUse":
        """Read a raw table's row numbers; one byte a row and mark."""
        scanner = ds.dataset(table.path, format="ipc").scanner(columns=["_row"])
        numbers = [batch.column(0).to_numpy() for batch in scanner.to_batches()]
        last = max((int(part.max()) for part in numbers if len(part)), default=0)
        exists = np.zeros(last + 1, dtype=bool)
        for part in numbers:
            exists[part] = True
        return cls(table, exists, np.zeros(last + 1, dtype=bool), np.zeros(last + 1, dtype=bool))

    def mark(self, rows: np.ndarray, *, filtered: bool = False) -> None:
        """Note that rows reached a shaped row, or only one that a filter leaves out."""
        (self.filtered if filtered else self.used)[rows] = True

    def unused(self) -> np.ndarray:
        """Give the row numbers that reached no shaped row and fall under no filter."""
        return np.flatnonzero(self.exists & ~self.used & ~self.filtered)

    def ledger(self, rejected: int) -> dict[str, int]:
        """Count rows = used + filtered + quarantined; `rejected` rows never became a row of the table."""
        return {
            "rows": int(self.exists.sum()) + rejected,
            "used": int(self.used.sum()),
            "filtered": int((self.filtered & ~self.used).sum()),
            "quarantined": len(self.unused()) + rejected,
        }


@dataclass
class Held:
    """Rows kept back while a dataset is split, before their source rows are fetched."""

    dataset: str
    batches: list[pa.Table] = field(default_factory=list)

    def add(self, rows: pa.Array, record_ids: pa.Array, rules: pa.Array) -> None:
        """Hold rows with the rules that they break."""
        self.batches.append(pa.table({"row": rows, "record_id": record_ids, "rules": rules}))

    @property
    def count(self) -> int:
        """How many rows are held."""
        return sum(batch.num_rows for batch in self.batches)

    def table(self) -> pa.Table:
        """Give all held rows in the order in which they were held."""
        schema = pa.schema([QUARANTINE_SCHEMA.field(name) for name in ("row", "record_id", "rules")])
        return pa.concat_tables([batch.cast(schema) for batch in self.batches] or [schema.empty_table()])


def write_quarantine(held: Held, table: RawTable, path: Path) -> None:
    """Write held rows to Parquet, each with its source row as received, as a JSON object."""
    connection = duckdb.connect(config={"threads": 1})
    connection.register("held", held.table())
    connection.register("raw", ds.dataset(table.path, format="ipc"))
    columns = [name for name in ds.dataset(table.path, format="ipc").schema.names if name not in ("_row", "_wkb")]
    fields = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" := raw.{_quoted(name)}' for name in columns)
    found = connection.sql(
        f"SELECT held.row AS row, held.record_id AS record_id, to_json(struct_pack({fields})) AS raw, held.rules AS rules "  # noqa: S608 - names are quoted
        "FROM held LEFT JOIN raw ON raw._row = held.row ORDER BY held.row, held.record_id"
    ).to_arrow_table()
    connection.close()
    rows = found.num_rows
    full = pa.table(
        {
            "dataset": pa.repeat(pa.scalar(held.dataset), rows),
            "table": pa.repeat(pa.scalar(table.name), rows),
            "file": pa.repeat(pa.scalar(table.file), rows),
            **{name: found.column(name) for name in ("row", "record_id", "raw", "rules")},
        }
    ).cast(QUARANTINE_SCHEMA)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(full, path, compression="zstd")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
