"""Rows of one table, or of one SELECT, of a database that SQLAlchemy speaks to.

Everything happens in one read-only transaction: the rows are counted, then streamed in the order of their key into one
file, which is the delivery. Values are kept as text, exactly; a geometry of PostGIS becomes WKB.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import sqlalchemy as sa
from pyproj import CRS
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from pipelines.connectors import addresses, credentials
from pipelines.connectors.fetched import BLOCK_BYTES, Fetched, take
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.settings import Settings

OPTIONS: dict[str, tuple[type, ...]] = {
    "table": (str,),
    "select": (str,),
    "key": (list, tuple),
    "geometry": (str,),
    "allow_private": (bool,),
    "max_bytes": (int,),
    "deadline_s": (int, float),
}
SUFFIXES = {"delimited": ".csv", "geoparquet": ".parquet"}
"""Readers that can open what is written here."""
DRIVERS = {"postgresql": "postgresql+psycopg"}
WKB = "_wkb_"
BATCH_ROWS = 10_000
STEPS = 10_000
"""Instructions of SQLite between looks at the clock."""
DEADLINE_S = 3600.0
CONNECT_S = 30
MAX_BYTES = 8 << 30


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Write the rows of a table or a SELECT into one file.

    Parameters
    ----------
    table : has `url` (`postgresql://host/database`, or `sqlite:///` and a path under the drop root), without a user;
        options `table` (with its schema) or `select`, `key` (columns that name a row; rows come in their order),
        `geometry` (a column of PostGIS), `allow_private`, `max_bytes`, `deadline_s`. The reader says what is written:
        GeoParquet for `geoparquet`, CSV for `delimited`. Its `credentials` have USER and PASSWORD.
    folder : where the file goes, named by its SHA-256.
    feed : name of the feed, for messages.
    settings : has the drop root.
    previous : not used; the same rows give the same bytes.

    Raises
    ------
    SourceError
        If the database cannot be had in time, or another number of rows comes than was counted.
    RejectedError
        If two rows share a key, or one has none.
    ContractError
        If the address, the SELECT or a column is wrong.
    """
    shown = credentials.load(table.credentials, (("USER", "PASSWORD"),))
    with shown.kept(feed):
        job = _job(table, time.monotonic() + float(table.options.get("deadline_s", DEADLINE_S)))
        engine = _engine(table, settings.drop, parts=shown.parts, until=job.until)
        partial = folder / f".{uuid4().hex}"
        try:
            with _explained(job.shown), engine.connect() as connection, _reading(connection, job):
                _copy(connection, job, partial)
            with partial.open("rb") as file:
                path, sha256, size = take(iter(lambda: file.read(BLOCK_BYTES), b""), folder)
        finally:
            partial.unlink(missing_ok=True)
            engine.dispose()
        return [Fetched(job.name, f"{job.shown}/{job.name}", path, sha256, size)]


@dataclass(frozen=True)
class _Job:
    """What is read, and how far."""

    shown: str
    name: str
    query: str
    key: tuple[str, ...]
    geometry: str | None
    until: float
    max_bytes: int


def _job(table: Table, until: float) -> _Job:
    if table.reader not in SUFFIXES:
        raise ContractError(f"the connector sql writes for the readers {sorted(SUFFIXES)}, not {table.reader!r}")
    name, select = table.options.get("table"), table.options.get("select")
    if (name is None) == (select is None):
        raise ContractError("give either table or select in the options")
    if select is not None and (";" in select or select.split(None, 1)[0].upper() not in ("SELECT", "WITH")):
        raise ContractError("select must be one SELECT, without a semicolon")
    whole = f"SELECT * FROM {'.'.join(_quoted(part) for part in str(name).split('.'))}"  # noqa: S608 - names are quoted
    return _Job(
        shown=addresses.redact(table.url or ""),
        name=f"{name or 'select'}{SUFFIXES[table.reader]}",
        query=select or whole,
        key=tuple(str(column) for column in table.options["key"]),
        geometry=table.options.get("geometry"),
        until=until,
        max_bytes=int(table.options.get("max_bytes", MAX_BYTES)),
    )


def _engine(table: Table, drop: Path, *, parts: dict[str, str], until: float) -> Engine:
    """Make an engine without a pool; nothing is connected yet."""
    try:
        url = make_url(table.url or "")
    except SQLAlchemyError as error:
        raise ContractError(f"{addresses.redact(table.url or '')}: not an address of a database") from error
    if url.username or url.password:
        raise ContractError("a user or a password stands in the url; name credentials in its place")
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, drop)
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    url = url.set(username=parts.get("USER"), password=parts.get("PASSWORD"))
    private = bool(table.options.get("allow_private", False))
    arguments: dict[str, Any] = {}
    if url.host:
        asked = addresses.look_up(url.host, url.port or 0, shown=table.url or "", allow_private=private)
        numeric = asyncio.run(asked)
        arguments = {"hostaddr": numeric} if url.get_backend_name() == "postgresql" else {}
    elif not private:
        raise RejectedError(f"{addresses.redact(table.url or '')}: names no host; allow_private permits this machine")
    if url.get_backend_name() == "postgresql":
        milliseconds = max(1, int((until - time.monotonic()) * 1000))
        arguments |= {"connect_timeout": CONNECT_S, "options": f"-c statement_timeout={milliseconds} -c TimeZone=UTC"}
        arguments |= {} if private or "sslmode" in url.query else {"sslmode": "require"}
    try:
        return sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments, hide_parameters=True)
    except (SQLAlchemyError, ImportError) as error:
        raise ContractError(f"{url.drivername}: no such database is spoken to here") from error


