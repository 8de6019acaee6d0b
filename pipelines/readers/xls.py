"""Sheets of Excel workbooks in the binary format that preceded .xlsx (BIFF)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.formats import declare, kind
from pipelines.readers import biff, sheets
from pipelines.readers.report import Report
from pipelines.readers.sheets import OPTIONS

OLD_OFFICE = "an old binary Office file"


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one sheet of an .xls workbook.

    Parameters
    ----------
    path : the workbook.
    options : `sheet`, `header_row` and `header_rows`, as for .xlsx.
    report : where findings go.

    Notes
    -----
    Cells come as from .xlsx, and the same is told of them. The library gives nothing for a failed formula, so the
    workbook's records are looked through for these. The workbook is held in memory as a whole, and a larger one than
    the limit is refused.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    found = kind(head)
    if found != OLD_OFFICE:
        hint = declare(head) or "open it in a spreadsheet program and save it as .xlsx"
        report.refuse("read.not_xls", found or "no workbook", hint)
    size = path.stat().st_size
    if size > report.limits.whole_file_bytes:
        text = f"{size} bytes, at most {report.limits.whole_file_bytes} are read"
        report.refuse("read.too_large", text, "deliver the table as CSV, or in parts")
    report.tell_suffix(".xls")
    stream = biff.workbook(path, report)
    sheet, position = sheets.sheet(path, options, report)
    header = sheets.header(sheet, options, report)
    sheets.tell(biff.parts(stream, position, report), header, options, report)
    yield from sheets.rows(sheet, header, options, report)


__all__ = ["OPTIONS", "read"]
