"""What the feeds state: files of accepted rows in their order, and which of their rows a later file states again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pipelines.contracts import Dataset
from pipelines.contracts.arrow import working_schema
from pipelines.errors import RejectedError
from pipelines.publish.shares import Share

KEY = "record_id"
SUSPECTS = "CREATE TABLE suspects (record_id VARCHAR, file INTEGER, place BIGINT)"
GONE = "CREATE TABLE gone (record_id VARCHAR, file INTEGER, first INTEGER)"
"""What a file takes away: records of its own feed, whose files begin with the first."""
SUPERSEDED = """
    SELECT file, place, file >= newest AS deleted
    FROM (SELECT *, max(file) OVER (PARTITION BY record_id) AS newest FROM suspects) AS told
    WHERE file < newest OR EXISTS (FROM gone
        WHERE gone.record_id = told.record_id AND gone.first <= told.file AND told.file < gone.file)
    ORDER BY file, place
"""
DELETED = "deleted.arrow"


@dataclass(frozen=True)
class Statement:
    """One file of accepted rows, and the feed that states them."""

    feed: str
    path: Path

    def batches(self, dataset: Dataset, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Stream the file's rows, or some of their columns, in the dataset's working schema.

        Raises
        ------
        RejectedError
            If the file is missing or damaged, or was made under another contract.
        """
        wanted = working_schema(dataset)
        fields = None if columns is None else [wanted.get_field_index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        opened = pa.OSFile if columns is None else pa.memory_map  # of which the other columns are never touched
        try:
            with opened(str(self.path)) as source, pa.ipc.open_stream(source, options=options) as reader:
                expected = wanted if fields is None else pa.schema([wanted.field(place) for place in sorted(fields)])
                if not reader.schema.equals(expected):
                    raise RejectedError(
                        f"{self.feed} {dataset.name}: accepted under another contract; run the feed again"
                    )
                yield from reader
        except (OSError, pa.ArrowInvalid) as error:
            raise RejectedError(f"{self.feed} {dataset.name}: accepted rows cannot be read: {error}") from error

    def deleted(self) -> pa.Array:
        """Give the record ids that the same run took away; they stand in a file beside it."""
        path = self.path.with_name(DELETED)
        if not path.is_file():
            return pa.array([], pa.string())
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
            return pa.concat_arrays([pa.array([], pa.string()), *(batch.column(KEY) for batch in reader)])


@dataclass(frozen=True)
class Standing:
    """The statements about one dataset, oldest first, and of each the row numbers that stand no more.

    ``superseded`` are the rows that a later statement states again or takes away, ``deleted`` those of them that are
    gone since, by feed.
    """

    dataset: Dataset
    statements: tuple[Statement, ...]
    superseded: tuple[np.ndarray, ...]
    deleted: Mapping[str, int] = field(default_factory=dict)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the rows that stand, in the order of the statements."""
        for statement, gone in zip(self.statements, self.superseded, strict=True):
            start = 0
            for batch in statement.batches(self.dataset):
                here = gone[np.searchsorted(gone, start) : np.searchsorted(gone, start + batch.num_rows)]
                kept = np.ones(batch.num_rows, dtype=bool)
                kept[here - start] = False
                start += batch.num_rows
                yield batch.filter(pa.array(kept)) if len(here) else batch

    def superseded_rows(self, feed: str) -> int:
        """Count one feed's rows that a later statement states again."""
        return sum(
            len(gone)
            for statement, gone in zip(self.statements, self.superseded, strict=True)
            if statement.feed == feed
        )


def standing(dataset: Dataset, shares: Sequence[Share], work: Path) -> Standing:
    """Find which statement of every record stands: the last one, by the order of the shares and of their files.

    A file may take records away that earlier files of its feed stated; what it states itself stands.

    Memory grows by some 16 bytes a row, and only where several files state one dataset.

    Parameters
    ----------
    work : folder for what does not fit into memory.
    """
    statements = tuple(Statement(share.feed, path) for share in shares for path in share.accepted.get(dataset.name, ()))
    if len(statements) < 2:
        return Standing(dataset, statements, tuple(np.zeros(0, np.int64) for _ in statements))
    hashes = [_hashes(statement, dataset) for statement in statements]
    with single_threaded() as connection:
        gone = [hash_ids(connection, statement.deleted()) for statement in statements]
    suspects = np.union1d(repeated(np.concatenate(hashes)), np.concatenate(gone))
    return _without_superseded(dataset, statements, hashes, suspects, work)


def made(dataset: Dataset, path: Path) -> Standing:
    """Give the rows of a dataset that was computed: all of them stand."""
    return Standing(dataset, (Statement("derived", path),), (np.zeros(0, np.int64),))


def repeated(hashes: np.ndarray) -> np.ndarray:
    """Give the hashes that occur more than once, sorted.

    >>> repeated(np.array([7, 3, 7, 1], np.uint64)).tolist()
    [7]
    """
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def hash_ids(connection: duckdb.DuckDBPyConnection, ids: pa.Array) -> np.ndarray:
    """Hash record ids to 64 bits."""
    connection.register("ids", pa.table({KEY: ids}))
    return connection.execute("SELECT hash(record_id) AS hashed FROM ids").fetchnumpy()["hashed"].astype(np.uint64)


def suspected(hashes: np.ndarray, suspects: np.ndarray) -> np.ndarray:
    """Give the places at which one of the sorted suspects stands."""
    if not len(suspects):
        return np.zeros(0, np.int64)
    nearest = np.minimum(np.searchsorted(suspects, hashes), len(suspects) - 1)
    return np.flatnonzero(suspects[nearest] == hashes)


def single_threaded(work: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open DuckDB in memory with one thread, spilling beyond 256 MB into a folder."""
    settings: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": "256MB"}
    if work is not None:
        settings["temp_directory"] = str(work)
    return duckdb.connect(config=settings)


def _hashes(statement: Statement, dataset: Dataset) -> np.ndarray:
    with single_threaded() as connection:
        parts = [hash_ids(connection, batch.column(KEY)) for batch in statement.batches(dataset, [KEY])]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _without_superseded(
    dataset: Dataset,
    statements: tuple[Statement, ...],
    hashes: Sequence[np.ndarray],
    suspects: np.ndarray,
    work: Path,
) -> Standing:
    """Compare the record ids of the rows whose hashes repeat or are taken away, and find those that stand no more."""
    with single_threaded(work) as connection:
        connection.execute(SUSPECTS)
        connection.execute(GONE)
        _note_gone(connection, statements)
        for number, statement in enumerate(statements):
            places = suspected(hashes[number], suspects)
            if len(places):
                _note(connection, statement.batches(dataset, [KEY]), number, places)
        found = connection.execute(SUPERSEDED).fetchnumpy()
    files, rows = np.asarray(found["file"]), np.asarray(found["place"], np.int64)
    deleted: dict[str, int] = {}
    for number, statement in enumerate(statements):
        mine = int(np.asarray(found["deleted"], bool)[files == number].sum())
        deleted[statement.feed] = deleted.get(statement.feed, 0) + mine
    superseded = tuple(rows[files == number] for number in range(len(statements)))
    return Standing(dataset, statements, superseded, deleted)


def _note_gone(connection: duckdb.DuckDBPyConnection, statements: Sequence[Statement]) -> None:
    """Put the record ids that files take away into the table of what is gone."""
    feeds = [statement.feed for statement in statements]
    for number, statement in enumerate(statements):
        ids = statement.deleted()
        if len(ids):
            connection.register("rows", pa.table({KEY: ids}))
            first = feeds.index(statement.feed)
            connection.execute("INSERT INTO gone SELECT record_id, ?, ? FROM rows", [number, first])


def _note(
    connection: duckdb.DuckDBPyConnection, batches: Iterator[pa.RecordBatch], number: int, places: np.ndarray
) -> None:
    """Put the record ids at some places of one statement into the table of suspects."""
    start = 0
    for batch in batches:
        here = places[np.searchsorted(places, start) : np.searchsorted(places, start + batch.num_rows)]
        if len(here):
            ids = batch.column(KEY).take(pa.array(here - start))
            columns = {KEY: ids, "file": pa.repeat(pa.scalar(number, pa.int32()), len(here)), "place": pa.array(here)}
            connection.register("rows", pa.table(columns))
            connection.execute("INSERT INTO suspects SELECT * FROM rows")
        start += batch.num_rows
