"""The raw table that every reader gives: the partner's columns as text, and the number of each row."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.report import Report

ROW = "_row"
WKB = "_wkb"
RESERVED = frozenset({ROW, WKB})
BATCH_ROWS = 8192

Cells = list[str | None]


def raw_schema(names: Sequence[str], *, geometry: bool = False) -> pa.Schema:
    """Give the schema of a raw table: text columns, the geometry as WKB where there is one, and the row number."""
    fields = [pa.field(name, pa.string()) for name in names]
    if geometry:
        fields.append(pa.field(WKB, pa.binary()))
    return pa.schema([*fields, pa.field(ROW, pa.int64())])


def column_names(cells: Sequence[str | None], report: Report) -> list[str]:
    """Turn a header row into column names that are unique whatever their case.

    Line ends and runs of blanks become one blank; an empty or unreadable name becomes `column_<position>`. Both
    are told.

    Raises
    ------
    RejectedError
        If two names differ in nothing but case, or there are more columns than the limit.
    """
    if len(cells) > report.limits.columns:
        hint = f"at most {report.limits.columns} columns are read; check the delimiter"
        report.refuse("read.too_many_columns", f"{len(cells)} columns", hint)
    if any("\x00" in (cell or "") for cell in cells):
        report.refuse("read.nul", f"NUL in the header: {cells}", "deliver a table; this is perhaps another format")
    names = [_name(cell, position, report) for position, cell in enumerate(cells, start=1)]
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            found = f"{seen[name.casefold()]!r} and {name!r}"
            report.refuse("read.duplicate_header", found, "give each column its own name, different in more than case")
        seen[name.casefold()] = name
    return names


def _name(cell: str | None, position: int, report: Report) -> str:
    given = cell or ""
    name = re.sub(r"\s+", " ", given).strip()
    if not name or name in RESERVED or any(unicodedata.category(each) in ("Cc", "Cf", "Co", "Cs") for each in name):
        name = f"column_{position}"
        hint = f"column {position} has no usable name and is called {name!r}"
        report.issue("read.header_renamed", given, hint, column=name, severity="warning" if given else "info")
    elif name != given:
        hint = "blanks around the name are left out"
        report.issue("read.header_renamed", given, hint, column=name, severity="info")
    return name


def batches(names: Sequence[str], rows: Iterable[tuple[int, Cells]], report: Report) -> Iterator[pa.RecordBatch]:
    """Give rows of text cells as batches; there is at least one, so that an empty table has columns too.

    A row with a NUL, or with text that UTF-8 cannot hold, is rejected.
    """
    schema = raw_schema(names)
    yield empty(schema)
    source = iter(rows)
    while chunk := list(islice(source, BATCH_ROWS)):
        report.check()
        good = [(number, cells) for number, cells in chunk if _is_text(number, cells, report)]
        if good:
            yield _batch(schema, [number for number, _cells in good], [cells for _number, cells in good])


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """Give a batch without rows, by which a reader tells the columns first."""
    return pa.RecordBatch.from_pylist([], schema=schema)


def without(
    batch: pa.RecordBatch,
    bad: pa.Array,
    rule: str,
    hint: str,
    report: Report,
    *,
    column: str | Callable[[dict[str, str]], str | None] | None = None,
    show: Callable[[str], str] = str,
) -> pa.RecordBatch:
    """Give a batch without its bad rows, each of which is rejected with its values as JSON.

    Parameters
    ----------
    bad : one truth value for each row.
    column : the column at fault, or what finds it among a row's values.
    show : how a value is written, where not all of it can be.
    """
    for row in batch.filter(bad).to_pylist():
        number = row.pop(ROW)
        shape = row.pop(WKB, None)
        values = {name: value for name, value in row.items() if value is not None}
        found = {name: show(value) for name, value in values.items()}
        if shape is not None:
            found[WKB] = shape[:200].hex()
        at_fault = column(values) if callable(column) else column
        report.reject_row(rule, json.dumps(found, ensure_ascii=False), hint, row=number, column=at_fault)
    return batch.filter(pc.invert(bad))


def _batch(schema: pa.Schema, numbers: list[int], rows: list[Cells]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.record_batch([*columns, pa.array(numbers, pa.int64())], schema=schema)


def _is_text(number: int, cells: Cells, report: Report) -> bool:
    joined = "\x1f".join(cell for cell in cells if cell)
    if "\x00" in joined:
        report.reject_row("read.nul", joined.replace("\x00", "\\x00"), "leave out the NUL character", row=number)
        return False
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        shown = joined.encode("utf-8", "backslashreplace").decode("utf-8")
        report.reject_row("read.encoding", shown, "the text holds half of a character pair", row=number)
        return False
    return True
