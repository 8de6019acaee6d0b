"""Sheets of Excel workbooks."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.formats import declare, kind
from pipelines.readers import sheets
from pipelines.readers.report import Report
from pipelines.readers.sheet_parts import parts
from pipelines.readers.sheets import OPTIONS


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one sheet of an .xlsx workbook.

    Parameters
    ----------
    path : the workbook.
    options : `sheet` (name; not needed where there is one only), `header_row` (1-based, default 1), `header_rows`
        (rows that the header takes, default 1; their titles are joined, merged ones above all their columns).
    report : where findings go.

    Notes
    -----
    Texts keep their blanks; numbers are their shortest text, without a trailing `.0`; dates are ISO 8601; an empty
    cell is null. Rows without any value are skipped, and the others keep their numbers. What stands above the header
    is told, and so are failed and uncalculated formulas, hidden sheets, rows and columns, merged cells below the
    header, and numbers that stand as text. A sheet of more cells than the limit is refused.
    """
    _check_archive(path, report)
    sheet, _position = sheets.sheet(path, options, report)
    header = sheets.header(sheet, options, report)
    sheets.tell(parts(path, sheet.name, report), header, options, report)
    report.tell_suffix(".xlsx", ".xlsm")
    yield from sheets.rows(sheet, header, options, report)


def _check_archive(path: Path, report: Report) -> None:
    """Judge the archive by its directory, before anything is unpacked."""
    with path.open("rb") as file:
        head = file.read(4096)
    found = kind(head)
    if found != "a zip archive":
        hint = declare(head) or "open it in a spreadsheet program and save it as .xlsx"
        report.refuse("read.not_xlsx", found or "no workbook", hint)
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
        size = f"{unpacked} bytes when unpacked, {ratio:.0f} for each packed one"
        report.refuse("read.too_large", size, "deliver the table as CSV, or in parts")
    if "xl/workbook.xml" not in names or len(names) != len(set(names)):
        report.refuse("read.not_xlsx", "an archive that is no workbook", "deliver an .xlsx workbook")


__all__ = ["OPTIONS", "read"]
