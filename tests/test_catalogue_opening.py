"""A catalogue can be opened by anyone at any time, on both engines, and is then up to date."""

import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from pipelines.catalogue import open_catalogue
from pipelines.catalogue.opening import MIGRATIONS
from pipelines.catalogue.tables import HEAD, Base
from pipelines.errors import ContractError, SourceError

pytest_plugins = ["tests.postgres"]


def open_and_deliver(url: str, number: int) -> tuple[int, int]:
    catalogue = open_catalogue(url)
    told: dict[str, Any] = {"partner": "gsi", "received_at": datetime.now(UTC), "mode": "delta", "files": []}
    catalogue.add_delivery("gsi_deposits", "shared", folder="landing/shared", **told)
    own = catalogue.add_delivery("gsi_deposits", f"own{number}", folder=f"landing/{number}", **told)
    run = catalogue.start_run("gsi_deposits", "shared", fingerprint=str(number), folder=f"work/{number}")
    return own.arrived, run


def test_four_processes_open_one_new_catalogue_at_once(catalogue_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        done = list(pool.map(open_and_deliver, [catalogue_url] * 8, range(8)))
    arrived, runs = zip(*done, strict=True)
    assert len(set(runs)) == 8
    deliveries = open_catalogue(catalogue_url).deliveries("gsi_deposits")
    assert {one.id for one in deliveries} == {"shared", *(f"own{number}" for number in range(8))}
    assert len({one.arrived for one in deliveries}) == 9
    assert set(arrived) <= set(range(1, 20))


def test_opening_a_catalogue_that_is_up_to_date_is_cheap_and_loads_no_alembic(catalogue_url: str) -> None:
    open_catalogue(catalogue_url)
    program = (
        "import sys; from pipelines.catalogue import open_catalogue\n"
        "open_catalogue(sys.argv[1])\n"
        "print([name for name in ('alembic', 'pandas', 'pyarrow', 'duckdb', 'airflow') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program, catalogue_url], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
    began = time.perf_counter()
    for _ in range(10):
        open_catalogue(catalogue_url)
    assert time.perf_counter() - began < 2


def test_migrations_make_exactly_the_tables_that_the_code_knows(catalogue_url: str) -> None:
    with open_catalogue(catalogue_url).engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_a_catalogue_of_newer_software_is_refused(catalogue_url: str) -> None:
    with open_catalogue(catalogue_url).engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ContractError, match="9999"):
        open_catalogue(catalogue_url)


def test_sqlite_holds_foreign_keys_and_lets_readers_go_on(tmp_path: Path) -> None:
    catalogue = open_catalogue(f"sqlite:///{tmp_path / 'new folder' / 'catalogue.db'}")
    with catalogue.engine.connect() as connection:
        told = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")]
        assert told == ["wal", 1]
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
        with catalogue._writing():
            assert catalogue.runs() == []


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d"])
def test_an_address_that_keeps_nothing_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ContractError, match="want sqlite") as refused:
        open_catalogue(url)
    assert "secret" not in str(refused.value)


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be opened") as refused:
        open_catalogue(f"postgresql://u:secret@/none?host={tmp_path}")
    assert "secret" not in str(refused.value)
