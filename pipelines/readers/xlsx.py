"""Sheets of Excel workbooks."""

import datetime
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.formats import kind
from pipelines.readers.report import Report
from pipelines.readers.tables import Cells, batches, column_names
from pipelines.readers.values import number_text

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

OPTIONS: dict[str, tuple[type, ...]] = {"sheet": (str,), "header_row": (int,)}


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one sheet of an .xlsx workbook.

    Parameters
    ----------
    path : the workbook.
    options : `sheet` (name; not needed where there is one only), `header_row` (1-based, default 1).
    report : where findings go.

    Notes
    -----
    Texts keep their blanks; numbers are their shortest text, without a trailing `.0`; dates are ISO 8601; an empty
    cell is null. Rows without any value are skipped, and the others keep their numbers. What stands above the header
    is told.
    """
    _check_archive(path, report)
    sheet = _sheet(path, options, report)
    header_row = options.get("header_row", 1)
    rows = sheet.iter_rows()
    above = list(islice(rows, header_row))
    if len(above) < header_row or not any(cell != "" for cell in above[-1]):
        hint = "check header_row in the table's options"
        report.refuse("read.header_missing", f"no header on row {header_row}", hint)
    banner = [str(cell).strip() for cells in above[:-1] for cell in cells if cell != ""]
    if banner:
        report.issue("read.banner", "; ".join(banner), "text above the header", severity="info")
    header, kept = _used_columns(above[-1], sheet, header_row)
    names = column_names(header, report)
    yield from batches(names, _records(rows, kept, header_row), report)


def _check_archive(path: Path, report: Report) -> None:
    """Judge the archive by its directory, before anything is unpacked."""
    with path.open("rb") as file:
        found = kind(file.read(4096))
    if found != "a zip archive":
        report.refuse("read.not_xlsx", found or "no workbook", "open it in a spreadsheet program and save it as .xlsx")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        report.refuse("read.malformed", f"the archive cannot be opened ({error})", "ask for the file again")
    names = [member.filename for member in members]
    unpacked = sum(member.file_size for member in members)
    limits = report.limits
    ratio = unpacked / max(1, path.stat().st_size)
    if unpacked > limits.unpacked_bytes or (ratio > limits.unpacked_ratio and unpacked > 1 << 20):
        found = f"{unpacked} bytes when unpacked, {ratio:.0f} for each packed one"
        report.refuse("read.too_large", found, "deliver the table as CSV, or in parts")
    if "xl/workbook.xml" not in names or len(names) != len(set(names)):
        report.refuse("read.not_xlsx", "an archive that is no workbook", "deliver an .xlsx workbook")


def _sheet(path: Path, options: dict[str, Any], report: Report) -> "CalamineSheet":
    import python_calamine  # native code that only this reader's process loads

    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        names = book.sheet_names
        wanted = options.get("sheet", names[0] if len(names) == 1 else None)
        if wanted not in names:
            hint = "name the sheet in the table's options"
            report.refuse("read.sheet_missing", f"sheet {wanted!r}; have {names}", hint)
        sheet = book.get_sheet_by_name(wanted)
    except python_calamine.CalamineError as error:
        report.refuse("read.malformed", str(error), "open it in a spreadsheet program and save it again")
    last_row, last_column = sheet.end or (-1, -1)
    cells = (last_row + 1) * (last_column + 1)
    if cells > report.limits.cells or last_row >= 1_048_576 or last_column >= report.limits.columns:
        found = f"{last_row + 1} rows and {last_column + 1} columns"
        report.refuse("read.too_large", found, "clear stray cells far from the table, or deliver it as CSV")
    return sheet


def _used_columns(header: list[Any], sheet: "CalamineSheet", header_row: int) -> tuple[Cells, list[int]]:
    """Give the header's texts and the positions of columns that have a name or any value under it."""
    unnamed = {position for position, cell in enumerate(header) if cell == ""}
    used: set[int] = set()
    if unnamed:
        for cells in islice(sheet.iter_rows(), header_row, None):
            used.update(position for position in unnamed if cells[position] != "")
    kept = [position for position in range(len(header)) if position not in unnamed or position in used]
    return [_text(header[position]) for position in kept], kept


def _records(rows: Iterator[list[Any]], kept: list[int], header_row: int) -> Iterator[tuple[int, Cells]]:
    for number, cells in enumerate(rows, start=header_row + 1):
        record = [_text(cells[position]) for position in kept]
        if any(cell is not None for cell in record):
            yield number, record


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
