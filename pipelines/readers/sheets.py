"""One sheet of a workbook as rows of text, whatever the workbook's format."""

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.readers.report import Report
from pipelines.readers.sheet_parts import Parts
from pipelines.readers.tables import Cells, batches, column_names
from pipelines.readers.values import number_text

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

OPTIONS: dict[str, tuple[type, ...]] = {"sheet": (str,), "header_row": (int,), "header_rows": (int,)}
ROWS = 1_048_576
SHOWN = 20
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")


@dataclass
class Kinds:
    """How often numbers stand as numbers and as text in each column."""

    numbers: Counter[int] = field(default_factory=Counter)
    texts: Counter[int] = field(default_factory=Counter)
    first: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Header:
    """A sheet's header: the columns that are read, by position, and their names."""

    kept: list[int]
    names: list[str]

    def name(self, column: int) -> str | None:
        """Give the name of a column that counts from 1."""
        return dict(zip(self.kept, self.names, strict=True)).get(column - 1)


def sheet(path: Path, options: dict[str, Any], report: Report) -> tuple["CalamineSheet", int]:
    """Open a workbook's sheet, give it with its place among the others, and tell what is hidden in the workbook.

    Raises
    ------
    RejectedError
        If the workbook cannot be opened, has no such sheet, or the sheet is too large.
    """
    import python_calamine  # native code that only this reader's process loads

    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        names = book.sheet_names
        wanted = options.get("sheet", names[0] if len(names) == 1 else None)
        if wanted not in names:
            hint = "name the sheet in the table's options"
            report.refuse("read.sheet_missing", f"sheet {wanted!r}; have {names}", hint)
        found = book.get_sheet_by_name(wanted)
    except python_calamine.CalamineError as error:
        report.refuse("read.malformed", str(error), "open it in a spreadsheet program and save it again")
    _tell_hidden(book, wanted, report)
    last_row, last_column = found.end or (-1, -1)
    cells = (last_row + 1) * (last_column + 1)
    if cells > report.limits.cells or last_row >= ROWS or last_column >= report.limits.columns:
        size = f"{last_row + 1} rows and {last_column + 1} columns"
        report.refuse("read.too_large", size, "clear stray cells far from the table, or deliver it as CSV")
    return found, names.index(wanted)


def header(sheet: "CalamineSheet", options: dict[str, Any], report: Report) -> Header:
    """Take the header off a sheet, and tell what stands above it and which cells below are merged."""
    header_row, count = options.get("header_row", 1), options.get("header_rows", 1)
    last = header_row + count - 1
    above = list(islice(sheet.iter_rows(), last))
    if len(above) < last or not any(cell != "" for cells in above[header_row - 1 :] for cell in cells):
        hint = "check header_row in the table's options"
        report.refuse("read.header_missing", f"no header on row {header_row}", hint)
    banner = [str(cell).strip() for cells in above[: header_row - 1] for cell in cells if cell != ""]
    if banner:
        report.issue("read.banner", "; ".join(banner), "text above the header", severity="info")
    merged = sheet.merged_cell_ranges or []
    _tell_merged([each for each in merged if each[0][0] >= last], report)
    lines = [[_text(cell) for cell in cells] for cells in above[header_row - 1 :]]
    if count > 1:
        lines = _spread(lines, merged, header_row - 1)
    titles = [_joined([line[at] for line in lines]) for at in range(len(lines[0]))]
    kept = _used(titles, sheet, last)
    return Header(kept, column_names([titles[at] for at in kept], report))


