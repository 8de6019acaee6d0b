"""Great Expectations as a second opinion on what was accepted."""

import json
from pathlib import Path

import pytest

from pipelines.audit import LARGEST_WHOLE, AuditResult, audit
from pipelines.contracts import Dataset, load_datasets
from pipelines.errors import SourceError
from pipelines.expectations import judge, native_expectations, native_frame
from pipelines.tablewise import beside
from tests.planted import SCHEMAS, Rows, plant, sound_rows, table, vocabularies, write_accepted

DATASETS = {name: one for name, one in load_datasets(SCHEMAS).items() if not one.derived}
OCCURRENCE = DATASETS["mineral_occurrence"]
DELIVERED = sorted(name for name, dataset in DATASETS.items() if not dataset.derived)
CODES = vocabularies()


def audited(folder: Path, dataset: Dataset, rows: Rows, previous: dict | None = None, seed: int = 7) -> AuditResult:
    write_accepted(folder, dataset, table(dataset, rows), batch_rows=20_000)
    around = beside(dataset, DATASETS, {}, folder)
    return audit(folder, dataset, CODES, previous=previous, seed=seed, beside=around)


@pytest.mark.parametrize("name", DELIVERED)
def test_great_expectations_counts_what_was_planted_and_what_the_masks_count(tmp_path: Path, name: str) -> None:
    dataset = DATASETS[name]
    rows, planted = plant(dataset, CODES)
    result = audited(tmp_path, dataset, rows)
    native = [each for each in result.expectations if each["expectation"] != "ExpectColumnMaxToBeBetween"]
    assert {each["rule"]: each["unexpected_count"] for each in native} == planted
    together = {rule.id for rule in dataset.rules() if rule.kind == "table"}
    recounted = {
        each["rule"]: each["unexpected_count"]
        for each in result.expectations
        if each["expectation"] == "ExpectColumnMaxToBeBetween"
        and each["unexpected_count"] is not None
        and each["rule"] not in together
    }
    assert recounted == {rule: count for rule, count in planted.items() if not rule.endswith(".unique")}
    assert not result.success
    assert all(any(message.startswith(f"{rule}: ") for message in result.messages) for rule in planted)


