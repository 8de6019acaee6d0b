"""Shapes a feed's raw tables into rows of one dataset's grain, by the feed's own SELECT where it has one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.contracts import DatasetMapping
from pipelines.errors import ContractError

BATCH_ROWS = 65_536
BATCH_BYTES = 32 << 20
"""Bytes of raw rows that are harmonised at once, at most, unless one batch of the reader's is larger."""
MEMORY = "1GB"
DELETED = "_deleted"
"""Column that says which shaped rows take a record away."""


@dataclass(frozen=True)
class RawTable:
    """One table as it was read: every partner column as text, beside the row number."""

    name: str
    file: str
    path: Path


def shape(
    tables: dict[str, RawTable], mapping: DatasetMapping, main: str, scratch: Path, feed: str
) -> Iterator[pa.RecordBatch]:
    """Stream the shaped rows of one dataset, in an order that repeats.

    Parameters
    ----------
    tables : the feed's raw tables by name.
    mapping : the dataset's mapping; its filters, checks, conditions of corrections and deletions come out as the
        boolean columns ``_filter_<i>``, ``_check_<i>``, ``_correct_<i>`` and ``_deleted``.
    main : the table whose ``_row`` a record is named after.
    scratch : folder that DuckDB may spill to.
    feed : name of the feed, for messages.

    Raises
    ------
    ContractError
        If the SQL is not one SELECT, does not run, or gives no ``_row``.
    """
    if mapping.select is None and not _conditions(mapping):
        yield from _stream(tables[main].path)
        return
    import pyarrow.dataset as ds  # heavy: loads pandas, which plain tables do without

    connection = _connect(scratch)
    try:
        for table in tables.values():
            connection.register(table.name, ds.dataset(table.path, format="ipc"))
        try:
            reader = connection.sql(_statement(connection, mapping, main, feed)).to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise ContractError(f"{feed}: the feed's SQL does not run: {str(error).splitlines()[0]}") from error
        if "_row" not in reader.schema.names:
            raise ContractError(
                f"{feed}: the feed's select must give _row, the row of {main!r} that a record comes from"
            )
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                raise ContractError(
                    f"{feed}: the feed's SQL fails on this data: {str(error).splitlines()[0]}"
                ) from error
            yield batch
    finally:
        connection.close()


def _stream(path: Path) -> Iterator[pa.RecordBatch]:
    """Give a raw table's rows, the reader's small batches joined: what is done once a batch is done less often."""
    start = 0
    while held := _held(path, start):
        start += len(held)
        yield from _joined(held)


def _held(path: Path, start: int) -> list[pa.RecordBatch]:
    """Give the batches that are joined to the one at a place, mapped anew so that no page stays behind."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        held: list[pa.RecordBatch] = []
        for index in range(start, reader.num_record_batches):
            batch = reader.get_batch(index)
            if held and not _fits(held, batch):
                break
            held.append(batch)
        return held


def _fits(held: list[pa.RecordBatch], batch: pa.RecordBatch) -> bool:
    together = [*held, batch]
    return (
        sum(each.num_rows for each in together) <= BATCH_ROWS and sum(each.nbytes for each in together) <= BATCH_BYTES
    )


def _joined(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return batches if len(batches) < 2 else pa.Table.from_batches(batches).combine_chunks().to_batches()


def _connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    scratch.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "threads": 1,  # one thread keeps the order of a join the same on every run
            "memory_limit": MEMORY,
            "temp_directory": str(scratch),
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _statement(connection: duckdb.DuckDBPyConnection, mapping: DatasetMapping, main: str, feed: str) -> str:
    select = mapping.select or f'SELECT * FROM "{main}"'  # noqa: S608 - a table's name in the feed
    statements = connection.extract_statements(select)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ContractError(f"{feed}: select must be exactly one SELECT")
    inner = select.strip().rstrip(";")
    return f"SELECT {', '.join(['*', *_conditions(mapping)])} FROM ({inner}) AS shaped"  # noqa: S608 - both are the feed's own SQL


def _conditions(mapping: DatasetMapping) -> list[str]:
    """Give the columns that a feed's own conditions make."""
    corrections = mapping.position.corrections if mapping.position is not None else ()
    return [
        *(f"({item.where}) AS _filter_{index}" for index, item in enumerate(mapping.filters)),
        *(f"({item.where}) AS _check_{index}" for index, item in enumerate(mapping.checks)),
        *(f"({item.where}) AS _correct_{index}" for index, item in enumerate(corrections) if item.where),
        *([f"({mapping.deleted}) AS {DELETED}"] if mapping.deleted else []),
    ]