def rows(sheet: "CalamineSheet", header: Header, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows below a sheet's header; those without any value are skipped, and the others keep their numbers."""
    first = options.get("header_row", 1) + options.get("header_rows", 1)
    kinds = Kinds()
    yield from batches(header.names, _records(sheet, header.kept, first, kinds), report)
    for at, name in zip(header.kept, header.names, strict=True):
        if kinds.texts[at] and kinds.numbers[at]:
            found = f"{kinds.texts[at]} numbers stand as text beside {kinds.numbers[at]} that do not"
            hint = "check their decimal marks and blanks"
            report.issue("read.number_as_text", found, hint, row=kinds.first[at], column=name, severity="info")


def tell(found: Parts, header: Header, options: dict[str, Any], report: Report) -> None:
    """Tell what the sheet's cells do not show by themselves."""
    last = options.get("header_row", 1) + options.get("header_rows", 1) - 1
    for row, column, error in found.failed:
        if row > last:
            hint = "its formula failed and it has no value; mend the workbook"
            report.issue("read.formula_error", error, hint, row=row, column=header.name(column))
    for row, column in found.uncalculated:
        if row > last:
            hint = "open the workbook in a spreadsheet program and save it, so that its formulas get values"
            text = "a formula without a result"
            report.issue("read.formula_uncalculated", text, hint, row=row, column=header.name(column))
    if found.hidden_rows:
        numbers = ", ".join(map(str, found.hidden_rows[:SHOWN]))
        text = f"{len(found.hidden_rows)} hidden rows: {numbers}"
        report.issue("read.hidden", text, "they are read like the others", severity="info")
    hidden = [
        header.name(at) for first, last in found.hidden_columns for at in range(first, min(last, first + SHOWN) + 1)
    ]
    if names := [name for name in hidden if name]:
        report.issue("read.hidden", f"hidden columns: {', '.join(names)}", "they are read", severity="info")


def _tell_hidden(book: "CalamineWorkbook", wanted: str, report: Report) -> None:
    hidden = [each.name for each in book.sheets_metadata if not str(each.visible).endswith(".Visible")]
    if hidden:
        found = f"hidden sheets: {', '.join(hidden)}"
        hint = "this table is one of them" if wanted in hidden else "ask whether they are meant to be delivered"
        report.issue("read.hidden", found, hint, severity="warning" if wanted in hidden else "info")


def _tell_merged(merged: list[tuple[tuple[int, int], tuple[int, int]]], report: Report) -> None:
    if merged:
        hint = "only the first cell of each has a value, the others are empty; ask for a table without merged cells"
        row = min(each[0][0] for each in merged) + 1
        report.issue("read.merged_cells", f"{len(merged)} merged ranges below the header", hint, row=row)


def _spread(lines: list[Cells], merged: list[tuple[tuple[int, int], tuple[int, int]]], first: int) -> list[Cells]:
    """Repeat a merged title over the columns and rows that it stands above."""
    spread = [list(line) for line in lines]
    for (top, left), (bottom, right) in merged:
        if first <= top < first + len(lines):
            for row in range(top - first, min(bottom - first + 1, len(lines))):
                for column in range(left, min(right + 1, len(lines[0]))):
                    spread[row][column] = lines[top - first][left]
    return spread


def _joined(titles: Cells) -> str | None:
    """Join the titles above a column; one that is said twice counts once."""
    said = [" ".join(title.split()) for title in titles if title and title.strip()]
    return " ".join(dict.fromkeys(said)) or None if len(titles) > 1 else titles[0]


def _used(titles: Cells, sheet: "CalamineSheet", last: int) -> list[int]:
    """Give the positions of columns that have a name or any value under it."""
    unnamed = {position for position, title in enumerate(titles) if title is None}
    used: set[int] = set()
    if unnamed:
        for cells in islice(sheet.iter_rows(), last, None):
            used.update(position for position in unnamed if cells[position] != "")
    return [position for position in range(len(titles)) if position not in unnamed or position in used]


def _records(sheet: "CalamineSheet", kept: list[int], first: int, kinds: Kinds) -> Iterator[tuple[int, Cells]]:
    for number, cells in enumerate(islice(sheet.iter_rows(), first - 1, None), start=first):
        record = [_text(cells[position]) for position in kept]
        if any(cell is not None for cell in record):
            _count(cells, kept, number, kinds)
            yield number, record


def _count(cells: list[Any], kept: list[int], number: int, kinds: Kinds) -> None:
    for at in kept:
        cell = cells[at]
        if isinstance(cell, int | float) and not isinstance(cell, bool):
            kinds.numbers[at] += 1
        elif isinstance(cell, str) and cell and NUMBER.fullmatch(cell):
            kinds.texts[at] += 1
            kinds.first.setdefault(at, number)


def _text(cell: Any) -> str | None:  # noqa: ANN401 - a cell is whatever the sheet holds
    if isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        return number_text(cell)
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)
