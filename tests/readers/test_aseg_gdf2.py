"""ASEG-GDF2: columns cut as the .dfn says, arrays as lists, nulls as nulls, units told."""

import json
from pathlib import Path

import pytest

from pipelines.readers.sandbox import Outcome
from tests.partners import opened, rows_of, rules_of
from tests.readers.peaks import peak_kib

DEFINITIONS = """DEFN   ST=RECD,RT=COMM;RT:A4;COMMENTS:A76
DEFN 1 ST=RECD,RT=;LINE:I6:Line number
DEFN 2 ST=RECD,RT=;East:F9.1:UNIT=m:NULL=-9999.0,NAME=Easting (GDA94 MGA zone 52)
DEFN 3 ST=RECD,RT=;Con:3F8.2:NULL=-999.99,UNIT=mS/m,Conductivity;END DEFN
"""
LINE = "   101 500000.5    1.00   -0.50    2.25"


def survey(folder: Path, *lines: str, definitions: str | None = DEFINITIONS, **options: str) -> Outcome:
    """Have lines read under definitions."""
    part = folder / "survey.dfn"
    if definitions is not None:
        part.write_text(definitions, encoding="utf-8")
    parts = (part,) if definitions is not None else ()
    return opened("\n".join(lines) + "\n", "aseg_gdf2", folder, parts=parts, **options)


def test_fields_are_cut_by_the_definitions_and_keep_their_text(tmp_path: Path) -> None:
    outcome = survey(tmp_path, "COMM flown in 2016", LINE, "", LINE.replace("101", "102"))
    assert rows_of(outcome).to_pylist() == [
        {"LINE": "101", "East": "500000.5", "Con": "[1.00, -0.50, 2.25]", "_row": 2},
        {"LINE": "102", "East": "500000.5", "Con": "[1.00, -0.50, 2.25]", "_row": 4},
    ]
    assert outcome.units == {"East": "m", "Con": "mS/m"}
    assert rules_of(outcome) == [("read.crs_told", "info", None), ("read.other_features", "info", None)]


def test_each_field_has_its_own_null_however_it_is_written(tmp_path: Path) -> None:
    outcome = survey(tmp_path, "   101    -9999 -999.99    1.00-999.990", "   102 -9999.00   -9999 -9999.0        ")
    first, second = rows_of(outcome).to_pylist()
    assert (first["East"], json.loads(first["Con"])) == (None, [None, 1.0, None])
    assert (second["East"], json.loads(second["Con"])) == (None, [-9999, -9999.0, None])


def test_numbers_that_json_does_not_know_are_quoted_and_overflow_is_told(tmp_path: Path) -> None:
    outcome = survey(tmp_path, LINE, "   102 500000.5     .50********    +1.5")
    assert json.loads(rows_of(outcome)["Con"][1].as_py()) == [".50", "********", "+1.5"]
    told = [(issue["rule"], issue["row"], issue["column"]) for issue in outcome.issues if issue["row"]]
    assert told == [("read.unreadable_value", 2, "Con")]


def test_a_line_of_another_width_is_taken_apart_at_blanks_or_rejected(tmp_path: Path) -> None:
    outcome = survey(tmp_path, LINE, "102 500001.5 1 2 3", LINE + "   ", LINE[:-3], "103 5 1 2 3 4", "1\xe9" + LINE[2:])
    assert rows_of(outcome)["_row"].to_pylist() == [1, 2, 3, 4]
    assert rows_of(outcome)["Con"].to_pylist()[1] == "[1, 2, 3]"
    assert [each for each in rules_of(outcome) if each[1] != "info"] == [
        ("read.field_count", "error", 5),
        ("read.field_count", "error", 6),
        ("read.malformed_line", "warning", 2),
    ]


def test_another_record_type_can_be_read(tmp_path: Path) -> None:
    outcome = survey(tmp_path, "COMM" + "flown in 2016".ljust(76), LINE, record="COMM")
    assert rows_of(outcome).to_pylist() == [{"RT": "COMM", "COMMENTS": "flown in 2016", "_row": 1}]
    assert rules_of(survey(tmp_path, LINE, record="PROJ")) == [("read.record_missing", "error", None)]


@pytest.mark.parametrize(
    ("definitions", "rule"),
    [
        (None, "read.parts_missing"),
        ("", "read.record_missing"),
        ("DEFN 1 ST=RECD,RT=;LINE:Q6:x", "read.malformed"),
        ("DEFN 1 ST=RECD,RT=;LINE:999999999F8.2:x", "read.malformed"),
        ("DEFN 1 ST=RECD,RT=;A:I6;a:I6", "read.duplicate_header"),
    ],
    ids=["none", "empty", "format", "bomb", "twice"],
)
def test_definitions_that_cannot_be_used_refuse_the_file(tmp_path: Path, definitions: str | None, rule: str) -> None:
    outcome = survey(tmp_path, LINE, definitions=definitions)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    outcome = survey(tmp_path, "<html><body>gone</body></html>")
    assert (outcome.path, outcome.issues[0]["rule"]) == (None, "read.not_aseg")


def test_the_musgrave_survey_is_read(tmp_path: Path, shared: Path) -> None:
    stem = shared / "data/ga-aseg-gdf2/Mugrave_WB_MGA52"
    parts = (stem.with_suffix(".dfn"), stem.with_suffix(".des"))
    outcome = opened(stem.with_suffix(".dat"), "aseg_gdf2", tmp_path, parts=parts)
    rows = rows_of(outcome).to_pylist()
    assert (outcome.rows, len(outcome.columns), outcome.rejected, outcome.units["Con"]) == (38, 16, 0, "mS/m")
    assert len({row["LINE"] for row in rows}) > 1
    assert {len(json.loads(row[name])) for row in rows for name in ("Elev", "Con", "Con_doi", "RUnc")} == {30}
    assert rows[0]["Easting"] == "948001.60"
    assert "DATUM: GDA94" in outcome.issues[0]["found"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_lines(tmp_path: Path) -> None:
    part = tmp_path / "survey.dfn"
    part.write_text(DEFINITIONS, encoding="utf-8")
    ten, hundred = (peak_kib(f"{LINE}\n" * 5000 * times, "aseg_gdf2", tmp_path, parts=(part,)) for times in (10, 100))
    assert hundred < 1.2 * ten
