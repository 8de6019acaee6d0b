"""Follows every source row: which reached a record, which a filter left out, and which are kept back as received."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import RejectedError
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
AT_ONCE = 100_000
"""Rows kept back whose source rows are fetched in one pass over the raw table."""


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
        numbers = _row_numbers(table.path)
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

    def add(self, files: pa.Array, rows: pa.Array, record_ids: pa.Array, rules: pa.Array) -> None:
        """Hold rows with the rules that they break."""
        columns = {"file": files, "row": rows, "record_id": record_ids, "rules": rules}
        schema = pa.schema([QUARANTINE_SCHEMA.field(name) for name in columns])
        self.batches.append(pa.table(columns).cast(schema))

    @property
    def count(self) -> int:
        """How many rows are held."""
        return sum(batch.num_rows for batch in self.batches)

    def of(self, file: str) -> pa.Table:
        """Give the rows held of one file, in the order in which they were held."""
        schema = pa.schema([QUARANTINE_SCHEMA.field(name) for name in ("file", "row", "record_id", "rules")])
        whole = pa.concat_tables(self.batches or [schema.empty_table()])
        return whole.filter(pc.equal(whole["file"], file))


def _row_numbers(path: Path) -> list[np.ndarray]:
    """Read the row numbers alone: of a mapped file, the pages of the other columns are never touched."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        return [batch.column("_row").to_numpy().copy() for batch in batches]


def write_quarantine(held: Held, tables: list[RawTable], path: Path) -> None:
    """Write held rows to Parquet, each with its source row as received, as a JSON object.

    Parameters
    ----------
    tables : the raw tables that the rows may come from, one for each file.

    Raises
    ------
    RejectedError
        If not every held row was written exactly once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with pq.ParquetWriter(path, QUARANTINE_SCHEMA, compression="zstd") as writer:
        for table in tables:
            mine = held.of(table.file).sort_by([("row", "ascending"), ("record_id", "ascending")])
            for start in range(0, mine.num_rows, AT_ONCE):
                writer.write_table(_with_raw(held.dataset, mine.slice(start, AT_ONCE), table))
            written += mine.num_rows
    if written != held.count:
        files = sorted(table.file for table in tables)
        raise RejectedError(f"{held.dataset}: {held.count} rows are held, {written} were found again in {files}")


def _with_raw(dataset: str, held: pa.Table, table: RawTable) -> pa.Table:
    raw = _raw_rows(table.path, held["row"])
    names = [name for name in raw.schema.names if name not in ("_row", "_wkb")]
    parts = [f"{_quoted(name)} := raw.{_quoted(name)}" for name in names]
    fields = ", ".join(parts + (["_wkb := hex(raw._wkb)"] if "_wkb" in raw.schema.names else []))
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("held", held)
        connection.register("raw", raw)
        found = connection.sql(
            f"SELECT held.row, held.record_id, to_json(struct_pack({fields})) AS raw, held.rules "  # noqa: S608 - names are quoted
            "FROM held LEFT JOIN raw ON raw._row = held.row ORDER BY held.row, held.record_id"
        ).to_arrow_table()
    said = {"dataset": dataset, "table": table.name, "file": table.file}
    columns = {name: pa.repeat(pa.scalar(text), found.num_rows) for name, text in said.items()}
    columns.update({name: found.column(name) for name in ("row", "record_id", "raw", "rules")})
    return pa.table(columns).cast(QUARANTINE_SCHEMA)


def _raw_rows(path: Path, rows: pa.ChunkedArray) -> pa.Table:
    """Give the raw rows with these numbers; the table passes by batch by batch."""
    wanted = np.unique(rows.to_numpy())
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as reader:
        found = []
        for index in range(reader.num_record_batches if len(wanted) else 0):
            batch = reader.get_batch(index)
            chosen = np.isin(batch.column("_row").to_numpy(), wanted)
            if chosen.any():
                found.append(batch.take(pa.array(np.flatnonzero(chosen))))
        return pa.Table.from_batches(found, schema=reader.schema)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