def test_what_accepted_rows_break_together_is_counted_anew_and_refused(tmp_path: Path) -> None:
    dataset = DATASETS["drillhole_survey"]
    rows = sound_rows(dataset, 30, CODES)
    rows["dip_deg"][:2] = [-60.0, -50.0]
    rows["drillhole_id"][:3] = ["gsi:holes:1"] * 3
    rows["depth_m"] = [float(number // 2) for number in range(30)]
    result = audited(tmp_path, dataset, rows)
    assert result.messages == [
        "drillhole_survey.depth_m.contradicted: 2 of 30 accepted rows break it when counted anew"
    ]


@pytest.mark.parametrize("name", DELIVERED)
def test_sound_rows_pass_whole(tmp_path: Path, name: str) -> None:
    result = audited(tmp_path, DATASETS[name], sound_rows(DATASETS[name], 30, CODES))
    assert (result.success, result.mode, result.messages) == (True, "whole", [])
    assert json.loads((tmp_path / name / "audit.json").read_text())["figures"]["rows"] == 30


def test_a_failure_names_the_file_row_and_record(tmp_path: Path) -> None:
    rows = sound_rows(OCCURRENCE, 10, CODES)
    rows["commodities"][3] = ["no-such-code"]
    result = audited(tmp_path, OCCURRENCE, rows)
    assert (
        "mineral_occurrence.commodities.vocabulary: 1 of 10 accepted rows break it (ExpectColumnValuesToMatchRegex), "
        "as as received:5 gsi:register:3"
    ) in result.messages


def test_a_rule_that_raises_fails_by_name_instead_of_passing() -> None:
    planned = native_expectations(OCCURRENCE, CODES)
    frame = native_frame(table(OCCURRENCE, sound_rows(OCCURRENCE, 10, CODES)), planned)
    frame["latitude"] = "fifty"
    failed = [each for each in judge(frame, planned) if not each.success]
    assert {each.rule for each in failed} == {
        "mineral_occurrence.latitude.minimum",
        "mineral_occurrence.latitude.maximum",
    }
    assert all(each.exception and each.unexpected_count is None for each in failed)


def test_a_column_that_the_frame_lacks_fails_its_rules() -> None:
    planned = native_expectations(OCCURRENCE, CODES)
    frame = native_frame(table(OCCURRENCE, sound_rows(OCCURRENCE, 10, CODES)), planned).drop(columns="licence")
    assert {each.column for each in judge(frame, planned) if not each.success} == {"licence"}


def test_a_large_table_is_recounted_whole_and_sampled_by_seed(tmp_path: Path) -> None:
    count = LARGEST_WHOLE + 10_000
    rows = sound_rows(OCCURRENCE, count, CODES)
    assert audited(tmp_path / "sound", OCCURRENCE, rows).success
    rows["latitude"][count - 1] = 95.0
    rows["licence"] = ["no-such-code"] * count
    result = audited(tmp_path / "broken", OCCURRENCE, rows)
    assert result.mode == "sample"
    native = {
        each["rule"]: each for each in result.expectations if each["expectation"] == "ExpectColumnValuesToBeInSet"
    }
    assert native["mineral_occurrence.licence.vocabulary"]["unexpected_count"] == LARGEST_WHOLE
    assert "mineral_occurrence.latitude.maximum: 1 of 60000 accepted rows break it when counted anew" in result.messages
    again = audit(tmp_path / "broken", OCCURRENCE, CODES, previous=None, seed=7)
    assert again == result


def test_a_file_that_does_not_hold_what_the_ledger_says_fails(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"datasets": {"mineral_occurrence": {"shaped": 12, "accepted": 11}}}')
    result = audited(tmp_path, OCCURRENCE, sound_rows(OCCURRENCE, 10, CODES))
    assert result.messages == ["mineral_occurrence.rows.ledger: found 10, at least 11 is wanted, at most 11 is wanted"]


@pytest.mark.parametrize(("shaped", "deletions", "passes"), [(0, 0, True), (5, 0, False), (5, 1, True)])
def test_accepting_nothing_passes_only_where_nothing_was_shaped_or_records_were_taken_away(
    tmp_path: Path, shaped: int, deletions: int, passes: bool
) -> None:
    ledger = {"datasets": {"mineral_occurrence": {"shaped": shaped, "accepted": 0, "deletions": deletions}}}
    (tmp_path / "run.json").write_text(json.dumps(ledger))
    result = audited(tmp_path, OCCURRENCE, sound_rows(OCCURRENCE, 0, CODES))
    assert (result.success, result.mode) == (passes, "empty")


def test_a_delivery_that_lost_half_its_rows_or_a_column_fails(tmp_path: Path) -> None:
    rows = sound_rows(OCCURRENCE, 400, CODES)
    before = audited(tmp_path / "before", OCCURRENCE, rows)
    lost = sound_rows(OCCURRENCE, 150, CODES)
    lost["name"] = [None] * 150
    result = audited(tmp_path / "after", OCCURRENCE, lost, previous=before.figures)
    assert result.messages == [
        "mineral_occurrence.rows.change: found 0.375, at least 0.5 is wanted",
        "mineral_occurrence.name.null_share.change: found 1, at most 0.25 is wanted",
    ]


def test_figures_tell_the_share_of_null_the_extent_and_what_the_record_says_of_unknown_terms(tmp_path: Path) -> None:
    record = {"shaped": 4, "accepted": 4, "figures": {"unknown_share": {"commodities": 0.5}}}
    (tmp_path / "run.json").write_text(json.dumps({"datasets": {"mineral_occurrence": record}}))
    rows = sound_rows(OCCURRENCE, 4, CODES)
    rows["elevation_kind"] = ["unknown", "orthometric", None, "unknown"]
    rows["longitude"], rows["latitude"] = [1.0, 4.0, None, 2.0], [50.0, 51.0, None, 49.0]
    figures = audited(tmp_path, OCCURRENCE, rows).figures
    assert figures["unknown_share"] == {"commodities": 0.5}
    assert figures["null_share"]["elevation_kind"] == 0.25
    assert figures["extent"] == [1.0, 49.0, 4.0, 51.0]


def test_accepted_rows_that_cannot_be_read_are_a_source_error(tmp_path: Path) -> None:
    write_accepted(tmp_path, OCCURRENCE, table(OCCURRENCE, sound_rows(OCCURRENCE, 10, CODES)))
    path = tmp_path / "mineral_occurrence" / "accepted.arrow"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SourceError, match="mineral_occurrence/accepted.arrow: accepted rows cannot be read"):
        audit(tmp_path, OCCURRENCE, CODES, previous=None, seed=1)
