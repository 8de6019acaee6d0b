"""Shapefiles: shapes as WKB, attributes as text, and what the parts leave unsaid is told."""

import zipfile
from pathlib import Path

import numpy as np
import pyogrio.raw
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


def pits(folder: Path, encoding: str = "UTF-8", names: tuple[str, ...] = ("Mina Peñón", "Ötz", "plain")) -> Path:
    """Write a shapefile of pits, with a .cpg that tells its encoding."""
    folder.mkdir(parents=True, exist_ok=True)
    places = shapely.to_wkb(shapely.points([(10, 60), (11, 61), (12, 62)]))
    pyogrio.raw.write(
        str(folder / "pits.shp"),
        geometry=places,
        field_data=[np.array(names, dtype=object)],
        fields=["NAME"],
        geometry_type="Point",
        crs="EPSG:4326",
        driver="ESRI Shapefile",
        encoding=encoding,
    )
    return folder / "pits.shp"


def packed(folder: Path, *files: Path, **others: bytes) -> Path:
    """Pack shapefiles and other members into one archive, each shapefile in a folder of its own."""
    with zipfile.ZipFile(folder / "packed.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            for part in sorted(file.parent.glob(f"{file.stem}.*")):
                archive.write(part, f"{file.parent.name}/{part.name}")
        for name, content in others.items():
            archive.writestr(name, content)
    return folder / "packed.zip"


def test_a_shapefile_comes_out_of_its_archive(tmp_path: Path) -> None:
    archive = packed(tmp_path, pits(tmp_path / "a"), **{"a/readme.txt": b"hello", "__MACOSX/a/._pits.shp": b"x"})
    outcome = opened(archive, "shapefile", tmp_path)
    table = rows_of(outcome)
    assert table["NAME"].to_pylist() == ["Mina Peñón", "Ötz", "plain"]
    assert (table["_row"].to_pylist(), outcome.crs) == ([1, 2, 3], "EPSG:4326")
    assert shapely.from_wkb(table["_wkb"][2].as_py()).coords[0] == (12, 62)
    assert rules_of(outcome) == [("read.other_members", "info", None)]
    assert outcome.issues[0]["found"] == "a/readme.txt"


def test_of_several_shapefiles_in_an_archive_the_feed_names_one(tmp_path: Path) -> None:
    archive = packed(tmp_path, pits(tmp_path / "a"), pits(tmp_path / "b", names=("x", "y", "z")))
    refused = opened(archive, "shapefile", tmp_path)
    assert rules_of(refused) == [("read.layer_missing", "error", None)]
    assert refused.issues[0]["found"] == "2 layers: 'a/pits', 'b/pits'"
    outcome = opened(archive, "shapefile", tmp_path, layer="b/pits")
    assert rows_of(outcome)["NAME"].to_pylist() == ["x", "y", "z"]
    assert (
        opened(archive, "shapefile", tmp_path, layer="c").issues[0]["found"].startswith("no layer 'c'; have 'a/pits'")
    )


def test_other_peoples_archives_of_shapefiles_are_read_or_refused(tmp_path: Path, shared: Path) -> None:
    folder = shared / "badinputs/upstream/GeospatialPython__pyshp/tests/shapefiles"
    several = opened(folder / "blockgroups_multishapefile.zip", "shapefile", tmp_path)
    assert rules_of(several)[-1] == ("read.layer_missing", "error", None)
    one = opened(folder / "blockgroups_multishapefile.zip", "shapefile", tmp_path, layer="blockgroups")
    assert one.rows == 663
    assert opened(folder / "empty_zipfile.zip", "shapefile", tmp_path).path is None


def test_a_member_that_was_damaged_is_found_by_its_checksum(tmp_path: Path) -> None:
    content = bytearray(packed(tmp_path, pits(tmp_path / "a")).read_bytes())
    place = content.index(b"a/pits.dbf") + 40
    content[place] ^= 0xFF
    outcome = opened(bytes(content), "shapefile", tmp_path)
    assert rules_of(outcome) == [("read.malformed", "error", None)]


@pytest.mark.parametrize("encoding", ["UTF-8", "CP1252", "CP850"])
def test_a_true_cpg_is_followed_without_a_word(tmp_path: Path, encoding: str) -> None:
    file = pits(tmp_path / "a", encoding)
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj", ".cpg"))
    assert rows_of(outcome)["NAME"].to_pylist() == ["Mina Peñón", "Ötz", "plain"]
    assert outcome.issues == ()


def test_a_cpg_that_says_utf8_of_other_bytes_is_found_and_its_rows_are_told(tmp_path: Path) -> None:
    file = pits(tmp_path / "a", "CP1252")
    file.with_suffix(".cpg").write_text("UTF-8")
    parts = parts_of(file, ".dbf", ".shx", ".prj", ".cpg")
    outcome = opened(file, "shapefile", tmp_path, parts=parts)
    assert rows_of(outcome)["NAME"].to_pylist() == ["plain"]
    assert rules_of(outcome) == [
        ("read.encoding_contradicted", "warning", None),
        ("read.encoding", "error", 1),
        ("read.encoding", "error", 2),
    ]
    assert "in cp1252 they read" in outcome.issues[0]["found"]
    mended = opened(file, "shapefile", tmp_path, parts=parts, encoding="cp1252")
    assert rows_of(mended)["NAME"].to_pylist() == ["Mina Peñón", "Ötz", "plain"]
    assert rules_of(mended) == [("read.encoding_contradicted", "info", None)]


def test_a_cpg_that_hides_utf8_is_found(tmp_path: Path) -> None:
    file = pits(tmp_path / "a", "UTF-8")
    file.with_suffix(".cpg").write_text("1252")
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj", ".cpg"))
    assert rules_of(outcome) == [("read.encoding_contradicted", "warning", None)]
    assert "Peñón" in outcome.issues[0]["found"]
    assert rows_of(outcome)["NAME"].to_pylist()[0] == "Mina PeÃ±Ã³n"


@pytest.mark.parametrize(("written", "told"), [("UTF-8", "utf-8"), ("CP1252", "cp1252"), ("CP850", "cp850")])
def test_without_a_cpg_the_bytes_tell_the_encoding(tmp_path: Path, written: str, told: str) -> None:
    file = pits(tmp_path / "a", written)
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj"))
    assert rows_of(outcome)["NAME"].to_pylist() == ["Mina Peñón", "Ötz", "plain"]
    assert rules_of(outcome) == [("read.encoding_assumed", "warning", None)]
    assert outcome.issues[0]["found"].startswith(told)


def test_a_cpg_of_an_unknown_word_is_as_if_there_were_none(tmp_path: Path) -> None:
    file = pits(tmp_path / "a", "CP1252")
    file.with_suffix(".cpg").write_text("best")
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj", ".cpg"))
    assert [rule for rule, _severity, _row in rules_of(outcome)] == ["read.cpg_unknown", "read.encoding_assumed"]
    assert rows_of(outcome)["NAME"][1].as_py() == "Ötz"


def deposits(folder: Path) -> Path:
    """Write a shapefile with a number and a date in each of three records."""
    folder.mkdir(parents=True, exist_ok=True)
    pyogrio.raw.write(
        str(folder / "deposits.shp"),
        geometry=shapely.to_wkb(shapely.points([(10, 60), (11, 61), (12, 62)])),
        field_data=[np.array([1.5, -2.0, np.nan]), np.array(["2026-01-02"] * 3, dtype="datetime64[D]")],
        fields=["GRADE", "DAY"],
        geometry_type="Point",
        crs="EPSG:4326",
        driver="ESRI Shapefile",
    )
    return folder / "deposits.shp"


def changed(file: Path, old: bytes, new: bytes) -> Path:
    """Put other bytes into the second record of a .dbf."""
    table = bytearray(file.with_suffix(".dbf").read_bytes())
    header, width = int.from_bytes(table[8:10], "little"), int.from_bytes(table[10:12], "little")
    record = slice(header + width, header + 2 * width)
    assert old in table[record]
    table[record] = table[record].replace(old, new.ljust(len(old)), 1)
    file.with_suffix(".dbf").write_bytes(table)
    return file


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"-2.000000000000000", b"n/a", "GRADE: n/a"),
        (b"20260102", b"spring", "DAY: spring"),
    ],
    ids=["a word", "no date"],
)
def test_a_value_that_gdal_would_change_rejects_its_record(tmp_path: Path, old: bytes, new: bytes, told: str) -> None:
    file = changed(deposits(tmp_path / "a"), old, new)
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj", ".cpg"))
    assert rows_of(outcome)["_row"].to_pylist() == [1, 3]
    assert rows_of(outcome)["GRADE"].to_pylist() == ["1.5", None]
    told_of = {issue["rule"]: (issue["row"], issue["found"]) for issue in outcome.issues}
    assert (told_of["read.bad_value"], told_of["read.asterisks"]) == ((2, told), (None, "GRADE: 1"))


def test_records_marked_as_deleted_are_left_out_and_counted(tmp_path: Path) -> None:
    file = changed(deposits(tmp_path / "a"), b" ", b"*")
    outcome = opened(file, "shapefile", tmp_path, parts=parts_of(file, ".dbf", ".shx", ".prj", ".cpg"))
    assert rows_of(outcome)["_row"].to_pylist() == [1, 3]
    assert rules_of(outcome) == [("read.deleted_records", "info", None), ("read.asterisks", "info", None)]
