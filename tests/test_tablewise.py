"""Rules about rows together: intervals and stations of a hole, holes at one collar, samples and their originals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import flow
from pipelines.catalogue import open_catalogue
from pipelines.contracts import Dataset, load_datasets
from pipelines.contracts.datasets import TableRule
from pipelines.errors import ContractError
from pipelines.flow.recording import read_record
from pipelines.tablewise import Beside, beside, judge_together, problems
from pipelines.terms import Vocabulary, load_vocabulary
from tests.norland import installation
from tests.planted import SCHEMAS, sound_rows, table, vocabularies, write_accepted

DATASETS = load_datasets(SCHEMAS)
CODES = vocabularies()


def lists_of(dataset: Dataset) -> dict[str, Vocabulary]:
    words = {field.vocabulary for field in dataset.fields if field.vocabulary}
    return {word: load_vocabulary(SCHEMAS / "vocabularies" / f"{word}.csv") for word in words}


def written(folder: Path, name: str, rows: list[dict[str, Any]], batch_rows: int = 2) -> None:
    """Write rows of a dataset, whose other columns are sound or, where a rule of the table reads them, empty."""
    dataset = DATASETS[name]
    columns = sound_rows(dataset, len(rows), CODES)
    for empty in ("parent_id", "kickoff_m", "standard", "depth_m", "source_z"):
        if empty in columns:
            columns[empty] = [None] * len(rows)
    for place, row in enumerate(rows):
        for column, value in row.items():
            columns[column][place] = value
    write_accepted(folder, dataset, table(dataset, columns), batch_rows=batch_rows)


def broken(folder: Path, name: str, rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Judge rows, and give rule and number of the rows that break it."""
    written(folder, name, rows)
    dataset, rules = DATASETS[name], DATASETS[name].rules()
    around = beside(dataset, DATASETS, lists_of(dataset), folder)
    path = folder / name / "accepted.arrow"
    found = judge_together([path], dataset, rules, beside=around, scratch=folder / "scratch")
    told = [
        (finding.rule.removeprefix(f"{name}."), int(place))
        for finding in found.findings
        for place in found.places[np.flatnonzero(finding.mask.to_numpy(zero_copy_only=False))]
    ]
    return sorted(told, key=lambda one: (one[1], one[0]))


def logged(log_type: str, *depths: tuple[float, float], hole: str = "gsi:holes:1") -> list[dict[str, Any]]:
    return [{"drillhole_id": hole, "log_type": log_type, "from_m": top, "to_m": base} for top, base in depths]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (logged("lithology", (0, 5), (5, 9), (9, 10)), []),
        (logged("lithology", (0, 5), (4, 9)), [("from_m.overlap", 1)]),
        (logged("lithology", (4, 9), (0, 5)), [("from_m.overlap", 0)]),
        (logged("lithology", (0, 9), (1, 2), (8, 10)), [("from_m.overlap", 1), ("from_m.overlap", 2)]),
        (logged("lithology", (0, 5), (6, 9)), [("from_m.gap", 1)]),
        (logged("lithology", (0, 5), (0, 5)), [("from_m.repeated", 1)]),
        (logged("lithology", (0, 5), (5, 5)), [("to_m.no_length", 1)]),
        (logged("lithology", (0, 5), (4.9995, 9)), []),
        (logged("alteration", (0, 5), (4, 9), (20, 30), (20, 30)), []),
        (logged("regolith", (0, 5), (8, 9)), []),
        (logged("regolith", (0, 5), (4, 9)), [("from_m.overlap", 1)]),
        (logged("lithology", (0, 5)) + logged("geology", (0, 5)), []),
        (logged("lithology", (0, 5)) + logged("lithology", (0, 5), hole="gsi:holes:2"), []),
        (logged("lithology", (0, 100), (100, 120.5)), [("to_m.beyond_end", 1)]),
    ],
)
def test_intervals_are_judged_by_the_rule_of_their_log_type(
    tmp_path: Path, rows: list[dict[str, Any]], expected: list[tuple[str, int]]
) -> None:
    written(tmp_path, "drillhole", [{"record_id": "gsi:holes:1", "depth_m": 120.0}])
    assert broken(tmp_path, "drillhole_interval", rows) == expected


