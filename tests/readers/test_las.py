"""LAS well logs: curves with units and line numbers, headers as columns, faults told with their lines."""

from pathlib import Path

import pytest

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of

LOG = """~Version
 VERS. {version} : x
 WRAP. {wrap} : x
~Well
 STRT.M 1 : first
 STOP.M {stop} : last
 STEP.M 1 : step
 NULL. -999.25 : null
 WELL. {well}
~Parameter
 LAT .deg -26.5 : Latitude
 X . 0560160 : easting
~Curve
 DEPT.M : depth
 GR .GAPI 45 310 : gamma
~A depth gamma
{data}
"""


def log(data: str, *, version: str = "2.0", wrap: str = "NO", stop: str = "2", well: str = "Hill 1 : name") -> str:
    """Write a log of two curves; its data begin on line 17."""
    return LOG.format(data=data, version=version, wrap=wrap, stop=stop, well=well)


def test_a_depth_is_a_row_with_its_line_and_units(tmp_path: Path) -> None:
    outcome = opened(log("1.000 45.50\n# note\n2.000 -999.2500"), "las", tmp_path, header=["WELL", "LAT"])
    assert rows_of(outcome).to_pylist() == [
        {"DEPT": "1.000", "GR": "45.50", "WELL": "Hill 1", "LAT": "-26.5", "_row": 17},
        {"DEPT": "2.000", "GR": None, "WELL": "Hill 1", "LAT": "-26.5", "_row": 19},
    ]
    assert (outcome.units, outcome.issues) == ({"DEPT": "M", "GR": "GAPI", "LAT": "deg"}, ())


def test_values_of_version_1_2_stand_behind_the_colon(tmp_path: Path) -> None:
    outcome = opened(log("1 2\n2 3", version="1.2", well="WELL NAME : Hill 1"), "las", tmp_path, section="well")
    row = rows_of(outcome).to_pylist()[0]
    assert (row["WELL"], row["STOP"], row["_row"], outcome.units["STOP"]) == ("Hill 1", "2", 5, "M")


def test_parameters_are_a_table_of_their_own(tmp_path: Path) -> None:
    outcome = opened(log("1 2"), "las", tmp_path, section="parameters")
    assert rows_of(outcome).to_pylist() == [
        {"mnemonic": "LAT", "unit": "deg", "value": "-26.5", "description": "Latitude", "_row": 11},
        {"mnemonic": "X", "unit": None, "value": "0560160", "description": "easting", "_row": 12},
    ]


def test_wrapped_lines_are_one_row_at_the_line_of_the_depth(tmp_path: Path) -> None:
    outcome = opened(log("1\n45.5\n2\n46.5 7\n3\n48", wrap="YES", stop="3"), "las", tmp_path)
    assert [tuple(row.values()) for row in rows_of(outcome).to_pylist()] == [("1", "45.5", 17), ("3", "48", 21)]
    assert [(issue["rule"], issue["row"], issue["found"]) for issue in outcome.issues] == [
        ("read.field_count", 19, "2\n46.5 7")
    ]


def test_mended_lines_are_told_and_others_rejected(tmp_path: Path) -> None:
    outcome = opened(log("1,45\n2.0-46\n3\n4 5 6\n5 7", stop="5"), "las", tmp_path)
    assert [tuple(row.values()) for row in rows_of(outcome).to_pylist()] == [
        ("1", "45", 17),
        ("2.0", "-46", 18),
        ("5", "7", 21),
    ]
    assert rules_of(outcome) == [
        ("read.field_count", "error", 19),
        ("read.field_count", "error", 20),
        ("read.malformed_line", "warning", 17),
        ("read.malformed_line", "warning", 18),
    ]


def test_a_log_that_ends_early_or_has_another_null_is_told(tmp_path: Path) -> None:
    outcome = opened(log("1 -9999\n2 3", stop="50"), "las", tmp_path)
    assert rows_of(outcome)["GR"].to_pylist() == ["-9999", "3"]
    assert rules_of(outcome) == [("read.undeclared_null", "warning", 17), ("read.depth_range", "warning", None)]
    assert outcome.issues[1]["found"] == "the header ends at 50, the data at 2"


def test_curves_of_one_name_are_told_apart(tmp_path: Path) -> None:
    text = log("1 2 3").replace(" GR .GAPI 45 310 : gamma", " GR .GAPI : one\n GR .GAPI : two")
    outcome = opened(text, "las", tmp_path)
    assert (outcome.columns, outcome.issues[0]["rule"]) == (("DEPT", "GR", "GR:2"), "read.header_renamed")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "read.not_las"),
        ("id,name\n1,2\n", "read.not_las"),
        (log("1 2", version="3.0"), "read.version"),
        (log("1 2").split("~A")[0], "read.header_missing"),
        (log("1 2").replace("DEPT.M : depth", "").replace(" GR .GAPI 45 310 : gamma", ""), "read.header_missing"),
        (log("1 2\n~A\n1 2"), "read.malformed"),
        ("~V\n" + "x" * (5 << 20), "read.too_large"),
    ],
    ids=["empty", "csv", "version_3", "no_data", "no_curves", "two_logs", "long_line"],
)
def test_what_is_no_sound_log_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    outcome = opened(text, "las", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


def test_a_log_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    outcome = opened(log("1 2"), "las", tmp_path, limits=Limits(whole_file_bytes=100))
    assert (outcome.path, rules_of(outcome)) == (None, [("read.too_large", "error", None)])


def test_the_real_logs_are_read(tmp_path: Path, shared: Path) -> None:
    kansas = opened(shared / "data/las-logs/1001178549.las", "las", tmp_path, header=["UWI", "LAT", "LONG"])
    first = rows_of(kansas).to_pylist()[0]
    assert (kansas.rows, kansas.rejected, kansas.units["DEPT"]) == (5, 0, "FT")
    assert (first["DEPT"], first["GSGR"], first["IDGR"]) == ("1783.5000", None, "50.6465")
    assert (first["UWI"], first["LAT"], first["LONG"]) == ("15-187-20743", "37.41565", "-101.58701")
    scorpio = opened(shared / "data/las-logs/6038187_v1.2.las", "las", tmp_path)
    rows = rows_of(scorpio)
    assert (scorpio.rows, scorpio.rejected, rows["_row"][0].as_py()) == (2732, 0, 61)
    assert (rows["GAMN"][0].as_py(), rows["GAMN"][1].as_py()) == (None, "-2324.28")
