"""AGS data of ground investigations: edition 4, and edition 3 as older files have it.

Rules: Association of Geotechnical and Geoenvironmental Specialists, Electronic Transfer of Geotechnical Data. A file
holds many groups, each a table with its own headings and units.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.formats import kind
from pipelines.readers.report import Report
from pipelines.readers.tables import Cells, batches, column_names

OPTIONS: dict[str, tuple[type, ...]] = {"group": (str,), "encoding": (str,)}
START = re.compile(r'"?(GROUP|HEADING|UNIT|TYPE|DATA)"?\s*(,|$)|"?(\*\*|\*|<UNITS>|<CONT>)')
"""What a line of an AGS file begins with, so that an open quote cannot swallow the next one."""
LINES = 200
"""Lines over which one quoted value may run."""


@dataclass
class _Group:
    """The group being looked for, as far as it was read."""

    name: str
    headings: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    open: bool = False


@dataclass(frozen=True)
class _Line:
    """One logical line: its first line's number, its text and fields, and what is wrong with it, as rule and hint."""

    number: int
    text: str
    fields: list[str]
    physical: int
    fault: tuple[str, str] | None


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one group of an AGS file.

    Parameters
    ----------
    path : the file.
    options : `group` (LOCA, GEOL, ...; HOLE in edition 3), `encoding` (default utf-8).
    report : where findings go; its `units` becomes the group's UNIT row.

    Notes
    -----
    A row's number is its line in the file. Headings may come in any order, and groups may be the author's own. A
    value that runs over several lines is read and told as `read.malformed_line`; continuation lines of edition 3
    (`<CONT>`) are joined. Null words stay the text that they are. Types and units come as text too.
    """
    with path.open("rb") as file:
        found = kind(file.read(4096))
    if found:
        report.refuse("read.not_ags", found, "deliver an AGS file")
    lines = _logical(_decoded(path, options.get("encoding", "utf-8"), report))
    first_line = next((line for line in lines if line.text.strip()), None)
    if first_line is None or not first_line.fields or not START.match(first_line.text):
        report.refuse("read.not_ags", "no group on the first line", "deliver an AGS file")
    group = _Group(options["group"].upper())
    edition = _edition3 if first_line.fields[0].startswith("**") else _edition4
    source = edition(chain([first_line], lines), group, report)
    first_row = list(islice(source, 1))
    if not group.headings:
        hint = f"the file has {', '.join(group.present)}"
        report.refuse("read.group_missing", f"no group {group.name} with headings", hint)
    names = column_names(group.headings, report)
    yield from batches(names, chain(first_row, source), report)
    report.units = {name: unit for name, unit in zip(names, group.units, strict=False) if unit}


def _decoded(path: Path, encoding: str, report: Report) -> Iterator[tuple[int, str, bool]]:
    """Give the lines with their numbers, without their ends, and whether they are text in the encoding."""
    limit = report.limits.line_bytes
    with path.open("rb") as file:
        for number in count(1):
            raw = file.readline(limit)
            if not raw:
                return
            if len(raw) >= limit:
                report.refuse("read.too_large", f"line {number} has {limit} bytes or more", "check its line ends")
            raw = raw.rstrip(b"\r\n").removeprefix(codecs.BOM_UTF8)
            try:
                yield number, raw.decode(encoding), True
            except UnicodeDecodeError:
                yield number, raw.decode(encoding, "backslashreplace"), False


def _logical(lines: Iterator[tuple[int, str, bool]]) -> Iterator[_Line]:
    """Join lines while a quote is open, but never past a line that begins a row of its own."""
    held: list[tuple[int, str, bool]] = []
    for line in lines:
        if held and (len(held) >= LINES or (START.match(line[1]) and not _goes_on(held))):
            yield _line(held)
            held = []
        held.append(line)
        if not _is_open(held) and not _goes_on(held):
            yield _line(held)
            held = []
    if held:
        yield _line(held)


def _is_open(held: list[tuple[int, str, bool]]) -> bool:
    return sum(text.count('"') for _number, text, _good in held) % 2 == 1


def _goes_on(held: list[tuple[int, str, bool]]) -> bool:
    """Tell whether a row of edition 3 continues on the next line, which a comma at its end says."""
    return not _is_open(held) and held[-1][1].endswith('",')


def _line(held: list[tuple[int, str, bool]]) -> _Line:
    number, text = held[0][0], "".join(_between(held))
    fault = None
    fields: list[str] = []
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error:
        fault = ("read.malformed_line", "its quotes do not match; double the ones that belong to the text")
    if not all(good for _number, _text, good in held):
        fault = ("read.encoding", "bytes that are no text in the declared encoding; save the file as UTF-8")
    return _Line(number, text, fields, len(held), fault)


def _between(held: list[tuple[int, str, bool]]) -> Iterator[str]:
    for position, (_number, text, _good) in enumerate(held):
        if position and _is_open(held[:position]):
            yield "\n"
        yield text


def _edition4(lines: Iterator[_Line], group: _Group, report: Report) -> Iterator[tuple[int, Cells]]:
    for line in lines:
        fields = line.fields
        word = fields[0].strip() if fields else ""
        if word == "GROUP":
            _enter(group, fields[1] if len(fields) > 1 else "")
        elif not group.open or not line.text.strip():
            continue
        elif word == "HEADING":
            _set_headings(group, fields[1:], line, report)
        elif word == "UNIT":
            group.units = fields[1:]
        elif word == "DATA":
            yield from _row(line, fields[1:], group, report)
        elif word != "TYPE":
            rule, hint = line.fault or ("read.malformed_line", "no AGS row can be read from it")
            report.reject_row(rule, line.text, hint, row=line.number)


def _edition3(lines: Iterator[_Line], group: _Group, report: Report) -> Iterator[tuple[int, Cells]]:
    held: tuple[int, Cells] | None = None
    for line in lines:
        fields = line.fields
        word = fields[0].strip() if fields else ""
        if word.startswith("**"):
            _enter(group, word.strip("*?"))
        elif not group.open or not line.text.strip():
            continue
        elif word.startswith("*"):
            _set_headings(group, group.headings + [each.strip("*?") for each in fields if each], line, report)
        elif word == "<UNITS>":
            group.units = ["", *fields[1:]]
        elif word == "<CONT>" and held:
            held = (held[0], _joined(held[1], fields))
        else:
            if held:
                yield held
            held = next(_row(line, fields, group, report), None)
    if held:
        yield held


def _enter(group: _Group, name: str) -> None:
    group.present.append(name.strip())
    group.open = name.strip().upper() == group.name


def _set_headings(group: _Group, headings: list[str], line: _Line, report: Report) -> None:
    if group.headings and group.headings != headings and group.headings != headings[: len(group.headings)]:
        found = f"line {line.number}: group {group.name} comes again with other headings"
        report.refuse("read.malformed", found, "give each group once")
    group.headings = headings


def _row(line: _Line, values: list[str], group: _Group, report: Report) -> Iterator[tuple[int, Cells]]:
    if line.fault:
        report.reject_row(line.fault[0], line.text, line.fault[1], row=line.number)
        return
    if len(values) != len(group.headings):
        hint = f"group {group.name} has {len(group.headings)} headings, this row has {len(values)} values"
        report.reject_row("read.field_count", line.text, hint, row=line.number)
        return
    if "\n" in line.text:
        hint = f"a value runs over {line.physical} lines, which the AGS format does not allow; it was read all the same"
        report.issue("read.malformed_line", line.text, hint, row=line.number)
    yield line.number, [value or None for value in values]


def _joined(cells: Cells, more: list[str]) -> Cells:
    """Add a continuation line's texts to the row's, column by column."""
    following = ["", *more[1:]] + [""] * len(cells)
    return [((cell or "") + text) or None for cell, text in zip(cells, following, strict=False)]
