"""Delimited text: CSV, TSV and their relatives."""

import codecs
import contextlib
import csv
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.formats import kind
from pipelines.readers.detection import Seen, contradiction, look, wide
from pipelines.readers.dialect import BLANKS, DELIMITERS, dialect, separate, splits, tell_decimals, try_split
from pipelines.readers.report import Report
from pipelines.readers.tables import column_names, empty, raw_schema, without
from pipelines.readers.transcode import MARKED, Paced, Utf8Stream, byte_order_mark, show

OPTIONS: dict[str, tuple[type, ...]] = {
    "comment": (str,),
    "delimiter": (str,),
    "encoding": (str,),
    "quote": (str,),
    "header_row": (int,),
    "columns": (list, tuple),
    "skip_rows_after": (int,),
    "units_row": (int,),
}
HEAD_BYTES = 1 << 16
BLOCK_BYTES = 1 << 20
"""Bytes parsed at once, and so about the longest row that can be read."""
LONG_BLOCK_BYTES = 4 << 20
"""The same where a line is longer."""
STATED = re.compile(r'"?sep=([,;\t|])"?\s*$')
"""The first line with which spreadsheet programs state the delimiter."""
LINE = re.compile(rb"[^\r\n]*(\r\n|\n|\r)")


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of a delimited text file.

    Parameters
    ----------
    path : the file.
    options : `delimiter` (one character, or `blanks`), `encoding`, `quote` (default ``"``; empty for none),
        `header_row` (default 1; 0 for none, and then `columns` names them), `skip_rows_after` (rows between the header
        and the data), `units_row` (the one of them that holds units), `comment` (what a line begins with that is none).
    report : where findings go; its `units` becomes the row of units.

    Notes
    -----
    A row is a record: a line end within quotes does not count. An empty field is null, a quoted empty one is empty
    text, a wholly empty row is skipped. A row with another number of fields, with bytes that are no text in the
    encoding, or with a NUL, is rejected with its text; the others keep their numbers.

    Encoding and delimiter are looked for in any case. One that is not declared is told as detected; where what is
    declared is contradicted, that is told, and the declaration is followed. UTF-8 and a comma are taken where nothing
    speaks for another. A decimal comma is told, and stays the text that it is.
    """
    with path.open("rb") as file:
        found = kind(file.read(4096))
    if found:
        report.refuse("read.not_text", found, "deliver a delimited text file, or declare the reader of this format")
    encoding, block_bytes = _encoding(path, options, report)
    try:
        lines = _first_lines(path, encoding, options)
        stated = STATED.match(lines[0]) if "header_row" not in options else None
        if stated:
            options = {"header_row": 2, "delimiter": stated[1], **options}
        elif "comment" in options:
            options = {"header_row": next((n for n, line in enumerate(lines, 1) if line.strip()), 1), **options}
        delimiter = _delimiter(lines, options, report)
        comments = _Comments(options.get("comment"))
        edit = comments.edit if comments.sign else None
        if delimiter == BLANKS:
            delimiter, edit = " ", lambda block: separate(comments.edit(block))
        options = {**options, "delimiter": delimiter, "block_bytes": block_bytes}
        with contextlib.closing(Utf8Stream(path, encoding, edit)) as stream:
            names, first_row = _header(stream, options, report)
            yield empty(raw_schema(names))
            yield from _rows(stream, names, first_row, options=options, report=report)
        comments.tell(report)
    except pa.ArrowInvalid as error:
        hint = "a quote may be open over many lines, or a row is longer than can be read"
        report.refuse("read.malformed", show(str(error).splitlines()[0]), hint)
    except UnicodeError as error:
        report.refuse("read.encoding", str(error), "state the file's encoding in the table's options")


class _Comments:
    """Lines that are none of the table's: they are emptied, so that the others keep their numbers, and counted."""

    def __init__(self, sign: str | None) -> None:
        self.sign = sign
        self._pattern = re.compile(rb"(?m)^[ \t]*" + re.escape((sign or "").encode()) + rb"[^\r\n]*")
        self._count, self._first = 0, b""

    def edit(self, block: bytes) -> bytes:
        """Empty the comments in whole lines."""
        if not self.sign:
            return block
        first = self._pattern.search(block)
        self._first = self._first or (first.group() if first else b"")
        edited, count = self._pattern.subn(b"", block)
        self._count += count
        return edited

    def tell(self, report: Report) -> None:
        """Tell how many lines were left out."""
        if self._count:
            found = f"{self._count} lines, the first: {show(self._first.decode('utf-8'))}"
            report.issue("read.comments", found, f"lines that begin with {self.sign!r} are no rows", severity="info")


def _encoding(path: Path, options: dict[str, Any], report: Report) -> tuple[str, int]:
    """Look at all bytes once, and give the encoding and how many bytes to parse at once."""
    with path.open("rb") as file:
        head = file.read(4096)
        marked, broad = byte_order_mark(head), wide(head)
        if marked == "utf-16" or broad:
            return _told_encoding(marked, broad, Seen(), options, report), LONG_BLOCK_BYTES
        file.seek(0)
        long_lines: list[int] = []
        seen = look(_blocks(file, long_lines))
    return _told_encoding(marked, None, seen, options, report), LONG_BLOCK_BYTES if long_lines else BLOCK_BYTES


def _blocks(file: BinaryIO, long_lines: list[int]) -> Iterator[bytes]:
    """Give a file's blocks, and note the size of those that no line ends in."""
    while block := file.read(BLOCK_BYTES // 2):
        if b"\n" not in block and b"\r" not in block:
            long_lines.append(len(block))
        yield block


def _told_encoding(marked: str | None, broad: str | None, seen: Seen, options: dict[str, Any], report: Report) -> str:
    """Give the encoding that a byte order mark, the options or the bytes tell, in this order; tell any disagreement."""
    declared = codecs.lookup(options["encoding"]).name if "encoding" in options else None
    if marked:
        if not (declared or "utf-8").startswith(marked):
            hint = f"state encoding: {marked} in the table's options"
            found = f"byte order mark of {marked}, declared {declared or 'nothing'}"
            report.issue("read.encoding_assumed", found, hint)
        return declared if declared and declared.startswith(marked) else marked
    detected = broad or seen.encoding()
    if declared is None:
        if detected not in (None, "utf-8"):
            found = f"{detected}: every other byte is NUL" if broad else f"{detected}: {seen.reading(str(detected))}"
            hint = "detected, since no option states it; state the encoding in the table's options"
            report.issue("read.encoding_detected", found, hint)
        return detected or "utf-8"
    contrary = f"every other byte is NUL, as in {broad}" if broad else contradiction(seen, declared)
    if contrary and not (broad and declared.startswith("utf-16")):
        hint = "it is read as declared; correct the encoding in the table's options"
        report.issue("read.encoding_contradicted", f"declared {declared}, but {contrary}", hint)
    return declared


def _first_lines(path: Path, encoding: str, options: dict[str, Any]) -> list[str]:
    """Give the first lines with their ends, comments emptied."""
    comments = _Comments(options.get("comment"))
    with contextlib.closing(Utf8Stream(path, encoding, comments.edit)) as stream:
        head = stream.read(HEAD_BYTES)
    lines = re.split("(?<=\n)|(?<=\r)(?!\n)", head.decode("utf-8", "replace"))
    return lines[:-1] if len(head) >= HEAD_BYTES and len(lines) > 1 else lines


def _delimiter(lines: list[str], options: dict[str, Any], report: Report) -> str:
    """Give the declared delimiter, or the one that makes a table of the first rows; tell any disagreement."""
    lines = lines[max(0, options.get("header_row", 1) - 1) :]
    quote, declared = options.get("quote", '"'), options.get("delimiter")
    fitting = splits(lines, quote)
    best = fitting[0] if fitting else None
    if declared is not None:
        own = try_split(lines, declared, quote)
        if best and not own.fits and best.share > own.share - 0.1 and best.width > own.width:
            found = f"{DELIMITERS[best.delimiter]} gives {best.width} columns, the declared {declared!r} {own.width}"
            report.issue("read.delimiter_contradicted", found, "correct the delimiter in the table's options")
        return declared
    if best is None or best.delimiter == ",":
        return ","
    others = [DELIMITERS[each.delimiter] for each in fitting[1:]]
    found = "; not ".join([f"{DELIMITERS[best.delimiter]}, which gives {best.width} columns", *others])
    hint = "detected, since no option states it; state the delimiter in the table's options"
    report.issue("read.delimiter_detected", found, hint, severity="warning" if others else "info")
    return best.delimiter


def _header(stream: Utf8Stream, options: dict[str, Any], report: Report) -> tuple[list[str], int]:
    """Take the rows up to the data off the stream, and give the column names and the first data row's number."""
    header_row = options.get("header_row", 1)
    after = max(options.get("skip_rows_after", 0), options.get("units_row", 0) - header_row)
    head = stream.read(BLOCK_BYTES)
    ends = [0]
    parser = csv.reader(_lines(head, ends), **dialect(options["delimiter"], options.get("quote", '"')))
    try:
        records = list(islice(parser, header_row + after))
    except csv.Error as error:
        report.refuse("read.malformed", f"header: {error}", "check the header row, the delimiter and the quotes")
    stream.give_back(head[ends[-1] :])
    if len(records) < header_row or (header_row and not any(records[header_row - 1])):
        hint = "check header_row in the table's options"
        report.refuse("read.header_missing", f"no header on row {header_row}", hint)
    banner = [" ".join(filter(None, cells)) for cells in records[: max(0, header_row - 1)] if any(cells)]
    if banner:
        report.issue("read.banner", show("; ".join(banner)), "text above the header", severity="info")
    cells = records[header_row - 1] if header_row else list(options.get("columns", ()))
    if not cells:
        report.refuse("read.header_missing", "header_row is 0", "name the columns in the table's options")
    names = column_names([show(cell) for cell in cells], report)
    _tell_between(records, names, options, report)
    return names, header_row + after + 1


def _tell_between(records: list[list[str]], names: list[str], options: dict[str, Any], report: Report) -> None:
    """Give the report the row of units, and tell the other rows between the header and the data."""
    units_row = options.get("units_row", 0)
    if units_row and len(records) >= units_row:
        cells = [show(cell).strip() for cell in records[units_row - 1]]
        report.units = {name: unit for name, unit in zip(names, cells, strict=False) if unit}
    header_row = options.get("header_row", 1)
    others = [row for number, row in enumerate(records, start=1) if number > header_row and number != units_row]
    if any(any(row) for row in others):
        found = show("; ".join(", ".join(row) for row in others))
        report.issue("read.skipped_rows", found, "rows between the header and the data", severity="info")


def _lines(head: bytes, ends: list[int]) -> Iterator[str]:
    """Give lines one by one, and note after each where it ended."""
    while ends[-1] < len(head):
        line = LINE.match(head, ends[-1])
        start = ends[-1]
        ends.append(line.end() if line else len(head))
        yield head[start : ends[-1]].decode("utf-8")


def _rows(
    stream: Utf8Stream, names: list[str], first_row: int, *, options: dict[str, Any], report: Report
) -> Iterator[pa.RecordBatch]:
    head = stream.read(BLOCK_BYTES)
    if not head:
        return
    stream.give_back(head)
    skipped: list[int] = []

    def reject(row: pa.csv.InvalidRow) -> str:
        number = first_row + row.number - 1
        skipped.append(number)
        hint = f"the header has {row.expected_columns} columns, this row has {row.actual_columns}"
        if "\n" in row.text:
            hint += f"; a quote opened on it runs over {row.text.count(chr(10))} lines"
        report.reject_row("read.field_count", show(row.text), hint, row=number)
        return "skip"

    next_row, last = first_row, None
    paced = Paced(stream)
    for batch in _parser(paced, names, options, reject):
        paced.used()
        report.check()
        if last is None:
            tell_decimals(batch, report)
        numbers, next_row = _numbers(next_row, batch.num_rows, skipped)
        last = batch.slice(batch.num_rows - 1) if batch.num_rows else last
        numbered = pa.record_batch([*batch.columns, pa.array(numbers)], schema=raw_schema(names))
        yield _judged(_without_blank(numbered), stream, report)
    _check_last_quote(last, stream, options, report)


def _parser(
    stream: Paced, names: list[str], options: dict[str, Any], reject: Callable[[pa.csv.InvalidRow], str]
) -> pa.csv.CSVStreamingReader:
    """Open the parser on one thread, with which alone it numbers the rows that it rejects."""
    return pa.csv.open_csv(
        stream,
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=options["block_bytes"], column_names=names),
        parse_options=pa.csv.ParseOptions(
            delimiter=options.get("delimiter", ","),
            quote_char=options.get("quote", '"') or False,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=reject,
        ),
        convert_options=pa.csv.ConvertOptions(
            check_utf8=False,
            column_types={name: pa.string() for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _numbers(next_row: int, count: int, skipped: list[int]) -> tuple[np.ndarray, int]:
    """Give numbers to a batch's rows, leaving out those that were rejected before it was made."""
    numbers = np.arange(next_row, next_row + count + len(skipped), dtype=np.int64)
    numbers = np.setdiff1d(numbers, np.array(skipped, dtype=np.int64), assume_unique=True)[:count]
    if not count:
        return numbers, next_row
    following = int(numbers[-1]) + 1
    skipped[:] = [number for number in skipped if number >= following]
    return numbers, following


def _without_blank(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = batch.columns[:-1]
    if not all(column.null_count for column in columns):
        return batch
    present = columns[0].is_valid()
    for column in columns[1:]:
        present = pc.or_(present, column.is_valid())
    return batch.filter(present)


def _judged(batch: pa.RecordBatch, stream: Utf8Stream, report: Report) -> pa.RecordBatch:
    """Reject the rows that hold bytes which are no text; costs nothing while the stream has met none."""
    if stream.undecodable:
        hint = "bytes that are no text in the encoding of the file; save the file as UTF-8"
        batch = _without(batch, MARKED, "read.encoding", hint, report)
    if stream.nul:
        batch = _without(batch, "\\x00", "read.nul", "leave out the NUL character", report)
    return batch


def _without(batch: pa.RecordBatch, pattern: str, rule: str, hint: str, report: Report) -> pa.RecordBatch:
    bad = pa.array(np.zeros(batch.num_rows, dtype=bool))
    for column in batch.columns[:-1]:
        bad = pc.or_(bad, pc.fill_null(pc.match_substring_regex(column, pattern), False))

    def at_fault(values: dict[str, str]) -> str | None:
        return next((name for name, value in values.items() if re.search(pattern, value)), None)

    return without(batch, bad, rule, hint, report, column=at_fault, show=_shown)


def _shown(value: str) -> str:
    return show(value).replace("\x00", "\\x00")


def _check_last_quote(last: pa.RecordBatch | None, stream: Utf8Stream, options: dict[str, Any], report: Report) -> None:
    """Refuse a file whose last quote is never closed: the rows behind it would vanish into one value."""
    quote = options.get("quote", '"').encode()
    if last is None or not quote:
        return
    value = last.columns[-1][0].as_py()
    tail = stream.tail.rstrip(b"\r\n")
    swallowed = value is not None and "\n" in value and not tail.endswith(quote)
    cut = value is not None and stream.tail.endswith(quote + value.encode()) and not tail.endswith(quote)
    if swallowed or cut:
        hint = f"a quote is opened and never closed; {value.count(chr(10))} lines ended up in one value"
        report.refuse("read.open_quote", show(value), hint)
