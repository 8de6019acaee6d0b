"""Opening a catalogue: which database, how it is spoken to, and how it is brought to the newest tables."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from pipelines.catalogue.records import Catalogue
from pipelines.catalogue.tables import HEAD
from pipelines.errors import ContractError, SourceError

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE = 60
"""Seconds to wait for another writer before giving up."""

MIGRATION_LOCK = 7_228_104_553
"""The advisory lock that PostgreSQL's openers agree on; any number that no other program uses."""


def open_catalogue(url: str) -> Catalogue:
    """Open the catalogue at an address, making its tables or bringing them to the newest version first.

    Any number of processes may open one catalogue at once: one of them migrates while the others wait.

    Parameters
    ----------
    url : ``sqlite:///<absolute path>`` or ``postgresql://user:password@host/database``.

    Raises
    ------
    ContractError
        If the address is not one of these, or the tables are newer than this software.
    SourceError
        If the database cannot be reached.
    """
    address = _address(url)
    engine = _sqlite(address) if address.get_backend_name() == "sqlite" else _postgresql(address)
    try:
        if _revision(engine) != HEAD:
            _bring_to_head(engine)
    except DBAPIError as error:
        shown = address.render_as_string(hide_password=True)
        raise SourceError(f"catalogue {shown}: cannot be opened: {error.orig}") from error
    return Catalogue(engine)


def _address(url: str) -> URL:
    """Read a catalogue's address, giving PostgreSQL the driver that we install."""
    wanted = "want sqlite:///<absolute path> or postgresql://..."
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise ContractError(f"catalogue address cannot be read; {wanted}") from error
    kind = address.drivername.partition("+")[0]
    if kind in {"postgres", "postgresql"}:
        return address.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or address.database in {None, "", ":memory:"}:
        raise ContractError(
            f"catalogue address {address.render_as_string(hide_password=True)!r} keeps nothing; {wanted}"
        )
    return address


def _sqlite(address: URL) -> Engine:
    """Prepare for SQLite: no connection outlives its transaction, so a forked worker inherits none."""
    Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": PATIENCE})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Hold foreign keys, flush every commit, and leave the beginning of transactions to us."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    """Begin; a writer takes its lock at once, for one that reads first may find that it can no longer write."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(address: URL) -> Engine:
    """Prepare for PostgreSQL, with an end to every wait."""
    limits = f"-c lock_timeout={PATIENCE}s -c idle_in_transaction_session_timeout={10 * PATIENCE}s"
    return create_engine(address, poolclass=NullPool, connect_args={"connect_timeout": PATIENCE, "options": limits})


def _revision(engine: Engine) -> str | None:
    """Give the version of a database's tables, None when it has none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def _bring_to_head(engine: Engine) -> None:
    """Migrate, one process at a time."""
    with _alone(engine) as connection:
        migrate(connection)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Give a transaction that no other process migrates beside."""
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _write_ahead(engine)
            with engine.execution_options(writes=True).begin() as connection:
                yield connection
        return
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        yield connection


def _write_ahead(engine: Engine) -> None:
    """Let SQLite's readers go on while one writes; the database remembers it."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def migrate(connection: Connection, revision: str = HEAD) -> None:
    """Bring a database's tables up to a revision, inside the connection's own transaction.

    Raises
    ------
    ContractError
        If the tables are at a revision that this software does not know.
    """
    # Alembic loads only when there is something to migrate: opening a catalogue that is up to date stays cheap.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise ContractError(
            f"catalogue's tables are not of this software, which knows them up to {HEAD}: {error}"
        ) from error
