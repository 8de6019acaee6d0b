"""Shapefiles: shapes as WKB, attributes as text, and what the parts leave unsaid is told."""

from pathlib import Path

import pytest
import shapely

from tests.partners import opened, rows_of, rules_of

PITS = "usgs-usmin/usmin-selected"


def parts_of(file: Path, *suffixes: str) -> tuple[Path, ...]:
    """Give the parts beside a .shp."""
    return tuple(file.with_suffix(suffix) for suffix in suffixes)


def test_mine_symbols_come_with_shapes_text_and_crs(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / f"{PITS}.shp"
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj"))
    table = rows_of(outcome)
    assert (outcome.rows, outcome.crs) == (4404, "EPSG:4326")
    assert table["_row"].to_pylist() == list(range(1, 4405))
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["gid"], first["ftr_type"], first["ftr_name"], first["longitude"]) == (
        "365865",
        "Borrow Pit",
        None,
        "-121.9139",
    )
    assert shapely.from_wkb(first["_wkb"]).x == pytest.approx(-121.9139, abs=0.001)
    assert rules_of(outcome) == [("read.encoding_assumed", "info", None)]


@pytest.mark.parametrize(
    ("name", "rows", "crs"),
    [("gsi-ngdr-structures/Fold", 123, "EPSG:4326"), ("ga-geochem-sites/geochem_sites", 1026, "EPSG:4283")],
)
def test_other_agencies_shapefiles_have_all_records(
    tmp_path: Path, shared: Path, name: str, rows: int, crs: str
) -> None:
    file = shared / "data" / f"{name}.shp"
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj"))
    assert (outcome.rows, outcome.crs, outcome.rejected) == (rows, crs, 0)


def test_dates_are_iso_and_whole_numbers_have_no_point(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/ga-geochem-sites/geochem_sites.shp"
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj"))
    first = rows_of(outcome).slice(0, 1).to_pylist()[0]
    assert (first["Extraction"], first["GSWANO"], first["DLat"]) == ("2014-06-02", "131001", "27.93572")


def test_a_missing_projection_is_told(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / f"{PITS}.shp"
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx"))
    assert (outcome.rows, outcome.crs) == (4404, None)
    assert ("read.crs_missing", "warning", None) in rules_of(outcome)


def test_a_shapefile_without_its_table_is_refused(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / f"{PITS}.shp"
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".shx"))
    assert (outcome.path, outcome.issues[-1]["found"]) == (None, "no .dbf")


def test_a_shapefile_that_was_cut_is_refused(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / f"{PITS}.shp"
    cut = tmp_path / "cut.shp"
    for size in (4, 60, 100, 50_000):
        cut.write_bytes(file.read_bytes()[:size])
        outcome = opened(cut, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj"))
        assert outcome.path is None, size
        assert rules_of(outcome)[-1] == ("read.malformed", "error", None)


def test_parts_of_different_shapefiles_are_refused(tmp_path: Path, shared: Path) -> None:
    file = shared / "data" / f"{PITS}.shp"
    other = shared / "data/gsi-ngdr-structures/Fold.dbf"
    outcome = opened(file, "shapefile", tmp_path, parts=(other, *parts_of(file, ".shx")))
    assert (outcome.path, outcome.issues[-1]["found"]) == (None, ".shx tells of 4404 records and .dbf of 123")


def test_other_formats_cannot_come_in_under_the_name(tmp_path: Path, shared: Path) -> None:
    for name in ("vrt/masquerade.geojson", "gpkg/ok.gpkg", "xml/ok.gml", "geojson/crs_injection.geojson"):
        outcome = opened(shared / "badinputs/generated" / name, "shapefile", tmp_path)
        assert rules_of(outcome) == [("read.not_shapefile", "error", None)]
