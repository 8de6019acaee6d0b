"""GeoJSON: every feature is a row or told, shapes are whole, and nothing is taken from two values of one name."""

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from tests.partners import opened, rows_of, rules_of

POINT = {"type": "Point", "coordinates": [25.5, 60.25]}


def feature(geometry: Any = POINT, properties: Any = None, **members: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "Feature", "geometry": geometry, "properties": properties, **members}


def collection(*features: Any, **members: Any) -> str:  # noqa: ANN401
    return json.dumps({"type": "FeatureCollection", **members, "features": list(features)}, ensure_ascii=False)


def test_properties_are_text_and_nested_ones_are_json(tmp_path: Path) -> None:
    first = {"name": "Pikkukallio", "code": "007", "grade": 1.5, "year": 1996, "open": True, "list": ["AU", {"a": 1}]}
    outcome = opened(collection(feature(properties=first), feature(properties={"extra": 3.0})), "geojson", tmp_path)
    table = rows_of(outcome)
    assert table.drop_columns("_wkb").to_pylist() == [
        {
            "name": "Pikkukallio",
            "code": "007",
            "grade": "1.5",
            "year": "1996",
            "open": "true",
            "list": '["AU",{"a":1}]',
            "extra": None,
            "_row": 1,
        },
        {**dict.fromkeys(first), "extra": "3", "_row": 2},
    ]
    assert shapely.from_wkb(table["_wkb"][0].as_py()).coords[0] == (25.5, 60.25)
    assert (outcome.crs, outcome.issues) == ("OGC:CRS84", ())


def test_a_features_id_is_a_column(tmp_path: Path) -> None:
    outcome = opened(collection(feature(id="m.1", properties={"a": 1}), feature(id=2)), "geojson", tmp_path)
    assert rows_of(outcome)["id"].to_pylist() == ["m.1", "2"]
    both = opened(collection(feature(id="m.1", properties={"ID": "x"})), "geojson", tmp_path)
    assert rows_of(both).to_pylist()[0].items() >= {"feature_id": "m.1", "ID": "x"}.items()


def test_shapes_of_all_kinds_come_as_they_are_and_are_told(tmp_path: Path) -> None:
    shapes = [
        {"type": "Point", "coordinates": [1, 2, 30]},
        {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]},
        {"type": "GeometryCollection", "geometries": [POINT]},
        {"type": "Polygon", "coordinates": []},
        None,
    ]
    outcome = opened(collection(*map(feature, shapes)), "geojson", tmp_path)
    read = shapely.from_wkb(rows_of(outcome)["_wkb"].to_numpy())
    assert [shapely.to_wkt(shape) for shape in read] == [
        "POINT Z (1 2 30)",
        "LINESTRING (0 0, 1 1)",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        "GEOMETRYCOLLECTION (POINT (25.5 60.25))",
        "POLYGON EMPTY",
        None,
    ]
    assert rules_of(outcome) == [("read.shapes", "info", None)]
    told = outcome.issues[0]["found"]
    assert all(part in told for part in ("1 Point Z", "1 MultiPolygon", "1 without a shape", "1 empty"))


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]}, "closed"),
        ({"type": "Point", "coordinates": ["1", "2"]}, "number"),
        ({"type": "Point", "coordinates": [1, 2, 3, 4]}, "more than three"),
        ({"type": "LineString", "coordinates": [[0, 0]]}, "point array"),
    ],
    ids=["open ring", "text", "measure", "one vertex"],
)
def test_a_shape_that_cannot_be_read_rejects_its_row_with_the_reason(
    tmp_path: Path, geometry: dict[str, Any], reason: str
) -> None:
    outcome = opened(collection(feature(), feature(geometry, {"a": 1}), feature()), "geojson", tmp_path)
    assert rows_of(outcome)["_row"].to_pylist() == [1, 3]
    assert rules_of(outcome) == [("read.bad_shape", "error", 2)]
    assert reason in outcome.issues[0]["hint"]
    assert json.loads(outcome.issues[0]["found"]) == geometry


