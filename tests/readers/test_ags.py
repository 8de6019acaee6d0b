"""AGS: one group of a file, in both editions, whatever the file's other groups hold."""

from pathlib import Path

import pytest

from tests.partners import opened, rows_of, rules_of

FOUR = '''"GROUP","PROJ"
"HEADING","PROJ_ID"
"UNIT",""
"TYPE","X"
"DATA","P1"

"GROUP","GEOL"
"HEADING","GEOL_TOP","LOCA_ID","GEOL_DESC","X_OWN"
"UNIT","m","","",""
"TYPE","2DP","ID","X","X"
"DATA","0.00","BH1","Clay, ""stiff""","Null"
"DATA","1.00","BH1","Sand
and gravel",""
"DATA","2.00","BH1"
"DATA","3.00","BH1","open quote,"a"
"DATA","4.00","BH2","Rock","x"
'''
THREE = """"**PROJ"
"*PROJ_ID"
"<UNITS>"
"P1"

"**HOLE"
"*HOLE_ID","*HOLE_REM",
"*HOLE_GL","*?HOLE_OWN"
"<UNITS>","","m",""
"BH1","Drilled in t","12.5",""
"<CONT>","wo days","",""
"BH2","","13","x"

"**?GEOX"
"*HOLE_ID"
"BH1"
"""


def test_edition_4_gives_the_group_that_was_asked_for(tmp_path: Path) -> None:
    outcome = opened(FOUR, "ags", tmp_path, group="geol")
    assert rows_of(outcome).to_pylist() == [
        {"GEOL_TOP": "0.00", "LOCA_ID": "BH1", "GEOL_DESC": 'Clay, "stiff"', "X_OWN": "Null", "_row": 11},
        {"GEOL_TOP": "1.00", "LOCA_ID": "BH1", "GEOL_DESC": "Sand\nand gravel", "X_OWN": None, "_row": 12},
        {"GEOL_TOP": "4.00", "LOCA_ID": "BH2", "GEOL_DESC": "Rock", "X_OWN": "x", "_row": 16},
    ]
    assert outcome.units == {"GEOL_TOP": "m"}
    assert rules_of(outcome) == [
        ("read.malformed_line", "warning", 12),
        ("read.field_count", "error", 14),
        ("read.malformed_line", "error", 15),
    ]
    assert outcome.rejected == 2


def test_edition_3_joins_continued_headings_and_values(tmp_path: Path) -> None:
    outcome = opened(THREE, "ags", tmp_path, group="HOLE")
    assert rows_of(outcome).to_pylist() == [
        {"HOLE_ID": "BH1", "HOLE_REM": "Drilled in two days", "HOLE_GL": "12.5", "HOLE_OWN": None, "_row": 10},
        {"HOLE_ID": "BH2", "HOLE_REM": None, "HOLE_GL": "13", "HOLE_OWN": "x", "_row": 12},
    ]
    assert outcome.units == {"HOLE_GL": "m"}
    assert opened(THREE, "ags", tmp_path, group="GEOX").rows == 1


def test_an_open_quote_swallows_its_own_row_only(tmp_path: Path) -> None:
    text = FOUR.replace('"DATA","0.00","BH1","Clay, ""stiff""","Null"', '"DATA","0.00","BH1","Clay')
    outcome = opened(text, "ags", tmp_path, group="GEOL")
    assert rows_of(outcome)["GEOL_TOP"].to_pylist() == ["1.00", "4.00"]
    assert ("read.malformed_line", "error", 11) in rules_of(outcome)


def test_a_line_in_another_encoding_is_rejected_alone(tmp_path: Path) -> None:
    text = FOUR.replace("Rock", "Schöne Kreide").encode("cp1252")
    outcome = opened(text, "ags", tmp_path, group="GEOL")
    assert outcome.issues[-1]["rule"] == "read.encoding"
    assert r"Sch\xf6ne" in outcome.issues[-1]["found"]
    assert opened(text, "ags", tmp_path, group="GEOL", encoding="cp1252").rows == 3
    assert opened(text, "ags", tmp_path, group="PROJ").issues == ()


def test_a_missing_group_is_told_with_those_there_are(tmp_path: Path) -> None:
    outcome = opened(FOUR, "ags", tmp_path, group="LOCA")
    assert (outcome.path, outcome.issues[0]["hint"]) == (None, "the file has PROJ, GEOL")


@pytest.mark.parametrize("content", ["id,name\n1,a\n", "", "PK\x03\x04", "<html>"])
def test_what_is_no_ags_file_is_refused(tmp_path: Path, content: str) -> None:
    assert rules_of(opened(content, "ags", tmp_path, group="LOCA")) == [("read.not_ags", "error", None)]


NORTH = "1-CO102748.002_NorthKelvinsideLogs.ags"
BRIDGE = "A487 Pont ar Dyfi Improvement.ags"
KEELE = "Keele University AGS.ags"
COUNTS = [
    (NORTH, "LOCA", 25, 40),
    (NORTH, "GEOL", 220, 12),
    (BRIDGE, "LOCA", 38, 6),
    (BRIDGE, "GEOL", 160, 6),
    (KEELE, "LOCA", 3, 40),
    (KEELE, "GEOL", 28, 13),
    ("41546.ags", "HOLE", 24, 11),
    ("41546.ags", "GEOL", 106, 6),
    ("41546.ags", "ISPT", 42, 23),
]


@pytest.mark.parametrize(("file", "group", "rows", "columns"), COUNTS)
def test_ground_investigations_have_all_rows(
    tmp_path: Path, shared: Path, file: str, group: str, rows: int, columns: int
) -> None:
    outcome = opened(shared / "data/bgs-ags" / file, "ags", tmp_path, group=group)
    assert (outcome.rows, len(outcome.columns), outcome.rejected) == (rows, columns, 0)


def test_the_malformed_bridge_file_goes_on_after_line_106(tmp_path: Path, shared: Path) -> None:
    outcome = opened(shared / "data/bgs-ags" / BRIDGE, "ags", tmp_path, group="GEOL")
    assert rules_of(outcome) == [("read.malformed_line", "warning", row) for row in (106, 117, 144, 155, 180)]
    table = rows_of(outcome)
    described = table["GEOL_DESC"][table["_row"].to_pylist().index(106)].as_py()
    assert described == "Grey SILTSTONE, moderately strong to strong. \nBH CONTINUED BY ROTARY DRILLING."
    collars = rows_of(opened(shared / "data/bgs-ags" / BRIDGE, "ags", tmp_path, group="LOCA"))
    assert collars["LOCA_GL"][0].as_py() == "Null"
