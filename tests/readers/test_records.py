"""JSON: one list of records, read as every program would read it, or not at all."""

import json
from pathlib import Path

import pytest

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of


def test_columns_are_the_union_of_names_in_order(tmp_path: Path) -> None:
    outcome = opened('[{"b":1,"a":null},{"a":"x","c":[1,{"d":2.50}]},{"b":true}]', "json", tmp_path)
    assert rows_of(outcome).to_pylist() == [
        {"b": "1", "a": None, "c": None, "_row": 1},
        {"b": None, "a": "x", "c": '[1,{"d":2.5}]', "_row": 2},
        {"b": "true", "a": None, "c": None, "_row": 3},
    ]


def test_large_whole_numbers_keep_every_digit(tmp_path: Path) -> None:
    outcome = opened('[{"id":9007199254740993,"grade":3.0,"text":" a\\r\\n"}]', "json", tmp_path)
    assert rows_of(outcome).to_pylist() == [{"id": "9007199254740993", "grade": "3", "text": " a\r\n", "_row": 1}]


def test_the_list_may_lie_deeper(tmp_path: Path) -> None:
    text = '{"answer":{"rows":[{"a":1}]},"count":1}'
    assert opened(text, "json", tmp_path, records="answer.rows").rows == 1
    assert "['answer', 'count']" in opened(text, "json", tmp_path).issues[0]["found"]
    assert "no 'pages' of 'answer.pages'" in opened(text, "json", tmp_path, records="answer.pages").issues[0]["found"]


def test_nested_objects_can_become_columns(tmp_path: Path) -> None:
    text = '[{"a":{"b":{"c":1},"d":[{"e":2}]},"f":{}},{"a":null},{"a":{"b":3}}]'
    outcome = opened(text, "json", tmp_path, nested="columns")
    assert rows_of(outcome).to_pylist() == [
        {"a.b.c": "1", "a.d": '[{"e":2}]', "f": "{}", "a": None, "a.b": None, "_row": 1},
        {"a.b.c": None, "a.d": None, "f": None, "a": None, "a.b": None, "_row": 2},
        {"a.b.c": None, "a.d": None, "f": None, "a": None, "a.b": "3", "_row": 3},
    ]


def test_the_items_of_a_list_can_become_rows_beside_their_record(tmp_path: Path) -> None:
    text = '[{"n":"x","l":{"i":[{"g":1},{"g":2}]}},{"n":"y","l":{"i":[]}},{"n":"z"},{"n":"w","l":{"i":[7]}}]'
    outcome = opened(text, "json", tmp_path, explode="l.i")
    assert [
        (row["n"], row["l.i.g"], row["l.i"], row["record_row"], row["item_row"], row["_row"])
        for row in rows_of(outcome).to_pylist()
    ] == [
        ("x", "1", None, "1", "1", 1),
        ("x", "2", None, "1", "2", 2),
        ("y", None, None, "2", None, 3),
        ("z", None, None, "3", None, 4),
        ("w", None, "7", "4", "1", 5),
    ]
    assert rules_of(opened(text, "json", tmp_path, explode="l.j")) == [("read.records_missing", "error", None)]


def test_lists_within_lists_are_exploded_together(tmp_path: Path) -> None:
    text = '[{"m":[{"o":1,"c":["a","b"]},{"o":2,"c":["c"]},{"o":3}]}]'
    rows = rows_of(opened(text, "json", tmp_path, explode="m.c")).to_pylist()
    assert [(row["m.o"], row["m.c"], row["item_row"]) for row in rows] == [
        ("1", "a", "1"),
        ("1", "b", "2"),
        ("2", "c", "3"),
        ("3", None, "4"),
    ]


def test_two_values_of_one_way_reject_their_record_alone(tmp_path: Path) -> None:
    outcome = opened('[{"a.b":1,"a":{"b":2}},{"a":{"b":3}}]', "json", tmp_path, nested="columns")
    assert (rows_of(outcome)["a.b"].to_pylist(), rules_of(outcome)) == (["3"], [("read.name_twice", "error", 1)])


