"""Parquet with and without shapes: values as text, the CRS of the metadata, and no more than was asked for."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of

POINTS = [shapely.to_wkb(shapely.Point(10 + place, 60)) for place in range(3)]


def parquet(path: Path, columns: dict[str, Any], geo: dict[str, Any] | None = None, **options: Any) -> Path:  # noqa: ANN401
    """Write a Parquet file, with metadata of shapes in the column `geometry` if any are given."""
    table = pa.table(columns)
    if geo is not None:
        known = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB", **geo}}}
        table = table.replace_schema_metadata({"geo": json.dumps(known)})
    pq.write_table(table, path, **options)
    return path


def test_values_of_all_types_are_text(tmp_path: Path) -> None:
    columns = {
        "id": pa.array([7, None], pa.int64()),
        "grade": [1.5, 2.0],
        "sum": [Decimal("1.50"), None],
        "open": [True, None],
        "day": [datetime.date(2026, 1, 2), None],
        "time": [datetime.datetime(2026, 1, 2, 3, 4, 5), datetime.datetime(2026, 1, 2, 0, 0, 0, 500)],
        "list": [["AU", "AG"], None],
        "record": [{"a": 1}, None],
        "word": pa.array(["ä", "ä"]).dictionary_encode(),
        "bytes": [b"\x01\x02", None],
    }
    outcome = opened(parquet(tmp_path / "a.parquet", columns), "geoparquet", tmp_path)
    assert rows_of(outcome).to_pylist() == [
        {
            "id": "7",
            "grade": "1.5",
            "sum": "1.50",
            "open": "true",
            "day": "2026-01-02",
            "time": "2026-01-02T03:04:05",
            "list": '["AU","AG"]',
            "record": '{"a":1}',
            "word": "ä",
            "bytes": "AQI=",
            "_row": 1,
        },
        {
            **dict.fromkeys(columns),
            "grade": "2",
            "time": "2026-01-02T00:00:00.000500",
            "word": "ä",
            "_row": 2,
        },
    ]
    assert (outcome.crs, outcome.issues) == (None, ())


@pytest.mark.parametrize(
    ("geo", "crs", "rules"),
    [
        ({}, "OGC:CRS84", []),
        ({"crs": {"type": "ProjectedCRS", "id": {"authority": "EPSG", "code": 3067}}}, "EPSG:3067", []),
        ({"crs": None}, None, [("read.crs_missing", "warning", None)]),
        ({"epoch": 2021.47}, "OGC:CRS84", [("read.crs_epoch", "info", None)]),
    ],
    ids=["none stated", "projected", "unknown", "epoch"],
)
def test_the_crs_comes_from_the_metadata(
    tmp_path: Path, geo: dict[str, Any], crs: str | None, rules: list[tuple[str, str, None]]
) -> None:
    path = parquet(tmp_path / "a.parquet", {"id": ["a", "b", "c"], "geometry": POINTS}, geo)
    outcome = opened(path, "geoparquet", tmp_path)
    assert (outcome.crs, rules_of(outcome)) == (crs, rules)
    table = rows_of(outcome)
    assert table.column_names == ["id", "_wkb", "_row"]
    assert table["_wkb"].to_pylist() == POINTS


def test_the_column_of_bounding_boxes_is_left_out(tmp_path: Path) -> None:
    corners = ("xmin", "ymin", "xmax", "ymax")
    covering = {"bbox": {corner: ["bbox", corner] for corner in corners}}
    columns = {"id": ["a"], "geometry": POINTS[:1], "bbox": [dict.fromkeys(corners, 1.0)]}
    outcome = opened(parquet(tmp_path / "a.parquet", columns, {"covering": covering}), "geoparquet", tmp_path)
    assert outcome.columns == ("id",)


def test_shapes_that_cannot_be_read_reject_their_rows(tmp_path: Path) -> None:
    shapes = [POINTS[0], POINTS[1][:9], None, shapely.to_wkb(shapely.Point(float("inf"), 1))]
    path = parquet(tmp_path / "a.parquet", {"id": list("abcd"), "geometry": shapes}, {})
    outcome = opened(path, "geoparquet", tmp_path)
    assert rows_of(outcome)["id"].to_pylist() == ["a", "c"]
    rules = rules_of(outcome)
    assert rules[:2] == [("read.bad_shape", "error", 2), ("read.bad_shape", "error", 4)]
    assert rules[2:] == [("read.shapes", "info", None)]


def test_text_that_is_none_rejects_its_row(tmp_path: Path) -> None:
    bad = pa.array([b"a", b"caf\xe9", b"n\x00l"]).cast(pa.binary()).view(pa.string())
    outcome = opened(parquet(tmp_path / "a.parquet", {"t": bad}), "geoparquet", tmp_path)
    assert rows_of(outcome)["t"].to_pylist() == ["a"]
    assert rules_of(outcome) == [("read.encoding", "error", 2), ("read.encoding", "error", 3)]


def test_a_dictionary_that_stands_for_too_much_is_refused(tmp_path: Path) -> None:
    word = "x" * 1_000_000
    path = parquet(tmp_path / "a.parquet", {"t": pa.array([word] * 300).dictionary_encode()})
    assert path.stat().st_size < 100_000
    small = Limits(output_bytes=100 << 20, memory_bytes=1 << 30)
    outcome = opened(path, "geoparquet", tmp_path, limits=small)
    assert rules_of(outcome) == [("read.too_large", "error", None)]
    assert opened(path, "geoparquet", tmp_path, limits=Limits(memory_bytes=1 << 30)).rows == 300


def test_other_peoples_geoparquet_is_read(tmp_path: Path, shared: Path) -> None:
    folder = shared / "badinputs/upstream"
    for file in sorted((folder / "opengeospatial__geoparquet").rglob("*polygon*.parquet")):
        outcome = opened(file, "geoparquet", tmp_path)
        shapes = shapely.from_wkb(rows_of(outcome)["_wkb"].to_numpy())
        with file.with_name(file.name.replace("encoding_wkb.parquet", "wkt.csv")).open() as text:
            expected = [line.split('"')[1] if '"' in line else None for line in text.readlines()[1:]]
        assert [None if shape is None else shapely.to_wkt(shape) for shape in shapes] == [
            None if wkt is None else shapely.to_wkt(shapely.from_wkt(wkt)) for wkt in expected
        ]
    native = folder / "apache__parquet-testing/data/geospatial"
    assert opened(native / "crs-projjson.parquet", "geoparquet", tmp_path).crs == "EPSG:5070"
    assert opened(native / "geospatial.parquet", "geoparquet", tmp_path).rows == 196


def test_damaged_parquet_of_the_test_suite_is_refused(tmp_path: Path, shared: Path) -> None:
    files = sorted((shared / "badinputs/upstream/apache__parquet-testing/bad_data").glob("*.parquet"))
    readable = {"ARROW-GH-43605.parquet"}
    for file in files[::3]:
        assert (opened(file, "geoparquet", tmp_path).path is None) == (file.name not in readable), file.name
