"""Workbooks: one sheet, its header where the feed says, its cells as text."""

import zipfile
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

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


def workbook(rows: dict[int, list[object]], sheets: tuple[str, ...] = ("Deposits",)) -> bytes:
    """Write a workbook whose sheets all have these rows."""
    body = "".join(
        f'<row r="{row}">'
        + "".join(cell(value, f"{chr(65 + at)}{row}") for at, value in enumerate(values) if value is not None)
        + "</row>"
        for row, values in rows.items()
    )
    names = "".join(f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>' for at, name in enumerate(sheets, 1))
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
        parts[f"xl/worksheets/sheet{at}.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'
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


def test_an_html_page_called_xls_is_refused_by_name(tmp_path: Path, shared: Path) -> None:
    outcome = opened(shared / "data/gsi-ngdr-export/Search Result.xls", "xlsx", tmp_path)
    assert outcome.path is None
    assert (outcome.issues[0]["file"], outcome.issues[0]["found"]) == ("Search Result.xls", "an HTML page")