def test_a_document_can_be_one_record(tmp_path: Path) -> None:
    outcome = opened('{"id":"x","p":{"q":1}}', "json", tmp_path, records="$", nested="columns")
    assert rows_of(outcome).to_pylist() == [{"id": "x", "p.q": "1", "_row": 1}]


def test_a_document_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    outcome = opened('[{"a":1}]', "json", tmp_path, limits=Limits(whole_file_bytes=8))
    assert (outcome.path, rules_of(outcome)) == (None, [("read.too_large", "error", None)])
    deep = '[{"a":' + '{"b":' * 100 + "1" + "}" * 100 + "}]"
    assert opened(deep, "json", tmp_path, nested="columns").columns == (".".join(["a", *"b" * 63]),)


def test_the_rare_earth_deposits_explode_into_their_inventories(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/minmod/usc__jowitt_ree.min.json"
    outcome = opened(file, "json", tmp_path, explode="mineral_inventory")
    sites = json.loads(file.read_bytes())
    items = sum(max(1, len(site.get("mineral_inventory", []))) for site in sites)
    table = rows_of(outcome)
    assert (len(sites), outcome.rows, outcome.rejected) == (267, items, 0)
    assert len(set(table["record_row"].to_pylist())) == 267
    assert table["mineral_inventory.commodity.observed_name"][0].as_py() == "La ppm"
    assert table["mineral_inventory.ore.value"][0].as_py() == "4712.05"


def test_the_borehole_views_come_as_columns(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/auscope-nvcl/full_wfs_xml.json"
    outcome = opened(file, "json", tmp_path, records="features", nested="columns")
    table = rows_of(outcome)
    assert outcome.rows == 141
    assert table["properties.name"][0].as_py() == "DD95RC128"
    assert table["geometry.coordinates"][0].as_py() == "[137.79909,-16.73529]"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('[{"a":1,"a":2}]', "read.malformed"),
        ('[{"a":NaN}]', "read.malformed"),
        ('[{"a":-Infinity}]', "read.malformed"),
        ('[{"a":1e999}]', "read.malformed"),
        ('[{"a":1}', "read.malformed"),
        (b'[{"a":"\xff"}]', "read.malformed"),
        ("[" * 100_000, "read.too_deep"),
        ('[{"a":' * 3000 + "1" + "}]" * 3000, "read.too_deep"),
        ("[]", "read.no_rows"),
        ("7", "read.records_missing"),
    ],
)
def test_a_document_that_programs_read_differently_is_refused(tmp_path: Path, text: str | bytes, rule: str) -> None:
    outcome = opened(text, "json", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


def test_a_bad_record_is_rejected_alone(tmp_path: Path) -> None:
    outcome = opened(r'[{"a":"x"},7,{"a":"\u0000"},{"a":"\ud800"},{"a":"y"}]', "json", tmp_path)
    assert rows_of(outcome)["_row"].to_pylist() == [1, 5]
    assert rules_of(outcome) == [
        ("read.not_a_record", "error", 2),
        ("read.nul", "error", 3),
        ("read.encoding", "error", 4),
    ]


def test_the_ngdr_export_has_16_blocks(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/gsi-ngdr-export/Export_subset.json"
    outcome = opened(file, "json", tmp_path)
    table = rows_of(outcome)
    assert (outcome.rows, outcome.rejected, outcome.issues) == (16, 0, ())
    assert table["project_title"].to_pylist() == [record["project_title"] for record in json.loads(file.read_bytes())]


def test_geojson_features_can_be_read_as_records(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/usgs-mrds/usgs_mrds_gold_lode.geojson"
    outcome = opened(file, "json", tmp_path, records="features")
    assert (outcome.rows, outcome.columns) == (2114, ("type", "geometry", "properties"))