@pytest.mark.parametrize("item", [3, {"type": "feature"}, feature("POINT (1 2)"), feature(properties=[1])])
def test_what_is_no_feature_is_rejected(tmp_path: Path, item: Any) -> None:  # noqa: ANN401
    outcome = opened(collection(feature(), item), "geojson", tmp_path)
    assert (outcome.rows, rules_of(outcome)) == (1, [("read.not_a_feature", "error", 2)])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (collection(feature())[:-1], "read.malformed"),
        (collection(feature(), feature()).replace("}, {", "} {"), "read.malformed"),
        (collection(feature()) + "x", "read.malformed"),
        (collection(feature(properties={"a": 1})).replace('"a": 1', '"a": 1, "a": 2'), "read.malformed"),
        (collection(feature()).replace("25.5", "NaN"), "read.malformed"),
        ('{"type": "Topology", "objects": {}}', "read.not_geojson"),
        ("[]", "read.malformed"),
        ("<kml/>", "read.not_geojson"),
        (collection(feature(), crs={"type": "link", "properties": {"href": "http://x.test"}}), "read.crs_unknown"),
        (collection(feature(properties={"a": "é"})).encode("latin-1"), "read.encoding"),
    ],
    ids=["cut", "no comma", "more", "twice", "nan", "topology", "list", "xml", "linked crs", "latin-1"],
)
def test_what_is_no_geojson_is_refused(tmp_path: Path, text: str | bytes, rule: str) -> None:
    outcome = opened(text, "geojson", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


def test_an_old_crs_member_is_followed_and_told(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::24378"}}
    outcome = opened(collection(feature(), crs=crs), "geojson", tmp_path)
    assert (outcome.crs, rules_of(outcome)) == ("EPSG:24378", [("read.crs_stated", "info", None)])
    crs["properties"]["name"] = "urn:ogc:def:crs:OGC:1.3:CRS84"
    assert opened(collection(feature(), crs=crs), "geojson", tmp_path).issues == ()


def test_an_answer_that_a_service_cut_is_told(tmp_path: Path) -> None:
    outcome = opened(collection(feature(), exceededTransferLimit=True), "geojson", tmp_path)
    assert rules_of(outcome) == [("read.incomplete", "warning", None)]


def test_members_that_the_format_does_not_know_are_told(tmp_path: Path) -> None:
    outcome = opened(collection(feature(style="red"), feature(bbox=[0, 0, 1, 1])), "geojson", tmp_path)
    assert [(issue["rule"], issue["found"]) for issue in outcome.issues] == [
        ("read.foreign_members", "'style' of 1 features")
    ]


def test_features_over_many_blocks_are_all_read(tmp_path: Path) -> None:
    many = [feature({"type": "Point", "coordinates": [n / 7, n / 9]}, {"n": n, "t": "é" * 90}) for n in range(9000)]
    outcome = opened(collection(*many), "geojson", tmp_path)
    table = rows_of(outcome)
    assert table["n"].to_pylist() == [str(n) for n in range(9000)]
    assert shapely.from_wkb(table["_wkb"][8999].as_py()).x == 8999 / 7


def test_each_line_is_a_feature_and_keeps_its_number(tmp_path: Path) -> None:
    good, cut = json.dumps(feature(properties={"a": "é"}), ensure_ascii=False), '{"type": "Feature", "geo'
    lines = [good, "", "\x1e" + good, cut, '{"a": 1, "a": 2}', good.replace("25.5", "NaN"), good]
    outcome = opened("\n".join(lines), "geojsonseq", tmp_path)
    assert rows_of(outcome)["_row"].to_pylist() == [1, 3, 7]
    assert rules_of(outcome) == [("read.malformed_line", "error", row) for row in (4, 5, 6)]
    assert outcome.issues[0]["found"] == cut


REAL = {
    "blm-claims/blm_mining_claims_active.geojson": 823,
    "nl-geoatlas/geoatlas-survey-footprints-labrador.geojson": 1236,
    "usgs-mrds/usgs_mrds_gold_lode.geojson": 2114,
    "auscope-nvcl/full_wfs_xml.json": 141,
}


@pytest.mark.parametrize("file", REAL)
def test_an_agency_file_has_all_its_features(tmp_path: Path, shared: Path, file: str) -> None:
    outcome = opened(shared / "data" / file, "geojson", tmp_path)
    assert (outcome.rows, outcome.rejected) == (REAL[file], 0)
    assert all(severity == "info" for _rule, severity, _row in rules_of(outcome)), outcome.issues
