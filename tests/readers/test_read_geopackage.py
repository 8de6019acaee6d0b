"""GeoPackage, FlatGeobuf and file geodatabase: what they hold comes as text, and what would be lost is told."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import shapely

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of
from tests.readers.layers import write, zipped

EXPECTED = [
    {"name": "Peñón", "grade": "1.5", "year": "1996", "day": "2026-01-02", "_row": 1},
    {"name": "Ötz", "grade": "2", "year": "2003", "day": "2026-02-03", "_row": 2},
    {"name": None, "grade": None, "year": "2026", "day": None, "_row": 3},
]


def mines(folder: Path) -> Path:
    """Write a GeoPackage of three mines."""
    (folder / "mines.gpkg").unlink(missing_ok=True)
    return write(folder / "mines.gpkg", "GPKG", layer="mines")


def changed(path: Path, *statements: str) -> Path:
    """Do something to a GeoPackage that no GDAL would, with the triggers of its index away."""
    with closing(sqlite3.connect(path)) as database, database:
        for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            database.execute(statement)
    return path


def test_a_geopackages_layer_comes_as_text_with_its_ids_shapes_and_crs(tmp_path: Path) -> None:
    outcome = opened(mines(tmp_path), "geopackage", tmp_path)
    table = rows_of(outcome)
    assert table.drop_columns(["_wkb", "fid"]).to_pylist() == EXPECTED
    assert (table["fid"].to_pylist(), outcome.crs) == (["1", "2", "3"], "EPSG:3067")
    assert shapely.to_wkt(shapely.from_wkb(table["_wkb"][0].as_py())) == "POINT Z (10 60 5)"
    assert [(issue["rule"], issue["found"]) for issue in outcome.issues] == [("read.shapes", "3 Point Z")]


def test_of_several_layers_the_feed_names_one(tmp_path: Path) -> None:
    path = mines(tmp_path)
    write(path, "GPKG", places=("POINT Z (1 2 3)",), layer="pits", append=True)
    refused = opened(path, "geopackage", tmp_path)
    assert rules_of(refused) == [("read.layer_missing", "error", None)]
    assert refused.issues[0]["found"] == "2 layers: 'mines', 'pits'"
    assert opened(path, "geopackage", tmp_path, layer="pits").rows == 1


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("UPDATE mines SET grade = 'n/a' WHERE fid = 2", '"grade": "n/a"'),
        ("UPDATE mines SET year = 2003.5 WHERE fid = 2", '"year": 2003.5'),
        ("UPDATE mines SET day = 'spring 2003' WHERE fid = 2", '"day": "spring 2003"'),
    ],
    ids=["text among numbers", "a part of a whole number", "no date"],
)
def test_a_value_that_does_not_fit_its_column_rejects_its_row(tmp_path: Path, change: str, value: str) -> None:
    outcome = opened(changed(mines(tmp_path), change), "geopackage", tmp_path)
    assert rows_of(outcome)["fid"].to_pylist() == ["1", "3"]
    assert ("read.bad_value", "error", 2) in rules_of(outcome)
    assert value in next(issue["found"] for issue in outcome.issues if issue["row"] == 2)


def test_a_shape_that_is_damaged_is_told_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = changed(
        mines(tmp_path),
        "UPDATE mines SET geom = substr(geom, 1, 12) WHERE fid = 2",
        "UPDATE mines SET geom = NULL WHERE fid = 3",
    )
    outcome = opened(path, "geopackage", tmp_path)
    table = rows_of(outcome)
    assert (table["fid"].to_pylist(), table["_wkb"].is_null().to_pylist()) == (["1", "3"], [False, True])
    assert [rule for rule in rules_of(outcome) if rule[1] == "error"] == [("read.bad_shape", "error", 2)]


def test_a_table_without_shapes_is_read_too(tmp_path: Path) -> None:
    path = changed(
        mines(tmp_path),
        "CREATE TABLE owners (id INTEGER PRIMARY KEY, owner TEXT)",
        "INSERT INTO owners VALUES (7, 'Norland Nickel'), (9, NULL)",
        "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('owners', 'attributes', 'owners')",
    )
    table = rows_of(opened(path, "geopackage", tmp_path, layer="owners"))
    assert table.to_pylist() == [
        {"id": "7", "owner": "Norland Nickel", "_row": 1},
        {"id": "9", "owner": None, "_row": 2},
    ]


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("CREATE VIEW v AS SELECT * FROM mines", "a view 'v'"),
        ("CREATE TRIGGER t AFTER INSERT ON mines BEGIN SELECT 1; END", "a trigger 't'"),
        ("CREATE VIRTUAL TABLE f USING fts3(x)", "a virtual table 'f'"),
    ],
    ids=["view", "trigger", "virtual table"],
)
def test_what_could_run_code_is_refused(tmp_path: Path, statement: str, what: str) -> None:
    outcome = opened(changed(mines(tmp_path), statement), "geopackage", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [("read.refused", "error", None)])
    assert outcome.issues[0]["found"] == what


def test_a_geopackage_in_wal_mode_is_read(tmp_path: Path) -> None:
    path = mines(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    assert opened(path, "geopackage", tmp_path).rows == 3


def test_a_geopackage_that_was_cut_is_refused(tmp_path: Path) -> None:
    content = mines(tmp_path).read_bytes()
    for size in (15, 100, len(content) // 2):
        outcome = opened(content[:size], "geopackage", tmp_path)
        assert outcome.path is None, size
        assert rules_of(outcome)[-1][0] in ("read.not_geopackage", "read.malformed"), size


def test_measures_come_along_and_curves_are_refused(tmp_path: Path, shared: Path) -> None:
    folder = shared / "badinputs/upstream/geopandas__pyogrio/pyogrio/tests/fixtures"
    measured = opened(folder / "line_zm.gpkg", "geopackage", tmp_path)
    assert shapely.has_m(shapely.from_wkb(rows_of(measured)["_wkb"][0].as_py()))
    assert [(issue["rule"], issue["found"]) for issue in measured.issues] == [("read.shapes", "1 LineString ZM")]
    for name in ("curve", "curvepolygon", "multisurface"):
        outcome = opened(folder / f"{name}.gpkg", "geopackage", tmp_path)
        assert rules_of(outcome) == [("read.curves", "error", None)]


def test_a_flatgeobuf_comes_as_text(tmp_path: Path) -> None:
    outcome = opened(write(tmp_path / "mines.fgb", "FlatGeobuf", SPATIAL_INDEX="NO"), "flatgeobuf", tmp_path)
    days = [row["day"] and row["day"] + "T00:00:00" for row in EXPECTED]  # the format has no dates without a time
    assert rows_of(outcome)["day"].to_pylist() == days
    assert rows_of(outcome).select(["name", "grade", "year"]).to_pylist() == [
        {name: row[name] for name in ("name", "grade", "year")} for row in EXPECTED
    ]
    assert outcome.crs == "EPSG:3067"
    content = (tmp_path / "mines.fgb").read_bytes()
    for size in (4, 60, len(content) - 40):
        cut = opened(content[:size], "flatgeobuf", tmp_path)
        assert cut.path is None, size


def test_a_layer_without_a_coordinate_system_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "mines.fgb", "FlatGeobuf", crs=None)
    assert ("read.crs_missing", "warning", None) in rules_of(opened(path, "flatgeobuf", tmp_path))


def test_a_file_geodatabase_comes_out_of_its_archive(tmp_path: Path) -> None:
    folder = write(tmp_path / "Mines.gdb", "OpenFileGDB", layer="mines")
    archive = zipped(folder, tmp_path / "mines.zip")
    outcome = opened(archive, "filegdb", tmp_path)
    table = rows_of(outcome)
    assert table["OBJECTID"].to_pylist() == ["1", "2", "3"]
    assert table["name"].to_pylist() == ["Peñón", "Ötz", None]
    assert outcome.crs == "EPSG:3067"
    small = opened(archive, "filegdb", tmp_path, limits=Limits(unpacked_bytes=10_000))
    assert rules_of(small) == [("read.too_large", "error", None)]
    loose = opened(folder / "a00000001.gdbtable", "filegdb", tmp_path)
    assert rules_of(loose) == [("read.not_filegdb", "error", None)]
