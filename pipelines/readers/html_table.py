"""Tables of HTML pages, which some systems save under the name of a workbook."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.formats import declare, kind
from pipelines.readers.report import Report
from pipelines.readers.tables import Cells, batches, column_names

OPTIONS: dict[str, tuple[type, ...]] = {"table": (int,), "header_row": (int,), "encoding": (str,)}
BREAKS = frozenset({"br", "p", "div", "li", "tr"})
SPAN = 1000
"""The most columns or rows over which one cell is believed to stand, as browsers have it."""

Element = Any  # lxml's types are not told to the type checker
Grid = list[list[str | None]]


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one table of an HTML page.

    Parameters
    ----------
    path : the page.
    options : `table` (which of the page's tables, from 1; not needed where there is one only), `header_row` (1-based,
        default 1), `encoding` (default: what the page states, else utf-8).
    report : where findings go.

    Notes
    -----
    A row's number is its place in the table, from 1, with the header. A cell's text has one blank for any run of
    blanks and a line end for each line break or block; an empty cell is null. A cell over several rows or columns
    stands in each. Links are not followed. A page beyond the limit of bytes or cells is refused.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    found = kind(head)
    if found != "an HTML page":
        hint = declare(head) or "deliver a page with a table"
        report.refuse("read.not_html", found or "no HTML page", hint)
    size = path.stat().st_size
    if size > report.limits.whole_file_bytes:
        text = f"{size} bytes, at most {report.limits.whole_file_bytes} are read"
        report.refuse("read.too_large", text, "deliver the table as CSV, or in parts")
    report.tell_suffix(".html", ".htm")
    grid = _grid(_table(_page(path, options, report), options, report), report)
    header_row = options.get("header_row", 1)
    if len(grid) < header_row or not any(grid[header_row - 1]):
        hint = "check header_row in the table's options"
        report.refuse("read.header_missing", f"no header on row {header_row}", hint)
    banner = [cell for cells in grid[: header_row - 1] for cell in dict.fromkeys(cells) if cell]
    if banner:
        report.issue("read.banner", "; ".join(banner), "text above the header", severity="info")
    kept = [at for at in range(len(grid[0])) if any(cells[at] for cells in grid[header_row - 1 :])]
    names = column_names([grid[header_row - 1][at] for at in kept], report)
    yield from batches(names, _records(grid, kept, header_row), report)


def _page(path: Path, options: dict[str, Any], report: Report) -> Element:
    from lxml import etree, html  # native code that only this reader's process loads

    content = path.read_bytes()
    encoding = options.get("encoding") or (None if b"charset" in content[:4096].lower() else "utf-8")
    try:
        if encoding:
            content.decode(encoding)
        parser = html.HTMLParser(encoding=encoding, no_network=True, huge_tree=False, recover=True)
        page = html.document_fromstring(content, parser=parser)
    except UnicodeDecodeError as error:
        report.refuse("read.encoding", str(error), "state the page's encoding in the table's options")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        report.refuse("read.malformed", str(error), "ask for the page again")
    fatal = [each for each in parser.error_log if each.level == etree.ErrorLevels.FATAL]
    if fatal:
        report.refuse("read.malformed", f"line {fatal[0].line}: {fatal[0].message}", "ask for the page again")
    return page


def _table(page: Element, options: dict[str, Any], report: Report) -> Element:
    tables = list(page.iter("table"))
    wanted = options.get("table", 1 if len(tables) == 1 else 0)
    if not 0 < wanted <= len(tables):
        sizes = [f"{at}: {len(list(each.iter('tr')))} rows" for at, each in enumerate(tables, start=1)]
        hint = "say which in the option table" if tables else "deliver a page with a table"
        report.refuse("read.table_missing", f"{len(tables)} tables ({', '.join(sizes[:20])})", hint)
    return tables[wanted - 1]


def _grid(table: Element, report: Report) -> Grid:
    """Give a table's cells as rows of equal length, a cell over several places in each of them."""
    grid: Grid = []
    open_cells: dict[int, tuple[str | None, int]] = {}
    cells = 0
    for row in table.iter("tr"):
        if next(row.iterancestors("table")) is not table:
            continue
        line, open_cells = _line(row, open_cells, report.limits.columns)
        cells += len(line)
        if cells > report.limits.cells or len(line) > report.limits.columns:
            text = f"more than {report.limits.cells} cells or {report.limits.columns} columns"
            report.refuse("read.too_large", text, "deliver the table as CSV, or in parts")
        grid.append(line)
    width = max(map(len, grid), default=0)
    return [line + [None] * (width - len(line)) for line in grid]


def _line(
    row: Element, above: dict[int, tuple[str | None, int]], most: int
) -> tuple[list[str | None], dict[int, tuple[str | None, int]]]:
    """Give a row's cells with those that reach down from above, and the ones that reach further down.

    Nothing is looked at past one column more than the most.
    """
    line: dict[int, str | None] = {at: text for at, (text, _left) in above.items()}
    below = {at: (text, left - 1) for at, (text, left) in above.items() if left > 1}
    at = 0
    for cell in row.iterchildren("td", "th"):
        text = _text(cell)
        for _over in range(_span(cell, "colspan")):
            while at in line:
                at += 1
            if at > most:
                break
            line[at] = text
            if (down := _span(cell, "rowspan")) > 1:
                below[at] = (text, down - 1)
    return [line.get(at) for at in range(max(line, default=-1) + 1)], below


def _span(cell: Element, name: str) -> int:
    said = (cell.get(name) or "1").strip()
    return max(1, min(SPAN, int(said))) if said.isascii() and said.isdecimal() else 1


def _text(cell: Element) -> str | None:
    """Give a cell's text as a browser shows it, with a line end for each break."""
    shown = "".join(_pieces(cell))
    return re.sub(r" *\n[ \n]*", "\n", re.sub(r" +", " ", shown)).strip() or None


def _pieces(element: Element) -> Iterator[str]:
    if isinstance(element.tag, str) and element.tag not in ("script", "style"):
        edge = "\n" if element.tag in BREAKS else ""
        yield edge + re.sub(r"[ \t\r\n\f]+", " ", element.text or "")
        for child in element:
            yield from _pieces(child)
            yield re.sub(r"[ \t\r\n\f]+", " ", child.tail or "")
        yield edge


def _records(grid: Grid, kept: list[int], header_row: int) -> Iterator[tuple[int, Cells]]:
    for number, cells in enumerate(islice(grid, header_row, None), start=header_row + 1):
        record = [cells[at] for at in kept]
        if any(record):
            yield number, record
