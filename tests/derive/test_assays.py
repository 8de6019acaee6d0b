"""The best of several results, and control samples as a computed dataset."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts import Schemas
from pipelines.derive.assays import CRITERIA
from pipelines.terms import load_vocabulary
from tests.derive.test_holes import VOCABULARIES, computed, members


def results(*given: dict[str, Any]) -> list[dict[str, Any]]:
    sound = {"sample_id": "gsi:s:1", "analyte": "Cu", "unit": "ppm", "qualifier": "="}
    return [{"record_id": f"gsi:a:{place}", **sound, **one} for place, one in enumerate(given, 1)]


@pytest.mark.parametrize(
    ("worse", "better", "reason"),
    [
        ({"qualifier": ">", "is_total": True}, {"value_ppm": 9.0}, "in-range"),
        ({"method": "pxrf", "is_total": True}, {"method": "aas"}, "made-in"),
        ({"is_total": False}, {"is_total": None}, "total"),
        ({"is_total": None, "detection_limit": 0.1}, {"is_total": True, "detection_limit": 5.0}, "total"),
        ({"detection_limit": 2.0}, {"detection_limit": 1000.0, "unit": "ppb"}, "limit"),
        ({"detection_limit": None}, {"detection_limit": 50.0, "qualifier": "<"}, "limit"),
        ({"observed_on": "2019-05-01"}, {"analysed_on": "2021-05-01"}, "newest"),
        ({"repeat_number": 2}, {"repeat_number": 1}, "repeat"),
        ({"record_id": "gsi:a:9"}, {"record_id": "gsi:a:8"}, "tie"),
    ],
)
def test_the_best_result_is_chosen_by_the_declared_rank_and_says_which_criterion_decided(
    schemas: Schemas, tmp_path: Path, worse: dict[str, Any], better: dict[str, Any], reason: str
) -> None:
    dated = [{name: _day(value) for name, value in one.items()} for one in (worse, better)]
    told = results(*dated)
    of = members(schemas, tmp_path, sample=[{"record_id": "gsi:s:1", "role": "original"}], assay=told)
    (best,) = computed(schemas, "assay_best", of, tmp_path)
    assert (best["assay_id"], best["reason"], best["results"]) == (told[1]["record_id"], reason, 2)
    assert best["next_best_id"] == told[0]["record_id"]


def test_a_result_below_its_limit_keeps_the_limit_and_gets_no_value(schemas: Schemas, tmp_path: Path) -> None:
    below = results({"qualifier": "<", "detection_limit": 5.0, "unit": "ppb", "licence": "OGL-UK-3.0"})
    sample = {"record_id": "gsi:s:1", "role": "original", "tier": "restricted"}
    of = members(schemas, tmp_path, sample=[sample], assay=below)
    (best,) = computed(schemas, "assay_best", of, tmp_path)
    assert (best["value"], best["value_ppm"], best["qualifier"]) == (None, None, "<")
    assert (best["limit_ppm"], best["reason"]) == (pytest.approx(0.005), "only")
    assert (best["tier"], best["licences"]) == ("restricted", ["CC-BY-4.0", "OGL-UK-3.0"])
    assert best["members"] == ["gsi:a:1", "gsi:s:1"]


def test_control_samples_and_results_that_were_not_made_are_never_the_best(schemas: Schemas, tmp_path: Path) -> None:
    samples = [{"record_id": f"gsi:s:{role}", "role": role} for role in ("original", "blank", "pulp-duplicate")]
    unmade = {"sample_id": "gsi:s:original", "analyte": "Au", "qualifier": "not-analysed"}
    told = results(*({"sample_id": sample["record_id"]} for sample in samples), unmade)
    of = members(schemas, tmp_path, sample=samples, assay=told)
    assert [best["assay_id"] for best in computed(schemas, "assay_best", of, tmp_path)] == ["gsi:a:1"]


def test_every_criterion_of_the_rank_is_known() -> None:
    rank = load_vocabulary(VOCABULARIES / "assay_rank.csv")
    assert {code for code in rank.codes if rank.more(code, "order")} == set(CRITERIA)


def test_control_results_are_computed_from_the_certificates_of_any_feed(schemas: Schemas, tmp_path: Path) -> None:
    certificate = {"record_id": "gsi:c:1", "standard": "oreas45E", "analyte": "Cu", "unit": "ppm"}
    certificate |= {"value_ppm": 780.0, "standard_deviation": 24.0, "feed": "norland_standards", "licence": "CC0-1.0"}
    standard = {"record_id": "gsi:s:1", "role": "standard", "standard": "OREAS 45e"}
    told = results({"value_ppm": 900.0, "laboratory": "L", "batch": "B1"})
    of = members(schemas, tmp_path, sample=[standard], assay=told, certified_value=[certificate])
    (found,) = computed(schemas, "laboratory_control", of, tmp_path)
    assert (found["verdict"], found["measure"], found["expected_ppm"]) == ("failed", 5.0, 780.0)
    assert (found["batch"], found["reference"]) == ("B1", "OREAS 45e")
    assert found["feeds"] == ["norland_holes", "norland_standards"]
    assert found["members"] == ["gsi:a:1", "gsi:c:1", "gsi:s:1"]


def _day(value: Any) -> Any:
    return date.fromisoformat(value) if isinstance(value, str) and value[:2] == "20" else value