def _sqlite(url: URL, drop: Path) -> Engine:
    place = PurePosixPath(url.database or "")
    path = (drop / place).resolve()
    if place.is_absolute() or not place.name or not path.is_relative_to(drop.resolve()):
        raise ContractError(f"{url.database!r} must be relative to the drop root and stay below it")
    if not path.is_file():
        raise SourceError(f"{url.database!r} is not in the drop")
    return sa.create_engine(f"sqlite:///file:{path.as_posix()}?mode=ro&uri=true", poolclass=sa.NullPool)


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    """Say in a line what a database refuses."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        late = isinstance(error, OperationalError) or getattr(error, "connection_invalidated", False)
        kind = SourceError if late or not isinstance(error, DBAPIError) else ContractError
        raise kind(f"{shown}: {cause}") from error


@contextmanager
def _reading(connection: Connection, job: _Job) -> Iterator[None]:
    """Hold one read-only transaction, which sees one state of the database."""
    if connection.dialect.name == "sqlite":
        connection.execution_options(isolation_level="AUTOCOMMIT")
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: time.monotonic() > job.until, STEPS)
        connection.exec_driver_sql("PRAGMA trusted_schema = off")
        connection.exec_driver_sql("PRAGMA query_only = on")
        connection.exec_driver_sql("BEGIN")
    elif connection.dialect.name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    yield
    connection.rollback()


def _copy(connection: Connection, job: _Job, target: Path) -> None:
    """Write the rows to a file, and compare their number with what was counted."""
    connection.execution_options(no_parameters=True)  # else a % in a select would be taken for a parameter
    declared = int(connection.exec_driver_sql(f"SELECT count(*) FROM ({job.query}) AS q").scalar_one())  # noqa: S608 - the feed's own query
    order = ", ".join(f"q.{_quoted(column)}" for column in job.key)
    wkb = f", ST_AsBinary(q.{_quoted(job.geometry)}) AS {WKB}" if job.geometry else ""
    ordered = f"SELECT q.*{wkb} FROM ({job.query}) AS q ORDER BY {order}"  # noqa: S608 - the feed's own query
    metadata = _geo(connection, job) if job.geometry else {}
    connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
    result = connection.exec_driver_sql(ordered)
    names = list(result.keys())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ContractError(f"{job.shown}: the columns {twice} come twice; name them apart in a select")
    schema = _schema([name for name in names if name != WKB], job.geometry, metadata)
    keys = [names.index(column) for column in job.key]
    fetched, last = 0, None
    make = pq.ParquetWriter if job.name.endswith(".parquet") else pa.csv.CSVWriter
    with make(target, schema) as writer:
        for rows in result.partitions(BATCH_ROWS):
            last = _check_keys([tuple(row[place] for place in keys) for row in rows], last, job)
            writer.write_table(_table(names, rows, schema, job.geometry))
            fetched += len(rows)
            _check_bounds(target, job)
    written = pq.read_metadata(target).num_rows if job.name.endswith(".parquet") else fetched
    if not declared == fetched == written:
        words = f"{declared} declared, {fetched} fetched, {written} written"
        raise SourceError(f"{job.shown}: not complete: {words}; nothing is delivered")
    if not fetched:
        raise SourceError(f"{job.shown}: {job.name} has no rows")


def _check_bounds(target: Path, job: _Job) -> None:
    if time.monotonic() > job.until:
        raise SourceError(f"{job.shown}: not done in time")
    if target.stat().st_size > job.max_bytes:
        raise RejectedError(f"{job.shown}: {job.name} is larger than {job.max_bytes} bytes")


def _check_keys(keys: list[tuple[Any, ...]], last: tuple[Any, ...] | None, job: _Job) -> tuple[Any, ...]:
    """Refuse a key that is empty or comes twice; rows come in its order, so that equal ones are neighbours."""
    for before, key in zip([last, *keys], keys, strict=False):
        if None in key or key == before:
            words = "is empty" if None in key else "stands twice"
            raise RejectedError(f"{job.shown}: the key {list(job.key)} {words}: {list(map(str, key))}")
    return keys[-1]


def _schema(names: list[str], geometry: str | None, metadata: dict[str, str]) -> pa.Schema:
    kinds = [pa.field(name, pa.binary() if name == geometry else pa.string()) for name in names]
    return pa.schema(kinds, metadata=metadata or None)


def _table(names: Sequence[str], rows: Sequence[Any], schema: pa.Schema, geometry: str | None) -> pa.Table:
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    if geometry:
        columns[geometry] = columns.pop(WKB)
    arrays = [
        pa.array(columns[field.name] if field.name == geometry else list(map(_text, columns[field.name])), field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever a database holds
    """Write a value exactly, as a reader of text would expect it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | clock):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)


def _geo(connection: Connection, job: _Job) -> dict[str, str]:
    """Give GeoParquet's metadata; the shapes must all be in one system."""
    column = f"q.{_quoted(job.geometry or '')}"
    found = connection.exec_driver_sql(
        f"SELECT DISTINCT ST_SRID({column}) FROM ({job.query}) AS q WHERE {column} IS NOT NULL"  # noqa: S608 - the feed's own query
    ).scalars()
    systems = sorted(found)
    if len(systems) > 1:
        raise RejectedError(f"{job.shown}: the shapes are in several systems: {systems}")
    crs = CRS.from_epsg(systems[0]).to_json_dict() if systems and systems[0] else None
    if systems == [4326]:
        crs = CRS("OGC:CRS84").to_json_dict()  # PostGIS gives longitude first
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "crs": crs}
    geo = {"version": "1.1.0", "primary_column": job.geometry, "columns": {job.geometry: about}}
    return {"geo": json.dumps(geo, sort_keys=True)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
