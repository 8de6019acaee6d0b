"""Rows of real databases: SQLite, and PostgreSQL with PostGIS."""

import json
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.connectors import fetch
from pipelines.contracts import Table
from pipelines.errors import ContractError, RejectedError, SourceError
from pipelines.land import land
from pipelines.read import read
from tests.partners import feed_of, rows_of, settings_in

SITES = """
CREATE TABLE sites (id INTEGER, name TEXT, grade REAL, note TEXT);
INSERT INTO sites VALUES (3, 'Berg "Stor", nord', 0.1, ''), (1, 'Elv', NULL, NULL), (2, 'Vik', 12.5, 'to\nlines');
CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id FROM n;
CREATE TABLE none (id INTEGER);
CREATE TABLE twice (id INTEGER);
INSERT INTO twice VALUES (1), (2), (2);
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder whose drop has an SQLite database."""
    settings = settings_in(tmp_path)
    (settings.drop / "norland").mkdir()
    with sqlite3.connect(settings.drop / "norland" / "sites.db") as database:
        database.executescript(SITES)
    database.close()
    return tmp_path


def table_of(reader: str = "delimited", url: str = "sqlite:///norland/sites.db", **options: Any) -> dict[str, Any]:  # noqa: ANN401
    given = {"table": "sites", "key": ["id"], **options}
    return {
        "connector": "sql",
        "reader": reader,
        "url": url,
        "options": {k: v for k, v in given.items() if v is not None},
    }


def fetched(folder: Path, **options: Any) -> Path:  # noqa: ANN401
    """Fetch one table and give the file."""
    credentials = {"credentials": options.pop("credentials")} if "credentials" in options else {}
    table = Table(**{**table_of(**options), **credentials})
    (file,) = fetch(table, folder, feed="norland_sites", settings=settings_in(folder))
    return file.path


def test_rows_come_in_the_order_of_their_key_and_the_same_bytes_come_again(folder: Path) -> None:
    settings = settings_in(folder)
    feed = feed_of(sites=table_of())
    delivery = land(feed, settings)
    assert [file.name for file in delivery.files] == ["sites.csv"]
    assert land(feed, settings, previous=delivery).unchanged
    report = read(delivery, feed.tables, folder / "run").tables["sites"]
    rows = rows_of(report)
    assert rows["id"].to_pylist() == ["1", "2", "3"]
    assert rows["name"].to_pylist() == ["Elv", "Vik", 'Berg "Stor", nord']
    assert rows["grade"].to_pylist()[1:] == ["12.5", "0.1"]


def test_a_select_shapes_the_rows(folder: Path) -> None:
    found = pq.read_table(
        fetched(
            folder,
            reader="geoparquet",
            table=None,
            select="SELECT id, note FROM sites WHERE id > 1 AND (name LIKE '%r%' OR name LIKE 'V%')",
        )
    )
    assert found.to_pylist() == [{"id": "2", "note": "to\nlines"}, {"id": "3", "note": ""}]


