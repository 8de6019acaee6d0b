"""What is wrong with the partners' real files is found, counted, and treated as the table of defects says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.measured import Run, defects, measured, once_each

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_of(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Take each feed's real files through the line once."""
    return once_each(tmp_path_factory.mktemp("real"), shared / "data")


@pytest.mark.parametrize("defect", defects(), ids=lambda defect: f"{defect['feed']}: {defect['defect']}")
def test_each_known_defect_is_counted_as_stated(defect: dict[str, Any], run_of: Callable[[str], Run]) -> None:
    record, folder = run_of(defect["feed"])
    assert measured(record, folder, defect["found"]) == defect["count"]
    assert defect["stated"] in (None, defect["count"])


@pytest.mark.parametrize("feed", sorted({defect["feed"] for defect in defects()}))
def test_every_row_of_a_real_file_is_accounted_for(feed: str, run_of: Callable[[str], Run]) -> None:
    record, _ = run_of(feed)
    for source in record["sources"]:
        assert source["rows"] == source["used"] + source["filtered"] + source["quarantined"], source
        assert source["rows"] > 0
    for figures in record["datasets"].values():
        assert figures["shaped"] == figures["accepted"] + figures["quarantined"] + figures["duplicates"]


@pytest.mark.parametrize(
    "defect", [row for row in defects() if row["outcome"] == "quarantined"], ids=lambda row: row["defect"]
)
def test_a_defect_that_quarantines_is_an_error_of_its_rule(
    defect: dict[str, Any], run_of: Callable[[str], Run]
) -> None:
    record, _ = run_of(defect["feed"])
    rules = {rule["rule"]: rule for rule in record["datasets"][defect["found"]["dataset"]]["rules"]}
    assert rules[defect["found"]["rule"]]["severity"] == "error"
