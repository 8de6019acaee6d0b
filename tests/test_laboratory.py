"""Control samples: standards against their certificates, blanks against limits, duplicates against originals."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import flow
from pipelines.charts import HEIGHT, MOST_CHARTS, MOST_MARKS, PAD, control_charts
from pipelines.contracts import load_datasets
from pipelines.contracts.arrow import arrow_schema
from pipelines.laboratory import control_results, pass_rates
from pipelines.terms import load_vocabulary
from tests.norland import installation
from tests.planted import SCHEMAS

DATASETS = load_datasets(SCHEMAS)
ROLES = load_vocabulary(SCHEMAS / "vocabularies" / "sample_role.csv")
CERTIFICATE = {"standard": "OREAS 45e", "analyte": "Cu", "value_ppm": 780.0, "standard_deviation": 24.0, "unit": "ppm"}


def rows(dataset: str, *given: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(given), schema=arrow_schema(DATASETS[dataset]))


def results(samples: list[dict[str, Any]], assays: list[dict[str, Any]], *certified: dict[str, Any]) -> list[dict]:
    sound = {"analyte": "Cu", "unit": "ppm", "qualifier": "=", "laboratory": "L", "batch": "B1", "method_text": "ICP"}
    told = [
        {"record_id": f"a{place}", "source_file": "f.csv", "source_row": place, **sound, **assay}
        for place, assay in enumerate(assays, 1)
    ]
    found = control_results(rows("sample", *samples), rows("assay", *told), rows("certified_value", *certified), ROLES)
    return found.to_pylist()


def verdicts(found: list[dict]) -> list[tuple[str, str | None]]:
    return [(one["verdict"], one["reason"]) for one in found]


STANDARD = [{"record_id": "s", "role": "standard", "standard": "oreas-45E"}]


@pytest.mark.parametrize(
    ("value", "apart", "verdict"),
    [
        (780.0, 0.0, "passed"),
        (828.0, 2.0, "passed"),
        (829.2, 2.05, "doubtful"),
        (852.0, 3.0, "doubtful"),
        (854.4, 3.1, "failed"),
        (705.6, -3.1, "failed"),
    ],
)
def test_a_standard_is_judged_by_standard_deviations_from_its_certificate(
    value: float, apart: float, verdict: str
) -> None:
    (found,) = results(STANDARD, [{"sample_id": "s", "value_ppm": value}], CERTIFICATE)
    assert (found["measure"], found["verdict"]) == (pytest.approx(apart), verdict)
    assert (found["expected_ppm"], found["reference"]) == (780.0, "oreas-45E")


def test_two_standards_in_a_row_beyond_two_deviations_on_one_side_fail() -> None:
    assays = [{"sample_id": "s", "value_ppm": value} for value in (835.0, 840.0, 725.0, 780.0, 835.0)]
    found = results(STANDARD, assays, CERTIFICATE)
    assert [one["verdict"] for one in found] == ["doubtful", "failed", "doubtful", "passed", "doubtful"]
    assert found[1]["reason"] == "the second in a row beyond 2 standard deviations on one side"


def test_a_certificate_in_another_unit_and_for_another_method_is_understood() -> None:
    four_acid = {**CERTIFICATE, "method": "4a-icpms", "value_ppm": 500.0}
    percent = {"standard": "OREAS 45e", "analyte": "Fe", "value_ppm": 240000.0, "standard_deviation": 0.5, "unit": "%"}
    found = results(
        STANDARD,
        [
            {"sample_id": "s", "value_ppm": 780.0, "method": "xrf"},
            {"sample_id": "s", "value_ppm": 500.0, "method": "4a-icpms"},
            {"sample_id": "s", "value_ppm": 250000.0, "analyte": "Fe"},
        ],
        CERTIFICATE,
        four_acid,
        percent,
    )
    assert [(one["expected_ppm"], one["measure"]) for one in found] == [(780, 0), (500, 0), (240000, 2)]


def test_a_standard_that_cannot_be_judged_says_why_and_one_lost_below_its_limit_fails() -> None:
    found = results(
        STANDARD,
        [
            {"sample_id": "s", "value_ppm": 5.0, "analyte": "Zn"},
            {"sample_id": "s", "qualifier": "<", "detection_limit": 100.0},
            {"sample_id": "s", "qualifier": "<", "detection_limit": 900.0},
            {"sample_id": "s", "value_ppm": 5.0, "analyte": "Pb"},
        ],
        CERTIFICATE,
        {**CERTIFICATE, "analyte": "Pb", "standard_deviation": None},
    )
    assert verdicts(found) == [
        ("not-judged", "no certified value for this material, analyte and method"),
        ("failed", "below the limit, which lies under what is certified"),
        ("not-judged", "no measured value"),
        ("not-judged", "no standard deviation is certified"),
    ]


def test_a_blank_is_judged_by_multiples_of_the_detection_limit_of_its_batch() -> None:
    samples = [{"record_id": "b", "role": "blank"}, {"record_id": "o", "role": "original"}]
    assays = [
        {"sample_id": "b", "value_ppm": 5.0},
        {"sample_id": "b", "value_ppm": 10.0},
        {"sample_id": "b", "value_ppm": 10.5},
        {"sample_id": "b", "qualifier": "<", "detection_limit": 1000.0, "unit": "ppb"},
        {"sample_id": "b", "value_ppm": 3.0, "analyte": "Au"},
        {"sample_id": "o", "qualifier": "<", "detection_limit": 0.0001, "unit": "%"},
    ]
    found = results(samples, assays)
    assert verdicts(found) == [
        ("passed", None),
        ("doubtful", None),
        ("failed", None),
        ("passed", None),
        ("not-judged", "no detection limit is stated in its batch"),
    ]
    assert [one["measure"] for one in found[:3]] == pytest.approx([5.0, 10.0, 10.5])


def test_a_duplicate_is_held_against_the_same_analyte_and_method_of_its_original() -> None:
    samples = [
        {"record_id": "o", "role": "original"},
        {"record_id": "pulp", "role": "pulp-duplicate", "parent_id": "o"},
        {"record_id": "field", "role": "field-duplicate", "parent_id": "o"},
        {"record_id": "lost", "role": "coarse-duplicate", "parent_id": "nowhere"},
        {"record_id": "other", "role": "umpire", "parent_id": "o"},
    ]
    assays = [
        {"sample_id": "o", "value_ppm": 100.0, "repeat_number": 1},
        {"sample_id": "o", "value_ppm": 900.0, "repeat_number": 2},
        {"sample_id": "o", "value_ppm": 50.0, "method_text": "XRF"},
        {"sample_id": "pulp", "value_ppm": 150.0},
        {"sample_id": "field", "value_ppm": 150.0},
        {"sample_id": "pulp", "value_ppm": 51.0, "method_text": "XRF"},
        {"sample_id": "lost", "value_ppm": 1.0},
        {"sample_id": "other", "value_ppm": 110.0, "laboratory": "M", "method_text": "AAS"},
    ]
    found = results(samples, assays)
    assert [(one["role"], one["verdict"]) for one in found] == [
        ("pulp-duplicate", "failed"),
        ("field-duplicate", "passed"),
        ("pulp-duplicate", "passed"),
        ("coarse-duplicate", "not-judged"),
        ("umpire", "passed"),
    ]
    assert found[0]["measure"] == pytest.approx(0.2)
    assert found[3]["reason"] == "the original has no result of this analyte by this method"


def test_duplicates_near_the_detection_limit_are_not_compared() -> None:
    samples = [{"record_id": "o", "role": "original"}, {"record_id": "d", "role": "pulp-duplicate", "parent_id": "o"}]
    found = results(
        samples,
        [{"sample_id": "o", "value_ppm": 1.0, "detection_limit": 1.0}, {"sample_id": "d", "value_ppm": 4.0}],
    )
    assert verdicts(found) == [("not-judged", "their mean is below 10 times the detection limit")]


def test_pass_rates_are_counted_by_batch_and_role() -> None:
    assays = [{"sample_id": "s", "value_ppm": value} for value in (780.0, 900.0)]
    assays += [
        {"sample_id": "s", "value_ppm": 780.0, "batch": "B2"},
        {"sample_id": "s", "analyte": "Au", "batch": "B3"},
    ]
    sound = {"analyte": "Cu", "unit": "ppm", "qualifier": "=", "laboratory": "L", "batch": "B1"}
    told = [{"record_id": f"a{place}", **sound, **assay} for place, assay in enumerate(assays)]
    found = control_results(
        rows("sample", *STANDARD), rows("assay", *told), rows("certified_value", CERTIFICATE), ROLES
    )
    rates = [
        (one["batch"], one["role"], one["results"], one["passed"], one["failed"], one["not_judged"], one["share"])
        for one in pass_rates(found).to_pylist()
    ]
    assert rates == [
        ("B1", "standard", 2, 1, 1, 0, 0.5),
        ("B2", "standard", 1, 1, 0, 0, 1.0),
        ("B3", "standard", 1, 0, 0, 1, None),
    ]


def judged(*measures: float, **more: Any) -> pa.Table:
    row = {"control": "standard", "role": "standard", "reference": "OREAS 45e", "analyte": "Cu", "method": None}
    row |= {"laboratory": "L", "expected_ppm": 780.0, "value_ppm": 1.0, "passing": 2.0, "failing": 3.0}
    row |= {"source_file": "f.csv", "source_row": 2, **more}
    told = [{**row, "measure": one, "verdict": "failed" if abs(one) > 3 else "passed"} for one in measures]
    return pa.Table.from_pylist(told)


def test_a_chart_has_its_middle_at_the_certified_value_and_marks_beyond_its_edge_at_the_edge() -> None:
    (chart,), left_out = control_charts(judged(0.0, 3.5, -60.0))
    middle, inside, edge = chart.marks
    guides = {guide.label: guide.y for guide in chart.guides}
    assert middle.y == guides["780 ppm"] == HEIGHT / 2
    assert PAD < inside.y < guides["+3"] < guides["+2"] < middle.y < guides["-2"] < guides["-3"] < edge.y
    assert edge.y == HEIGHT - PAD
    assert (chart.title, chart.results, chart.failed, left_out) == ("OREAS 45e, Cu, L", 3, 2, 0)
    assert edge.said == "f.csv:2: 1 ppm, -60, failed"


def test_long_charts_show_the_last_results_and_many_charts_the_worst() -> None:
    (chart,), _ = control_charts(judged(*[0.0] * 300))
    assert (len(chart.marks), chart.left_out, chart.results) == (MOST_MARKS, 300 - MOST_MARKS, 300)
    many = pa.concat_tables(
        [judged(0.0, reference=f"R{number:02d}") for number in range(14)] + [judged(9.0, reference="BAD")]
    )
    charts, left_out = control_charts(many)
    assert (len(charts), left_out, charts[0].title) == (MOST_CHARTS, 3, "BAD, Cu, L")


LABORATORY = """\
feed: norland_sites
title: Assays of Norland
partner: norland
description: Control samples for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1M
tables:
  results: {path: norland/sites.csv, reader: delimited}