def stations(*told: tuple[float, float, float]) -> list[dict[str, Any]]:
    sound = {"drillhole_id": "gsi:holes:1", "dip_convention": "negative-down", "azimuth_reference": "true"}
    return [{**sound, "depth_m": depth, "dip_deg": dip, "azimuth_deg": azimuth} for depth, dip, azimuth in told]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (stations((0, -60, 90), (30, -58, 92), (60, -56, 94)), []),
        (stations((0, -36, 340.8), (6, 35.5, 333.3)), [("dip_deg.dogleg", 1), ("dip_deg.sign_jump", 1)]),
        (stations((0, -1, 90), (30, 1, 90)), []),
        (
            stations((6, -46, 161), (28, -46, 48), (30, -46, 161)),
            [
                ("depth_m.first_below_collar", 0),
                ("azimuth_deg.alternates", 1),
                ("dip_deg.dogleg", 1),
                ("dip_deg.dogleg", 2),
            ],
        ),
        (stations((0, -60, 359), (30, -60, 1), (60, -60, 358)), []),
        (stations((0, -89, 10), (30, -89, 190)), []),
        (stations((0, -60, 90), (30, -60, 90), (20, -60, 90)), [("depth_m.decreasing", 2)]),
        (stations((0, -60, 90), (30, -60, 90), (121, -60, 90)), [("depth_m.beyond_end", 2)]),
        (
            stations((0, -60, 90), (30, -60, 90), (30, -61, 90)),
            [("depth_m.contradicted", 1), ("depth_m.contradicted", 2)],
        ),
        (stations((0, -60, 90), (30, -60, 90), (30, -60, 90)), []),
    ],
)
def test_stations_that_a_hole_can_hardly_have_are_reported(
    tmp_path: Path, rows: list[dict[str, Any]], expected: list[tuple[str, int]]
) -> None:
    written(tmp_path, "drillhole", [{"record_id": "gsi:holes:1", "depth_m": 120.0}])
    assert broken(tmp_path, "drillhole_survey", rows) == expected


def test_stations_of_which_no_trace_can_be_made_are_told(tmp_path: Path) -> None:
    north = [("true", None), ("unknown", None), ("local", None), ("magnetic", None), ("magnetic", 7.0), ("grid", None)]
    told = stations(*((0, -60, 90) for _ in north))
    for number, (row, (reference, declination)) in enumerate(zip(told, north, strict=True)):
        row |= {"drillhole_id": f"gsi:holes:{number}", "azimuth_reference": reference, "declination_deg": declination}
    upright = {**stations((0, -90, 0))[0], "drillhole_id": "gsi:holes:9", "azimuth_reference": "unknown"}
    unsure = {**stations((0, -60, 0))[0], "drillhole_id": "gsi:holes:8", "dip_convention": "unknown"}
    assert broken(tmp_path, "drillhole_survey", [*told, upright, unsure]) == [
        ("azimuth_reference.no_trace", 1),
        ("azimuth_reference.no_trace", 2),
        ("azimuth_reference.no_trace", 3),
        ("dip_convention.no_trace", 7),
    ]


def test_samples_of_one_hole_may_not_overlap_but_control_samples_may(tmp_path: Path) -> None:
    def taken(top: float, base: float, role: str = "original", **more: Any) -> dict[str, Any]:
        return {"drillhole_id": "gsi:holes:1", "from_m": top, "to_m": base, "role": role, **more}

    rows = [taken(0, 1), taken(1, 2), taken(1.5, 3), taken(0, 1, "blank"), taken(0, 1, size_fraction="-80 mesh")]
    assert broken(tmp_path, "sample", rows) == [("from_m.overlap", 2)]


def test_holes_at_one_collar_are_reported_unless_they_are_declared_wedges(tmp_path: Path) -> None:
    here = {"source_x": 371427.0, "source_y": 7750416.0, "source_z": 146.9}
    rows = [
        {**here, "record_id": "gsi:holes:1", "depth_m": 300.0},
        {**here},
        {**here, "parent_id": "gsi:holes:1", "kickoff_m": 120.0},
        {**here, "parent_id": "gsi:holes:1", "kickoff_m": 301.0},
        {**here, "source_z": 147.0, "parent_id": "gsi:holes:none"},
        {"source_x": 5.0, "kickoff_m": 10.0},
    ]
    assert broken(tmp_path, "drillhole", rows) == [
        ("source_x.shared_collar", 1),
        ("kickoff_m.beyond_parent", 3),
        ("parent_id.not_delivered", 4),
        ("kickoff_m.without_parent", 5),
    ]


def test_a_duplicate_needs_its_original_and_a_standard_its_name(tmp_path: Path) -> None:
    written(tmp_path, "drillhole", [{"record_id": "gsi:holes:1", "depth_m": 120.0}])
    rows = [
        {"record_id": "gsi:samples:1", "role": "original", "drillhole_id": "gsi:holes:1", "to_m": 130.0},
        {"role": "pulp-duplicate", "parent_id": "gsi:samples:1"},
        {"role": "field-duplicate"},
        {"role": "umpire", "parent_id": "gsi:samples:lost"},
        {"role": "standard"},
        {"role": "standard", "standard": "OREAS 45e"},
        {"role": "blank"},
        {"record_id": "gsi:samples:7", "role": "pulp-duplicate", "parent_id": "gsi:samples:7"},
    ]
    assert broken(tmp_path, "sample", rows) == [
        ("to_m.beyond_end", 0),
        ("role.no_parent", 2),
        ("parent_id.not_delivered", 3),
        ("role.no_standard", 4),
        ("parent_id.own_parent", 7),
    ]


