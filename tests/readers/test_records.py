"""JSON: one list of records, read as every program would read it, or not at all."""

import json
from pathlib import Path

import pytest

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
