"""Delimited text: every row is either in a column or told with its number and text."""

import gzip
from pathlib import Path

import pyarrow.compute as pc
import pytest

from tests.partners import opened, rows_of, rules_of


def test_every_value_is_text_as_it_came(tmp_path: Path) -> None:
    table = rows_of(opened('id,grade,note\n007,1.50," a "\n9007199254740993,1e5,\n', "delimited", tmp_path))
    assert table.to_pylist() == [
        {"id": "007", "grade": "1.50", "note": " a ", "_row": 2},
        {"id": "9007199254740993", "grade": "1e5", "note": None, "_row": 3},
    ]


def test_an_empty_field_is_null_and_a_quoted_one_is_empty_text(tmp_path: Path) -> None:
    table = rows_of(opened('id,a,b\n1,,""\n', "delimited", tmp_path))
    assert table.select(["a", "b"]).to_pylist() == [{"a": None, "b": ""}]


def test_a_row_of_the_wrong_width_is_told_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    outcome = opened('id,name\n1,"two\nlines"\n2,b,c\n3\n\n4,d\n', "delimited", tmp_path)
    assert rows_of(outcome)["_row"].to_pylist() == [2, 6]
    assert rules_of(outcome) == [("read.field_count", "error", 3), ("read.field_count", "error", 4)]
    assert [issue["found"] for issue in outcome.issues] == ["2,b,c", "3"]
    assert outcome.rejected == 2


def test_row_numbers_are_exact_over_many_blocks(tmp_path: Path) -> None:
    lines = [f"{number},{'x' * 100}" for number in range(2, 100_002)]
    for number in (5, 41_000, 41_001, 99_999):
        lines[number - 2] += ",too much"
    outcome = opened("id,name\n" + "\n".join(lines), "delimited", tmp_path)
    table = rows_of(outcome)
    assert table["id"].to_pylist() == [str(row) for row in table["_row"].to_pylist()]
    assert [issue["row"] for issue in outcome.issues] == [5, 41_000, 41_001, 99_999]
    assert table.num_rows == 100_000 - 4


def test_bytes_that_are_no_text_reject_their_row_only(tmp_path: Path) -> None:
    outcome = opened(b"id,name\n1,caf\xe9\n2,caf\xc3\xa9\n3,\xff,x\n", "delimited", tmp_path)
    assert rows_of(outcome).to_pylist() == [{"id": "2", "name": "café", "_row": 3}]
    assert sorted(rules_of(outcome)) == [("read.encoding", "error", 2), ("read.field_count", "error", 4)]
    assert {r"caf\\xe9" in issue["found"] or r"\xff" in issue["found"] for issue in outcome.issues} == {True}
    assert "\ufffd" not in str(outcome.issues)


def test_a_character_over_two_blocks_stays_whole(tmp_path: Path) -> None:
    text = "id\n" + "aé€😀\n" * 700_000
    outcome = opened(text, "delimited", tmp_path)
    assert (outcome.rows, outcome.issues) == (700_000, ())
    assert rows_of(outcome)["id"].unique().to_pylist() == ["aé€😀"]


@pytest.mark.parametrize(("encoding", "options"), [("cp1252", {"encoding": "cp1252"}), ("utf-8-sig", {})])
def test_a_declared_encoding_is_followed(tmp_path: Path, encoding: str, options: dict[str, str]) -> None:
    outcome = opened("id,name\n1,Škoda – é\n".encode(encoding), "delimited", tmp_path, **options)
    assert rows_of(outcome).to_pylist() == [{"id": "1", "name": "Škoda – é", "_row": 2}]
    assert outcome.issues == ()


def test_a_byte_without_a_character_in_the_declared_encoding_rejects_its_row(tmp_path: Path) -> None:
    outcome = opened(b"id,name\n1,a\x81\n2,\x80\n", "delimited", tmp_path, encoding="cp1252")
    assert rows_of(outcome)["name"].to_pylist() == ["€"]
    assert rules_of(outcome) == [("read.encoding", "error", 2)]