def test_what_is_not_delivered_beside_the_rows_breaks_nothing(tmp_path: Path) -> None:
    assert broken(tmp_path, "drillhole_interval", logged("lithology", (0, 100), (100, 9000))) == []


def test_a_record_that_is_told_again_is_judged_once(tmp_path: Path) -> None:
    dataset = DATASETS["drillhole_interval"]
    written(tmp_path, dataset.name, logged("lithology", (0, 5), (0, 5), (4, 9)))
    around = beside(dataset, DATASETS, lists_of(dataset), tmp_path)
    path = tmp_path / dataset.name / "accepted.arrow"
    again = np.array([1])
    found = judge_together([path], dataset, dataset.rules(), beside=around, scratch=tmp_path / "scratch", again=again)
    assert [finding.rule for finding in found.findings] == ["drillhole_interval.from_m.overlap"]
    assert found.places.tolist() == [2]


def test_a_view_that_loses_rows_is_refused(tmp_path: Path) -> None:
    dataset = DATASETS["drillhole_interval"].model_copy(update={"table_view": "SELECT * FROM rows WHERE from_m > 1"})
    rule = TableRule(rule="deep", column="from_m", where="from_m > 5", hint="up")
    narrowed = dataset.model_copy(update={"table_rules": (rule,)})
    written(tmp_path, "drillhole_interval", logged("lithology", (0, 5), (5, 9)))
    path = tmp_path / "drillhole_interval" / "accepted.arrow"
    with pytest.raises(ContractError, match=r"drillhole_interval.yml: table_view .* 2 rows came out as 1"):
        judge_together([path], narrowed, narrowed.rules(), beside=Beside(), scratch=tmp_path / "scratch")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table_rules": (TableRule(rule="r", column="from_m", where="from_mm > 1", hint=""),)}, "from_mm"),
        (
            {"table_rules": (TableRule(rule="r", column="from_m", where="from_m + 1", hint=""),)},
            "a condition is wanted",
        ),
        ({"table_rules": (TableRule(rule="r", column="depth", where="from_m > 1", hint=""),)}, "no column 'depth'"),
        ({"table_view": "SELECT * FROM rows; DROP TABLE rows"}, "exactly one SELECT"),
        ({"table_view": "SELECT * FROM read_csv('/etc/passwd')"}, "table_view: "),
    ],
)
def test_a_mistake_in_the_sql_of_a_contract_is_explained(changed: dict[str, Any], said: str) -> None:
    dataset = DATASETS["drillhole_interval"].model_copy(update=changed)
    assert said in " ".join(problems(dataset, DATASETS, lists_of(dataset)))


SURVEY = """\
feed: norland_sites
title: Survey of Norland
partner: norland
description: Stations for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
tables:
  stations: {path: norland/sites.csv, reader: delimited}
rights: {basis: licence, document: A licence, licence: CC-BY-4.0}
datasets:
  drillhole_survey:
    key: {authority: norland, register: surveys, columns: [nr]}
    columns:
      drillhole_id: {key: [hole], authority: norland, register: holes}
      depth_m: depth
      dip_deg: dip
      dip_convention: {const: negative-down}
      azimuth_deg: azimuth
      azimuth_reference: {const: "true"}
"""
STATIONS = """\
nr,hole,depth,dip,azimuth
1,A,0,-60,90
2,A,30,-60,91
3,A,30,-40,91
4,A,60,50,91
5,B,0,-95,10
6,B,9,-60,10
6,B,9,-60,10
"""


def test_an_error_keeps_the_rows_back_and_a_warning_lets_them_stand(tmp_path: Path) -> None:
    settings = installation(tmp_path, SURVEY, STATIONS)
    run = flow.conform("norland_sites", flow.land_feed("norland_sites", settings), settings)
    folder = open_catalogue(settings.catalogue_url).run(run).folder
    figures = read_record(folder)["datasets"]["drillhole_survey"]
    assert {word: figures[word] for word in ("shaped", "accepted", "quarantined")} == {
        "shaped": 7,
        "accepted": 3,
        "quarantined": 3,
    }
    assert figures["duplicates"] == 1
    told = {rule["rule"]: (rule["severity"], rule["evaluated"], rule["failed"]) for rule in figures["rules"]}
    assert told["drillhole_survey.depth_m.contradicted"] == ("error", 7, 2)
    assert told["drillhole_survey.dip_deg.sign_jump"] == ("warning", 7, 1)
    assert told["drillhole_survey.depth_m.decreasing"] == ("warning", 7, 0)
