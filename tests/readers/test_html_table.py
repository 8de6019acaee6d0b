"""HTML tables, also those that are saved as workbooks: cells as a browser shows them."""

from pathlib import Path

import pytest

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of

PAGE = "<html><body><table><tr><th>id<th>name</tr>{}</table></body></html>"


def test_cells_are_text_as_a_browser_shows_it(tmp_path: Path) -> None:
    body = "<tr><td> 007 <td>Hill &amp; <b>Pit\n <i>No</i> </b>4<br>old<script>x()</script></tr><tr><td><td></tr>"
    outcome = opened(PAGE.format(body + "<tr><td>8</tr>"), "html_table", tmp_path)
    assert rows_of(outcome).to_pylist() == [
        {"id": "007", "name": "Hill & Pit No 4\nold", "_row": 2},
        {"id": "8", "name": None, "_row": 4},
    ]
    assert outcome.issues == ()


def test_a_cell_over_several_places_stands_in_each(tmp_path: Path) -> None:
    body = "<tr><td rowspan=2>A<td>1</tr><tr><td>2</tr><tr><td colspan='2'>B</tr>"
    outcome = opened(PAGE.format(body), "html_table", tmp_path)
    assert [tuple(row.values()) for row in rows_of(outcome).to_pylist()] == [
        ("A", "1", 2),
        ("A", "2", 3),
        ("B", "B", 4),
    ]


def test_one_of_several_tables_must_be_chosen(tmp_path: Path) -> None:
    page = "<html><table><tr><td>menu</table><table><tr><td>Register<tr><td>id<tr><td>1</table></html>"
    outcome = opened(page, "html_table", tmp_path)
    assert rules_of(outcome) == [("read.table_missing", "error", None)]
    assert outcome.issues[0]["found"] == "2 tables (1: 1 rows, 2: 3 rows)"
    chosen = opened(page, "html_table", tmp_path, table=2, header_row=2)
    assert (rows_of(chosen).to_pylist(), rules_of(chosen)) == (
        [{"id": "1", "_row": 3}],
        [("read.banner", "info", None)],
    )


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"id,name\n1,a\n", "read.not_html"),
        (b"", "read.not_html"),
        (b"<html><p>Sign in</p></html>", "read.table_missing"),
        (b"<table><tr><td>\xff</table>", "read.encoding"),
        (b"<table><tr><td></table>", "read.header_missing"),
        (b"<table><tr>" + b"<td>x" * 5000 + b"</table>", "read.too_large"),
        (b"<table><tr>" + b"<td colspan=999>x" * 50_000 + b"</table>", "read.too_large"),
    ],
)
def test_what_is_no_sound_table_is_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    outcome = opened(content, "html_table", tmp_path, limits=Limits(deadline_s=20, cpu_s=5, memory_bytes=1 << 30))
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])


def test_a_page_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    page = PAGE.format("<tr><td>1<td>a</tr>" * 100)
    assert rules_of(opened(page, "html_table", tmp_path, limits=Limits(cells=100))) == [
        ("read.too_large", "error", None)
    ]
    small = Limits(whole_file_bytes=1000)
    assert rules_of(opened(page, "html_table", tmp_path, limits=small)) == [("read.too_large", "error", None)]


def test_the_stated_encoding_is_believed(tmp_path: Path) -> None:
    page = "<html><meta charset=windows-1252><table><tr><td>n<tr><td>Gruben\xfc</table></html>".encode("cp1252")
    assert rows_of(opened(page, "html_table", tmp_path))["n"].to_pylist() == ["Gruben\xfc"]
    bare = page.replace(b"<meta charset=windows-1252>", b"")
    assert rows_of(opened(bare, "html_table", tmp_path, encoding="cp1252"))["n"].to_pylist() == ["Gruben\xfc"]


def test_a_page_whose_rest_would_be_left_out_is_refused(tmp_path: Path) -> None:
    page = PAGE.format("<tr><td>" + "<b>" * 100_000 + "x<td>y")
    outcome = opened(page, "html_table", tmp_path, limits=Limits(deadline_s=10, cpu_s=5, memory_bytes=1 << 30))
    assert (outcome.path, rules_of(outcome)) == (None, [("read.malformed", "error", None)])


def test_the_ngdr_search_result_saved_as_xls_is_read(tmp_path: Path, shared: Path) -> None:
    outcome = opened(shared / "data/gsi-ngdr-export/Search Result.xls", "html_table", tmp_path)
    rows = rows_of(outcome).to_pylist()
    assert outcome.columns == (
        "Report Title",
        "Commodity",
        "Organization",
        "Publication Year",
        "Toposheet Number",
        "NUID",
    )
    assert rows[0]["Commodity"] == "Bauxite, Gallium, Vanadium, Titanium, Rare Earth Elements"
    assert outcome.rows == 10
    assert rows[0]["NUID"] == "CMT-00005-2025"
    assert rules_of(outcome) == [("read.suffix", "info", None)]