rights: {basis: licence, document: A licence, licence: CC-BY-4.0}
datasets:
  sample:
    key: {authority: norland, register: samples, columns: [sample]}
    columns: {role: role, parent_id: {key: [parent], of: sample}, standard: crm}
    position: {x: lon, y: lat, crs: "EPSG:4326"}
  assay:
    key: {authority: norland, register: samples, columns: [sample, analyte], stability: composite}
    columns:
      sample_id: {key: [sample], of: sample}
      analyte: analyte
      value: {from: value, unit: ppm, encoding: less-than-text}
      laboratory: lab
      batch: batch
"""
RESULTS = """\
sample,role,parent,crm,lon,lat,analyte,value,lab,batch
1,original,,,10.5,60.5,Cu,100,L,B1
2,pulp dup,1,,10.5,60.5,Cu,110,L,B1
3,std,,OREAS 45e,,,Cu,900,L,B1
4,blank,,,,,Cu,<1,L,B1
"""
CERTIFICATES = """\
feed: norland_standards
title: Standards of Norland
partner: norland
description: Certified values for a test.
owner: Survey of Norland
schedule: "0 3 * * 1"
cadence: P1Y
tables:
  values: {path: norland/standards.csv, reader: delimited}
rights: {basis: licence, document: A licence, licence: CC-BY-4.0}
datasets:
  certified_value:
    key: {authority: norland, register: standards, columns: [crm, analyte], stability: composite}
    columns: {standard: crm, analyte: analyte, value: {from: value, unit: ppm}, standard_deviation: sd}
"""


@pytest.mark.slow
def test_a_delivery_is_judged_by_certificates_of_another_feed_on_its_page_and_in_the_release(tmp_path: Path) -> None:
    settings = installation(tmp_path, LABORATORY, RESULTS)
    (settings.schemas / "feeds" / "norland_standards.yml").write_text(CERTIFICATES, encoding="utf-8")
    (settings.drop / "norland" / "standards.csv").write_text("crm,analyte,value,sd\noreas-45e,Cu,780,24\n")
    flow.ingest("norland_standards", settings)
    record = flow.ingest("norland_sites", settings)
    assert record["datasets"]["sample"]["accepted"] == 4
    page = Path(record["page"]).read_text(encoding="utf-8")
    assert "<svg" in page and "<script" not in page
    assert "3 results of control samples" in page.replace("<strong>", "").replace("</strong>", "")
    assert 'aria-label="Control chart of OREAS 45e, Cu, L: 1 of 1 failed"' in page
    rows = flow.release(settings)["rows"]
    assert (rows["laboratory_control"], rows["assay_best"], rows["certified_value"]) == (3, 1, 1)
