"""Workbooks: one sheet, its header where the feed says, its cells as text."""

import zipfile
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of

TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"""
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def cell(value: object, reference: str) -> str:
    """Write one cell; a tuple is a serial day with a date style."""
    if isinstance(value, tuple):
        return f'<c r="{reference}" s="1"><v>{value[0]}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{reference}"><v>{value!r}</v></c>'
    text = f'<t xml:space="preserve">{escape(str(value))}</t>'
    return f'<c r="{reference}" t="inlineStr"><is>{text}</is></c>'


def workbook(
    rows: dict[int, list[object]], sheets: tuple[str, ...] = ("Deposits",), *, more: str = "", merged: str = ""
) -> bytes:
    """Write a workbook whose sheets all have these rows, then rows as they stand, then merged ranges."""
    body = "".join(
        f'<row r="{row}">'
        + "".join(cell(value, f"{chr(65 + at)}{row}") for at, value in enumerate(values) if value is not None)
        + "</row>"
        for row, values in rows.items()
    )
    ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged.split())
    body = f"<sheetData>{body}{more}</sheetData>" + (f"<mergeCells>{ranges}</mergeCells>" if ranges else "")
    hidden = ' state="hidden"'
    names = "".join(
        f'<sheet name="{name}" sheetId="{at}"{hidden if name.startswith("_") else ""} r:id="r{at}"/>'
        for at, name in enumerate(sheets, 1)
    )
    links = "".join(
        f'<Relationship Id="r{at}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(sheets) + 1)
    )
    parts = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{links}<Relationship Id="s" '
        f'Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        "</styleSheet>",
    }
    for at in range(1, len(sheets) + 1):
        parts[f"xl/worksheets/sheet{at}.xml"] = f'<worksheet xmlns="{MAIN}">{body}</worksheet>'
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return target.getvalue()


def test_cells_are_text_and_keep_their_row_numbers(tmp_path: Path) -> None:
    rows = {1: ["name", "grade", "open", "since"], 2: ["Hill ", 1.5, True, (44197,)], 5: ["Pit", 3.0, None, None]}
    outcome = opened(workbook(rows), "xlsx", tmp_path)
    assert rows_of(outcome).to_pylist() == [
        {"name": "Hill ", "grade": "1.5", "open": "true", "since": "2021-01-01", "_row": 2},
        {"name": "Pit", "grade": "3", "open": None, "since": None, "_row": 5},
    ]


def test_text_above_the_header_is_told(tmp_path: Path) -> None:
    outcome = opened(workbook({1: ["Licence: none"], 3: ["id"], 4: [7]}), "xlsx", tmp_path, header_row=3)
    assert rows_of(outcome).to_pylist() == [{"id": "7", "_row": 4}]
    assert [(issue["rule"], issue["found"]) for issue in outcome.issues] == [("read.banner", "Licence: none")]


def test_titles_over_two_rows_are_joined_and_merged_ones_stand_above_all_their_columns(tmp_path: Path) -> None:
    rows = {
        1: ["Register"],
        2: ["Name", "Reserve", None, "Unit"],
        3: [None, "t", "g/t", "Unit"],
        4: ["Hill", 5, 2, "x"],
    }
    outcome = opened(workbook(rows, merged="B2:C2 A2:A3"), "xlsx", tmp_path, header_row=2, header_rows=2)
    assert rows_of(outcome).to_pylist() == [
        {"Name": "Hill", "Reserve t": "5", "Reserve g/t": "2", "Unit": "x", "_row": 4}
    ]
    assert rules_of(outcome) == [("read.banner", "info", None)]


def test_merged_cells_below_the_header_are_told(tmp_path: Path) -> None:
    outcome = opened(workbook({1: ["state", "name"], 2: ["Up", "a"], 3: [None, "b"]}, merged="A2:A3"), "xlsx", tmp_path)
    assert (rows_of(outcome)["state"].to_pylist(), rules_of(outcome)) == (
        ["Up", None],
        [("read.merged_cells", "warning", 2)],
    )


def test_a_formula_that_failed_or_was_never_calculated_is_told_with_its_cell(tmp_path: Path) -> None:
    more = (
        '<row r="2"><c r="A2" t="e"><f>1/0</f><v>#DIV/0!</v></c><c r="B2"><f>1+1</f></c>'
        '<c r="C2" t="str"><f>"x"</f><v>x</v></c></row><row r="3"><c r="A3" t="e"><v>#N/A</v></c>'
        '<c r="B3"><f>1+1</f><v>2</v></c></row>'
    )
    outcome = opened(workbook({1: ["a", "b", "c"]}, more=more), "xlsx", tmp_path)
    assert [tuple(row.values()) for row in rows_of(outcome).to_pylist()] == [(None, None, "x", 2), (None, "2", None, 3)]
    assert [(issue["rule"], issue["row"], issue["column"], issue["found"]) for issue in outcome.issues] == [
        ("read.formula_error", 2, "a", "#DIV/0!"),
        ("read.formula_error", 3, "a", "#N/A"),
        ("read.formula_uncalculated", 2, "b", "a formula without a result"),
    ]


def test_what_is_hidden_is_read_and_told(tmp_path: Path) -> None:
    more = '<row r="2" hidden="1"><c r="A2"><v>1</v></c></row>'
    outcome = opened(workbook({1: ["a"]}, ("Mines", "_old"), more=more), "xlsx", tmp_path, sheet="Mines")
    assert outcome.rows == 1
    assert [issue["found"] for issue in outcome.issues] == ["hidden sheets: _old", "1 hidden rows: 2"]
    assert rules_of(opened(workbook({1: ["a"], 2: [1]}, ("_old",)), "xlsx", tmp_path)) == [
        ("read.hidden", "warning", None)
    ]


def test_numbers_that_stand_as_text_beside_others_are_told(tmp_path: Path) -> None:
    outcome = opened(workbook({1: ["id", "t"], 2: ["007", 1], 3: ["008", "2,5"]}), "xlsx", tmp_path)
    assert rows_of(outcome)["t"].to_pylist() == ["1", "2,5"]
    assert [(issue["rule"], issue["row"], issue["column"]) for issue in outcome.issues] == [
        ("read.number_as_text", 3, "t")
    ]


def test_a_column_without_a_name_is_kept_where_it_has_values(tmp_path: Path) -> None:
    outcome = opened(workbook({1: ["id", None, None, "name"], 2: [1, "x", None, "a"]}), "xlsx", tmp_path)
    assert outcome.columns == ("id", "column_2", "name")


def test_a_sheet_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    book = workbook({1: ["id"], 2: [1]}, ("About", "Mines"))
    assert rules_of(opened(book, "xlsx", tmp_path))[0][0] == "read.sheet_missing"
    missing = opened(book, "xlsx", tmp_path, sheet="Pits")
    assert "['About', 'Mines']" in missing.issues[0]["found"]
    assert opened(book, "xlsx", tmp_path, sheet="Mines").rows == 1


@pytest.mark.parametrize("content", [b"<table border='2px'><tr><td>1</td></tr></table>", b"id,name\n1,a\n", b""])
def test_what_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    outcome = opened(content, "xlsx", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [("read.not_xlsx", "error", None)])


def test_the_critical_minerals_workbook_has_354_deposits(tmp_path: Path, shared: Path) -> None:
    file = shared / "data/ga-critical-minerals/147741_01_0.xlsx"
    outcome = opened(file, "xlsx", tmp_path, sheet="CM Mines and Deposits 2022", header_row=13)
    table = rows_of(outcome)
    assert outcome.columns == ("Name", "State", "Latitude", "Longitude", "Status", "Commodity Group")
    assert (outcome.rows, table["_row"][0].as_py(), table["_row"][-1].as_py()) == (354, 14, 367)
    assert "Albany " in table["Name"].to_pylist()
    assert table["Latitude"][0].as_py() == "-25.18462"


@pytest.mark.parametrize(("sheet", "rows"), [("general", 1435), ("commodities", 9905), ("capacity_reserves", 1602)])
def test_a_workbook_of_many_sheets_gives_each_of_them(tmp_path: Path, shared: Path, sheet: str, rows: int) -> None:
    file = shared / "data/fineprint-mine-production/detailed_data_mining.xlsx"
    assert opened(file, "xlsx", tmp_path, sheet=sheet).rows == rows


@pytest.mark.parametrize(
    ("content", "reader"),
    [
        (b"<table><tr><td>1</td></tr></table>", "html_table"),
        (b"id;name\n1;a\n", "delimited"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
        (b'<a xmlns="http://www.opengis.net/gml"/>', "gml"),
        (b'[{"id": 1, "name": 2}]', "json"),
    ],
)
def test_what_the_file_is_instead_is_named(tmp_path: Path, content: bytes, reader: str) -> None:
    outcome = opened(content, "xlsx", tmp_path)
    assert outcome.issues[0]["hint"] == f"declare the reader {reader}, since that is what the file is"


def test_a_sheet_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    book = workbook({1: ["a", "b"], 2: [1, 2], 3: [3, 4]})
    assert opened(book, "xlsx", tmp_path, limits=Limits(cells=6)).rows == 2
    outcome = opened(book, "xlsx", tmp_path, limits=Limits(cells=5))
    assert (outcome.path, rules_of(outcome)) == (None, [("read.too_large", "error", None)])
    assert outcome.issues[0]["found"] == "3 rows and 2 columns"


def test_a_workbook_called_xls_is_read_and_told(tmp_path: Path) -> None:
    file = tmp_path / "Deposits.xls"
    file.write_bytes(workbook({1: ["a"], 2: [1]}))
    outcome = opened(file, "xlsx", tmp_path)
    assert (outcome.rows, rules_of(outcome)) == (1, [("read.suffix", "info", None)])
    assert opened(file, "xls", tmp_path).issues[0]["hint"].startswith("declare the reader xlsx")


def test_an_html_page_called_xls_is_refused_by_name(tmp_path: Path, shared: Path) -> None:
    outcome = opened(shared / "data/gsi-ngdr-export/Search Result.xls", "xlsx", tmp_path)
    assert outcome.path is None
    assert (outcome.issues[0]["file"], outcome.issues[0]["found"]) == ("Search Result.xls", "an HTML page")