REFUSED = {
    "either table or select": ({"table": None}, ContractError),
    "one SELECT": ({"table": None, "select": "DELETE FROM sites"}, ContractError),
    "without a semicolon": ({"table": None, "select": "SELECT 1 AS id; SELECT 2"}, ContractError),
    "no such table: pits": ({"table": "pits"}, SourceError),
    "no such column: q.number": ({"key": ["number"]}, SourceError),
    "the connector sql needs key": ({"key": []}, ContractError),
    "key .'grade'. is empty": ({"key": ["grade"]}, RejectedError),
    "key .'id'. stands twice: .'2'.": ({"table": "twice"}, RejectedError),
    "has no rows": ({"table": "none"}, SourceError),
    "interrupted": ({"table": "endless", "deadline_s": 0.5}, SourceError),
    "larger than 10 bytes": ({"max_bytes": 10}, RejectedError),
    "writes for the readers": ({"reader": "xlsx"}, ContractError),
    "stay below it": ({"url": "sqlite:///../sites.db"}, ContractError),
    "'/etc/passwd' must be relative": ({"url": "sqlite:////etc/passwd"}, ContractError),
    "is not in the drop": ({"url": "sqlite:///norland/none.db"}, SourceError),
    "name credentials": ({"url": "postgresql://me:word@example.org/a"}, ContractError),
    "not a public address": ({"url": "postgresql://127.0.0.1/a"}, RejectedError),
    "no such database": ({"url": "dbase://127.0.0.1/a", "allow_private": True}, ContractError),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_read_is_refused(folder: Path, words: str) -> None:
    options, error = REFUSED[words]
    with pytest.raises(error, match=words):
        fetched(folder, **options)
    assert not [path for path in folder.iterdir() if path.is_file()]


def test_a_database_in_the_drop_is_left_as_it_is(folder: Path) -> None:
    path = folder / "drop" / "norland" / "sites.db"
    before = path.read_bytes()
    fetched(folder)
    with pytest.raises(SourceError, match="not authorized"):
        fetched(folder, table=None, select="SELECT load_extension('x') AS id")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["sites.db"]


@pytest.fixture(scope="module")
def database(postgis: str) -> Iterator[str]:
    """Give a PostGIS database with sites, and a user who may read them."""
    with psycopg.connect(postgis, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION postgis")
        connection.execute("CREATE SCHEMA register")
        connection.execute(
            "CREATE TABLE register.sites (id bigint PRIMARY KEY, name text, tonnes numeric(20, 3), seen timestamptz, "
            "tags text[], open boolean, place geometry(Point, 25833))"
        )
        connection.execute(
            "INSERT INTO register.sites SELECT i, 'Site ' || i, i + 0.125, '2026-03-01 12:00+01', ARRAY['a', 'b'], "
            "i % 2 = 0, ST_SetSRID(ST_MakePoint(500000 + i, 6700000), 25833) FROM generate_series(25000, 1, -1) i"
        )
        connection.execute("UPDATE register.sites SET place = NULL, tonnes = NULL WHERE id = 2")
        connection.execute("CREATE USER reader PASSWORD 'r34der-canary'")
        connection.execute("GRANT USAGE ON SCHEMA register TO reader")
        connection.execute("GRANT SELECT, INSERT ON register.sites TO reader")
    return postgis


@pytest.fixture
def served(database: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give what a feed says to reach the database, with the user's password where the feed finds it."""
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_DB_USER", "reader")
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_DB_PASSWORD", "r34der-canary")
    port = dict(word.split("=") for word in database.split())["port"]
    address = {"url": f"postgresql://127.0.0.1:{port}/postgres", "credentials": "NORLAND_DB", "allow_private": True}
    return {"reader": "geoparquet", "table": "register.sites", **address}


@pytest.mark.slow
def test_a_table_of_postgis_comes_with_its_shapes_and_exact_values(served: dict[str, Any], tmp_path: Path) -> None:
    path = fetched(tmp_path, **served, geometry="place")
    assert pq.read_metadata(path).num_row_groups == 3
    found = pq.read_table(path)
    assert found.num_rows == 25_000
    assert found["id"].to_pylist() == [str(number) for number in range(1, 25_001)]
    first, second = found.slice(0, 2).drop(["place"]).to_pylist()
    assert first == {
        "id": "1",
        "name": "Site 1",
        "tonnes": "1.125",
        "seen": "2026-03-01T11:00:00+00:00",
        "tags": '["a","b"]',
        "open": "false",
    }
    assert second["tonnes"] is None
    assert shapely.from_wkb(found["place"][0].as_py()).wkt == "POINT (500001 6700000)"
    assert found["place"][1].as_py() is None
    geo = json.loads(found.schema.metadata[b"geo"])
    assert geo["columns"]["place"]["crs"]["id"] == {"authority": "EPSG", "code": 25833}


@pytest.mark.slow
def test_nothing_can_be_written_and_time_is_bounded(served: dict[str, Any], tmp_path: Path) -> None:
    writing = "WITH w AS (INSERT INTO register.sites (id) VALUES (0) RETURNING id) SELECT id FROM w"
    with pytest.raises((ContractError, SourceError), match="data-modifying|read-only"):
        fetched(tmp_path, **{**served, "table": None, "select": writing})
    slow = "SELECT 1 AS id, pg_sleep(30)::text AS s"
    with pytest.raises(SourceError, match="statement timeout"):
        fetched(tmp_path, **{**served, "table": None, "select": slow, "deadline_s": 1})


@pytest.mark.slow
def test_a_wrong_password_is_told_without_it(
    served: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MINERALS_SECRET_NORLAND_DB_PASSWORD", "wr0ng-canary")
    with pytest.raises(SourceError, match="password authentication failed") as caught:
        fetched(tmp_path, **served)
    assert "canary" not in "".join(traceback.format_exception(caught.value)) + caplog.text


@pytest.mark.slow
def test_shapes_in_two_systems_are_refused(served: dict[str, Any], tmp_path: Path) -> None:
    mixed = "SELECT id, ST_SetSRID(place, CASE WHEN id > 9 THEN 25833 ELSE 25832 END) AS place FROM register.sites"
    with pytest.raises(RejectedError, match=r"several systems: \[25832, 25833\]"):
        fetched(tmp_path, **{**served, "table": None, "select": mixed, "geometry": "place"})


@pytest.mark.slow
def test_columns_of_one_name_are_refused(served: dict[str, Any], tmp_path: Path) -> None:
    select = "SELECT id, name, open AS name FROM register.sites WHERE name LIKE 'Site 1%'"
    with pytest.raises(ContractError, match=r"the columns \['name'\] come twice"):
        fetched(tmp_path, **{**served, "table": None, "select": select})