def test_utf16_is_noticed_by_its_mark(tmp_path: Path) -> None:
    outcome = opened("id,name\n1,é\n".encode("utf-16"), "delimited", tmp_path)
    assert rows_of(outcome).to_pylist() == [{"id": "1", "name": "é", "_row": 2}]
    assert rules_of(outcome) == [("read.encoding_assumed", "warning", None)]
    assert opened("id\né\n".encode("utf-16"), "delimited", tmp_path, encoding="utf-16").issues == ()
    cut = opened("id,name\n1,é\n".encode("utf-16")[:-1], "delimited", tmp_path)
    assert rules_of(cut)[-1][0] == "read.encoding"


def test_a_nul_rejects_its_row_and_is_shown(tmp_path: Path) -> None:
    outcome = opened(b"id,name\n1,a\x00b\n2,c\n", "delimited", tmp_path)
    assert rows_of(outcome)["id"].to_pylist() == ["2"]
    assert rules_of(outcome) == [("read.nul", "error", 2)]
    assert outcome.issues[0]["column"] == "name"
    assert "\x00" not in outcome.issues[0]["found"]


def test_a_quote_that_is_never_closed_loses_no_rows_unseen(tmp_path: Path) -> None:
    for text in ('id,name\n1,"a\n2,b\n3,c\n', 'id,name\n1,a\n2,"b', 'id,name\n1,a\n2,"b,c\n3,d\n'):
        outcome = opened(text, "delimited", tmp_path)
        assert outcome.path is None
        assert rules_of(outcome)[-1][0] == "read.open_quote", text
    first = opened('id,name\n"1,a\n2,b\n', "delimited", tmp_path)
    assert rules_of(first) == [("read.field_count", "error", 2)]
    assert "runs over" in first.issues[0]["hint"]


def test_a_quoted_value_of_several_lines_at_the_end_is_no_open_quote(tmp_path: Path) -> None:
    for end in ("", "\n", "\r\n"):
        outcome = opened('id,name\n1,"a\nb"' + end, "delimited", tmp_path)
        assert (outcome.rows, outcome.issues) == (1, ())


def test_headers_are_made_usable_and_told(tmp_path: Path) -> None:
    outcome = opened(",Ore  type,_row\n1,a,b\n", "delimited", tmp_path)
    assert outcome.columns == ("column_1", "Ore type", "column_3")
    assert [(issue["column"], issue["severity"]) for issue in outcome.issues] == [
        ("column_1", "info"),
        ("Ore type", "info"),
        ("column_3", "warning"),
    ]


