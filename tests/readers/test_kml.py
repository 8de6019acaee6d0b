"""KML: every placemark is a row with its folders, its data and its shape, and what is no placemark is told."""

import zipfile
from pathlib import Path

import pytest
import shapely

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of

HEAD = '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://g/gx">'


def kml(*parts: str) -> str:
    return f"{HEAD}<Document><name>Norland</name>{''.join(parts)}</Document></kml>"


def placemark(shape: str = "", data: str = "", name: str = "Pikkukallio") -> str:
    return f"<Placemark><name>{name}</name>{data}{shape}</Placemark>"


def point(text: str = "25.5,60.25") -> str:
    return f"<Point><coordinates>{text}</coordinates></Point>"


def test_placemarks_come_with_folders_data_and_times(tmp_path: Path) -> None:
    data = (
        "<description><![CDATA[<b>Ni</b>]]></description><TimeSpan><begin>1996</begin></TimeSpan><styleUrl>#a</styleUrl>"
        '<ExtendedData><Data name="grade"><value>1.50</value></Data><SchemaData schemaUrl="#s">'
        '<SimpleData name="owner">Norland Nickel</SimpleData><SimpleData name="name">N-7</SimpleData></SchemaData>'
        "</ExtendedData>"
    )
    folder = f"<Folder><name>Mines</name>{placemark(point(), data)}</Folder>"
    outcome = opened(kml("<Style id='a'/>", folder, placemark(point("1,2,30"), name="Ötz")), "kml", tmp_path)
    table = rows_of(outcome)
    assert table.drop_columns("_wkb").to_pylist() == [
        {
            "folder": "Norland/Mines",
            "name": "Pikkukallio",
            "description": "<b>Ni</b>",
            "begin": "1996",
            "grade": "1.50",
            "owner": "Norland Nickel",
            "ExtendedData.name": "N-7",
            "_row": 1,
        },
        {
            **dict.fromkeys(("description", "begin", "grade", "owner", "ExtendedData.name")),
            "folder": "Norland",
            "name": "Ötz",
            "_row": 2,
        },
    ]
    assert [shapely.to_wkt(shapely.from_wkb(each)) for each in table["_wkb"].to_pylist()] == [
        "POINT (25.5 60.25)",
        "POINT Z (1 2 30)",
    ]
    assert outcome.crs == "OGC:CRS84"


RING = "<LinearRing><coordinates>0,0 1,0 1,1 0,0</coordinates></LinearRing>"


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        ("<LineString><coordinates>0,0\n1,1</coordinates></LineString>", "LINESTRING (0 0, 1 1)"),
        (f"<Polygon><outerBoundaryIs>{RING}</outerBoundaryIs></Polygon>", "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
        (f"<MultiGeometry>{point('1,2')}{point('3,4')}</MultiGeometry>", "MULTIPOINT ((1 2), (3 4))"),
        (f"<MultiGeometry>{point('1,2')}{RING}</MultiGeometry>", None),
        ("", None),
    ],
    ids=["line", "polygon", "points", "mixed", "none"],
)
def test_shapes_become_wkb(tmp_path: Path, drawn: str, expected: str | None) -> None:
    read = shapely.from_wkb(rows_of(opened(kml(placemark(drawn)), "kml", tmp_path))["_wkb"][0].as_py())
    if expected:
        assert shapely.to_wkt(read) == expected
    else:
        assert (read is None) == (not drawn)
        assert read is None or read.geom_type == "GeometryCollection"


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (point("25.5, 60.25"), "25.5, 60.25"),
        (point("east,north"), "east"),
        ("<LineString><coordinates>0,0 1,1,5</coordinates></LineString>", "[2, 3] numbers"),
        ("<gx:Track><when>2026</when></gx:Track>", "Track"),
        ("<LineString><coordinates>0,0</coordinates></LineString>", "point"),
    ],
    ids=["blank after the comma", "words", "some heights", "track", "one corner"],
)
def test_a_shape_that_cannot_be_read_rejects_its_row(tmp_path: Path, drawn: str, reason: str) -> None:
    outcome = opened(kml(placemark(point()), placemark(drawn), placemark(point())), "kml", tmp_path)
    assert rows_of(outcome)["_row"].to_pylist() == [1, 3]
    assert rules_of(outcome) == [("read.bad_shape", "error", 2)]
    assert reason in outcome.issues[0]["hint"]


def test_what_is_no_placemark_is_told_and_links_are_not_followed(tmp_path: Path) -> None:
    link = "<NetworkLink><Link><href>http://127.0.0.1:9/x.kml</href></Link></NetworkLink>"
    outcome = opened(kml(link, placemark(point())), "kml", tmp_path)
    assert (outcome.rows, rules_of(outcome)) == (1, [("read.other_features", "warning", None)])
    assert outcome.issues[0]["found"] == "1 NetworkLink"


def test_a_kmz_holds_its_document(tmp_path: Path) -> None:
    path = tmp_path / "a.kmz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", kml(placemark(point())))
        archive.writestr("files/other.kml", kml())
    assert opened(path, "kml", tmp_path).rows == 1
    assert opened(path, "kml", tmp_path, layer="files/other.kml").rows == 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (kml(placemark())[:-20], "read.malformed"),
        (kml().replace("<kml", "<!DOCTYPE kml [<!ENTITY a 'b'>]><kml"), "read.refused"),
        ("<html><body/></html>", "read.not_kml"),
        (kml("<Folder>" * 120 + "</Folder>" * 120), "read.too_deep"),
        ("id,name\n", "read.malformed"),
    ],
    ids=["cut", "document type", "html", "deep", "no XML"],
)
def test_what_is_no_kml_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    outcome = opened(text, "kml", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


def test_a_document_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    outcome = opened(kml(placemark(point())), "kml", tmp_path, limits=Limits(whole_file_bytes=100))
    assert rules_of(outcome) == [("read.too_large", "error", None)]
