"""Rules of contracts as masks, and the issue rows made from them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.contracts import Rule, load_datasets
from pipelines.errors import ContractError
from pipelines.findings import ISSUE_SCHEMA, Finding, RuleCounts, error_mask, issue_table, rule_lists
from pipelines.masks import TABLE_RULES
from pipelines.validate import foreign_keys, row_rules, validate
from tests.planted import SCHEMAS, plant, sound_rows, table, vocabularies

DATASETS = load_datasets(SCHEMAS)
CODES = {"colour": frozenset({"red", "blue"})}


def rule(kind: str, value: object = None, column: str = "a", other: str | None = None) -> Rule:
    return Rule(f"d.{column}.{kind}", "d", column, kind, "error", value=value, other=other, hint="mend it")


@pytest.mark.parametrize(
    ("given", "values", "broken"),
    [
        (rule("required"), [None, "", "x"], [0]),
        (rule("minimum", 0.0), [0.0, -0.1, None, float("nan")], [1, 3]),
        (rule("maximum", 5.0), pa.array([5, 6, None]), [1]),
        (rule("maximum", 5.5), pa.array([5, 6, None]), [1]),
        (rule("minimum", 0.0), [[0.0, 1.0], [1.0, -0.1], None, [None, 2.0], []], [1]),
        (rule("maximum", 5.0), pa.array([[5.0], [5.5, 1.0]]), [1]),
        (rule("pattern", "^[a-z]+$"), ["abc", "aBc", None, "abc\n"], [1, 3]),
        (rule("enum", ("x", "y")), ["x", "z", None], [1]),
        (rule("vocabulary", "colour"), ["red", "Red", None], [1]),
        (rule("vocabulary", "colour"), pa.array(["red", "Red", None]).dictionary_encode(), [1]),
        (rule("vocabulary", "colour"), [["red"], ["red", "green", "grey"], None, [], ["blue"]], [1]),
        (rule("min_length", 2), ["é", "éé", None], [0]),
        (rule("max_length", 2), ["ééé", "éé", None], [0]),
        (rule("required"), pa.array(["x", None]).dictionary_encode(), [1]),
    ],
)
def test_a_rule_finds_the_rows_that_break_it_and_passes_nulls(given: Rule, values: list, broken: list[int]) -> None:
    batch = pa.record_batch({"a": values})
    findings = validate(batch, (given,), CODES)
    assert np.flatnonzero(findings[0].mask.to_numpy(zero_copy_only=False)).tolist() == broken
    assert findings[0].mask.null_count == 0


def test_the_first_of_an_ordered_pair_may_equal_the_second_but_not_exceed_it() -> None:
    batch = pa.record_batch({"a": [1.0, 2.0, 3.0, None, 1.0], "b": [2.0, 2.0, 2.0, 2.0, None]})
    found = validate(batch, (rule("order", column="a", other="b"),), {})
    assert found[0].mask.to_pylist() == [False, False, True, False, False]


def test_an_entry_of_a_dictionary_that_no_row_uses_breaks_nothing() -> None:
    unused = pa.DictionaryArray.from_arrays(pa.array([0, 0, None]), pa.array(["red", "green"]))
    assert validate(pa.record_batch({"a": unused}), (rule("vocabulary", "colour"),), CODES) == []


def test_a_rule_on_a_code_list_that_is_not_loaded_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match="'flavour' is not loaded"):
        validate(pa.record_batch({"a": ["x"]}), (rule("vocabulary", "flavour"),), CODES)


@pytest.mark.parametrize("name", sorted(DATASETS))
@pytest.mark.parametrize("severity", ["error", "warning"])
def test_every_rule_of_every_contract_finds_exactly_the_rows_planted_for_it(name: str, severity: str) -> None:
    dataset, codes = DATASETS[name], vocabularies()
    rows, planted = plant(dataset, codes, severity)
    rules = tuple(each for each in dataset.rules() if each.severity == severity)
    counts = RuleCounts()
    for batch in table(dataset, rows).to_batches(max_chunksize=50):
        counts.add(batch, row_rules(rules), validate(batch, rules, codes))
    assert counts.failed == {each.id: planted[each.id] for each in row_rules(rules)}
    assert all(counts.evaluated[each.id] > counts.failed[each.id] for each in row_rules(rules))


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_sound_rows_break_no_rule_of_their_contract(name: str) -> None:
    dataset, codes = DATASETS[name], vocabularies()
    (batch,) = table(dataset, sound_rows(dataset, 5, codes)).to_batches()
    assert validate(batch, dataset.rules(), codes) == []
    assert {each.kind for each in dataset.rules()} - {each.kind for each in row_rules(dataset.rules())} <= TABLE_RULES


def test_a_row_that_names_no_accepted_parent_is_found() -> None:
    batch = pa.record_batch({"a": ["p:1", "p:9", None]})
    found = foreign_keys(batch, rule("foreign_key", "parent"), pa.array(["p:1", "p:2"]))
    assert found.mask.to_pylist() == [False, True, False]


def _findings() -> list[Finding]:
    return [
        Finding("d.a.minimum", "error", "a", pa.array([True, False, True]), pa.array([-1.5, 2.0, -3.0]), "raise it"),
        Finding("d.b.vocabulary", "error", "b", pa.array([False, False, True]), pa.array([["x"], None, ["y", "z"]])),
        Finding("d.c.odd", "warning", None, pa.array([False, True, False])),
    ]


def test_issue_rows_tell_where_what_was_found_and_what_would_mend_it() -> None:
    issues = issue_table(
        _findings(),
        feed="f",
        delivery="d",
        dataset="s",
        files=pa.array(["one.csv", "two.csv", "one.csv"]).dictionary_encode(),
        rows=pa.array([2, 2, 3]),
        record_ids=pa.array(["r:1", None, "r:3"]),
    )
    assert issues.schema == ISSUE_SCHEMA
    shown = [(row["file"], row["row"], row["rule"], row["found"], row["hint"]) for row in issues.to_pylist()]
    assert shown == [
        ("one.csv", 2, "d.a.minimum", "-1.5", "raise it"),
        ("one.csv", 3, "d.a.minimum", "-3", "raise it"),
        ("one.csv", 3, "d.b.vocabulary", "y; z", ""),
        ("two.csv", 2, "d.c.odd", None, ""),
    ]


def test_a_found_value_of_any_length_is_shown_in_part() -> None:
    long = Finding("d.a.x", "error", "a", pa.array([True]), pa.array(["é" * 10_000]))
    issues = issue_table([long], feed="f", delivery="d", dataset="s", files="x.csv", rows=None, record_ids=None)
    assert issues.column("found").to_pylist() == ["é" * 500]
    assert issues.column("file").to_pylist() == ["x.csv"]


def test_only_errors_send_a_row_to_quarantine_and_each_row_lists_its_own() -> None:
    broken = error_mask(_findings(), 3)
    assert broken.tolist() == [True, False, True]
    assert rule_lists(_findings(), broken).to_pylist() == [["d.a.minimum"], ["d.a.minimum", "d.b.vocabulary"]]
    assert rule_lists([], np.array([True, False])).to_pylist() == [[]]


def test_judging_rows_loads_neither_great_expectations_nor_pandas() -> None:
    program = (
        "import sys, pipelines.validate, pipelines.audit, pipelines.quality;"
        "print({'great_expectations', 'pandas', 'airflow'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