@pytest.mark.parametrize("header", ["id,id", "id,ID", "id, id"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, header: str) -> None:
    outcome = opened(f"{header}\n1,2\n", "delimited", tmp_path)
    assert (outcome.path, rules_of(outcome)[-1][0]) == (None, "read.duplicate_header")


def test_the_header_may_stand_lower_and_be_followed_by_units(tmp_path: Path) -> None:
    text = 'Mines of Norland\n"As of\n2026"\nid,depth\n-,m\n1,20\n'
    outcome = opened(text, "delimited", tmp_path, header_row=3, skip_rows_after=1)
    assert rows_of(outcome).to_pylist() == [{"id": "1", "depth": "20", "_row": 5}]
    assert rules_of(outcome) == [("read.banner", "info", None), ("read.skipped_rows", "info", None)]
    assert outcome.issues[0]["found"].startswith("Mines of Norland")
    assert outcome.issues[1]["found"] == "-, m"
    with_units = opened(text, "delimited", tmp_path, header_row=3, units_row=4)
    assert (with_units.units, rows_of(with_units)["_row"].to_pylist()) == ({"id": "-", "depth": "m"}, [5])
    assert rules_of(with_units) == [("read.banner", "info", None)]


def test_a_file_without_a_header_gets_its_names_from_the_feed(tmp_path: Path) -> None:
    outcome = opened("1;a\n2;b\n", "delimited", tmp_path, header_row=0, columns=["id", "name"], delimiter=";")
    assert rows_of(outcome)["_row"].to_pylist() == [1, 2]


def test_quotes_may_be_switched_off(tmp_path: Path) -> None:
    outcome = opened('id\tname\n1\t5" pipe\n2\t"x\n', "delimited", tmp_path, delimiter="\t", quote="")
    assert rows_of(outcome)["name"].to_pylist() == ['5" pipe', '"x']


def test_a_header_without_rows_is_told(tmp_path: Path) -> None:
    outcome = opened("id,name\n", "delimited", tmp_path)
    assert (outcome.rows, outcome.columns) == (0, ("id", "name"))
    assert rules_of(outcome) == [("read.no_rows", "warning", None)]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "read.header_missing"),
        (b"\n1,2\n", "read.header_missing"),
        (gzip.compress(b"id\n1\n", mtime=0), "read.not_text"),
        (b"<!DOCTYPE html><html></html>", "read.not_text"),
        (b'id,name\n1,"' + b"a" * 9_000_000 + b'"\n', "read.malformed"),
    ],
    ids=["empty", "blank header", "gzip", "html", "a field without end"],
)
def test_what_is_no_table_is_refused_as_a_whole(tmp_path: Path, content: bytes, rule: str) -> None:
    outcome = opened(content, "delimited", tmp_path)
    assert (outcome.path, rules_of(outcome)[-1][:2]) == (None, (rule, "error"))


FILES = {
    "usgs-mrdata-sites/mrds_with_ca.csv": (",", 40_943),
    "usgs-mrds/Resources.txt": ("\t", 12_725),
    "usgs-mrds/Resource_detail.txt": ("\t", 21_072),
    "usgs-mrds/Dups.txt": ("\t", 79_892),
    "gsi-ngcm/cleaned_ngcm_stream_sediments.csv": (",", 10_004),
    "gsq-thalanga-drillholes/ThalangaML_collar.csv": (",", 5_277),
    "gsq-thalanga-drillholes/ThalangaML_survey.csv": (",", 18_855),
    "gsq-thalanga-drillholes/ThalangaML_Geology.csv": (",", 64_431),
    "wa-dmirs-tenements/tenement_regions_clean.csv": (",", 29_882),
}


@pytest.mark.parametrize("file", FILES)
def test_an_agency_file_has_all_its_rows(tmp_path: Path, shared: Path, file: str) -> None:
    delimiter, rows = FILES[file]
    outcome = opened(shared / "data" / file, "delimited", tmp_path, delimiter=delimiter)
    assert (outcome.rows, outcome.rejected) == (rows, 0)
    numbers = rows_of(outcome)["_row"]
    assert (numbers[0].as_py(), numbers[-1].as_py()) == (2, rows + 1)


def test_the_encoding_of_a_real_list_is_detected_and_told(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/fineprint-mine-production/source_material_ids.csv"
    outcome = opened(file, "delimited", tmp_path, delimiter=";")
    assert (outcome.rows, outcome.rejected) == (397, 1)
    assert rules_of(outcome) == [("read.encoding_detected", "warning", None), ("read.field_count", "error", 165)]
    assert outcome.issues[0]["found"] == "cp1252: Estaño, ESTAÑO, or Estańo, ESTAŃO in cp1250"
    assert rows_of(outcome).filter(pc.field("_row") == 324)["source_material_id"].to_pylist() == ["Estaño"]
    as_utf8 = opened(file, "delimited", tmp_path, delimiter=";", encoding="utf-8")
    assert {row for _rule, severity, row in rules_of(as_utf8) if severity == "error"} == {165, 324, 393}
    assert ("read.encoding_contradicted", "warning", None) in rules_of(as_utf8)


WESTERN = "id,name\n1,Mina Peñón\n2,Übertage\n3,Røros café\n"


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp850", "cp437", "mac_roman", "utf-16-le", "utf-16-be"])
def test_an_encoding_that_nobody_declared_is_detected_and_told(tmp_path: Path, encoding: str) -> None:
    text = WESTERN.replace("Røros ", "") if encoding == "cp437" else WESTERN
    outcome = opened(text.encode(encoding), "delimited", tmp_path)
    assert rows_of(outcome)["name"].to_pylist() == [line.split(",")[1] for line in text.splitlines()[1:]]
    assert rules_of(outcome) == [("read.encoding_detected", "warning", None)]
    assert opened(text.encode(encoding), "delimited", tmp_path, encoding=encoding).issues == ()


@pytest.mark.parametrize(
    ("encoding", "names"),
    [("cp1251", ["Норильск", "Мончегорск"]), ("cp1250", ["Wałbrzych", "Lubin Główny", "Łódź"])],
)
def test_other_scripts_are_detected(tmp_path: Path, encoding: str, names: list[str]) -> None:
    text = "".join(f"{number},{name}\n" for number, name in enumerate(names))
    outcome = opened(f"id,name\n{text}".encode(encoding), "delimited", tmp_path)
    assert rows_of(outcome)["name"].to_pylist() == names
    assert rules_of(outcome) == [("read.encoding_detected", "warning", None)]


def test_an_encoding_that_is_one_of_several_is_told_with_the_others(tmp_path: Path) -> None:
    outcome = opened("id,name\n1,Muğla\n2,Eskişehir\n".encode("cp1254"), "delimited", tmp_path)
    assert "Muğla, Eskişehir in cp1254" in outcome.issues[0]["found"]


@pytest.mark.parametrize(
    ("written", "declared", "told"),
    [
        ("utf-8", "cp1252", "sound UTF-8"),
        ("cp1252", "utf-8", "in cp1252 they read Peñón"),
        ("cp437", "cp1252", "in cp850"),
        ("utf-16-le", "utf-8", "every other byte is NUL"),
    ],
)
def test_bytes_that_contradict_the_declared_encoding_are_told(
    tmp_path: Path, written: str, declared: str, told: str
) -> None:
    text = "id,name\n1,Peñón\n2,Übertage\n3,café\n4,Götaverken\n5,Mündung\n"
    outcome = opened(text.encode(written), "delimited", tmp_path, encoding=declared)
    contradicted = [issue["found"] for issue in outcome.issues if issue["rule"] == "read.encoding_contradicted"]
    assert len(contradicted) == 1
    assert told in contradicted[0]


def test_text_that_was_made_utf8_twice_is_told(tmp_path: Path) -> None:
    twice = "id,name\n1,Peñón\n".encode().decode("latin-1")
    outcome = opened(twice, "delimited", tmp_path, encoding="utf-8")
    assert rules_of(outcome) == [("read.encoding_contradicted", "warning", None)]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_delimiter_that_nobody_declared_is_detected_and_told(tmp_path: Path, delimiter: str) -> None:
    text = "id,name,note\n1,a,x\n2,b,y\n".replace(",", delimiter)
    outcome = opened(text, "delimited", tmp_path)
    assert outcome.columns == ("id", "name", "note")
    assert rules_of(outcome) == [("read.delimiter_detected", "info", None)]
    assert opened(text, "delimited", tmp_path, delimiter=delimiter).issues == ()


def test_a_delimiter_that_the_first_line_states_is_taken(tmp_path: Path) -> None:
    outcome = opened("sep=;\nid;name\n1;a,b\n", "delimited", tmp_path)
    assert rows_of(outcome).to_pylist() == [{"id": "1", "name": "a,b", "_row": 3}]
    assert [(issue["rule"], issue["found"]) for issue in outcome.issues] == [("read.banner", "sep=")]


def test_a_delimiter_that_makes_no_table_is_told_and_followed(tmp_path: Path) -> None:
    outcome = opened("id;name;x\n1;a;2\n", "delimited", tmp_path, delimiter=",")
    assert (outcome.columns, rules_of(outcome)) == (
        ("id;name;x",),
        [("read.delimiter_contradicted", "warning", None)],
    )
    assert outcome.issues[0]["found"] == "a semicolon gives 3 columns, the declared ',' 1"


def test_a_header_longer_than_what_is_looked_at_first_is_read(tmp_path: Path) -> None:
    names = [f"assay_of_element_{number:04d}_ppm" for number in range(3000)]
    outcome = opened(";".join(names) + "\n" + ";".join("1" * 3000) + "\n", "delimited", tmp_path)
    assert (outcome.columns, outcome.rows) == (tuple(names), 1)


def test_fields_between_runs_of_blanks_are_split(tmp_path: Path) -> None:
    text = " X      Y     Au\n 1.0   2.0\t 0.5 \r\n10.0  20.0   <1\n"
    outcome = opened(text, "delimited", tmp_path)
    assert rules_of(outcome) == [("read.delimiter_detected", "info", None)]
    declared = opened(text, "delimited", tmp_path, delimiter="blanks")
    assert declared.issues == ()
    assert rows_of(declared).to_pylist() == [
        {"X": "1.0", "Y": "2.0", "Au": "0.5", "_row": 2},
        {"X": "10.0", "Y": "20.0", "Au": "<1", "_row": 3},
    ]


def test_a_decimal_comma_is_told_and_stays_text(tmp_path: Path) -> None:
    outcome = opened("id;x;name;t\n1;2,5;a;1,234\n2;3;b,c;5\n", "delimited", tmp_path, delimiter=";")
    assert rows_of(outcome)["x"].to_pylist() == ["2,5", "3"]
    assert rules_of(outcome) == [("read.decimal_comma", "info", None)]
    assert outcome.issues[0]["found"] == "x (2,5), t (1,234, or thousands)"


def test_both_decimal_marks_in_one_column_are_told(tmp_path: Path) -> None:
    outcome = opened("id;x\n1;2,5\n2;3.5\n", "delimited", tmp_path, delimiter=";")
    assert rules_of(outcome) == [("read.decimal_mixed", "warning", None)]
    assert outcome.issues[0]["column"] == "x"


def test_comments_are_left_out_and_counted(tmp_path: Path) -> None:
    text = "# made by the Survey\n#\nid,name\n1,a\n# a gap in the log\n2,b # not a comment\n"
    outcome = opened(text, "delimited", tmp_path, comment="#")
    assert rows_of(outcome).to_pylist() == [
        {"id": "1", "name": "a", "_row": 4},
        {"id": "2", "name": "b # not a comment", "_row": 6},
    ]
    assert rules_of(outcome) == [("read.comments", "info", None)]
    assert outcome.issues[0]["found"] == "3 lines, the first: # made by the Survey"


def test_comments_over_many_blocks_shift_no_row(tmp_path: Path) -> None:
    lines = [f"# {row}" if row % 1000 == 7 else f"{row},{'x' * 100}" for row in range(2, 100_002)]
    outcome = opened("id,name\n" + "\n".join(lines), "delimited", tmp_path, comment="#")
    table = rows_of(outcome)
    assert table["id"].to_pylist() == [str(row) for row in table["_row"].to_pylist()]
    assert table.num_rows == 100_000 - 100


def test_a_line_of_some_megabytes_is_read(tmp_path: Path) -> None:
    outcome = opened(f"id,shape\n1,{'x' * 3_000_000}\n2,y\n", "delimited", tmp_path)
    assert [len(value) for value in rows_of(outcome)["shape"].to_pylist()] == [3_000_000, 1]
