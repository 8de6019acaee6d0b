"""Well logs in the Log ASCII Standard (LAS), versions 1.2 and 2.0.

Source: Canadian Well Logging Society, LAS Version 1.2 (1990) and 2.0 (1992). Header lines are taken apart by lasio. Its
reader of data is not used: it turns texts into numbers, mends lines without saying which, and knows no line numbers.
"""

import codecs
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.formats import declare, kind
from pipelines.readers.report import Report
from pipelines.readers.tables import Cells, batches, column_names

OPTIONS: dict[str, tuple[type, ...]] = {"section": (str,), "header": (list, tuple), "encoding": (str,)}
SECTIONS = ("curves", "well", "parameters")
NAMES = {"V": "Version", "W": "Well", "C": "Curves", "P": "Parameter"}
VALUE_FIRST = frozenset({"STRT", "STOP", "STEP", "NULL"})
"""Items of version 1.2's well section whose value stands before the colon; that of all others stands behind it."""
USUAL_NULLS = frozenset({"-999", "-999.25", "-9999", "-9999.25", "-99999", "-99999.25", "-999999"})
RUN_ON = re.compile(r"(?<=[0-9.])(?=-)")
TOLERANCE = 1.5
"""Steps by which the last depth may miss what the header says."""

Line = tuple[int, str]


@dataclass(frozen=True)
class _Item:
    """One line of the header."""

    mnemonic: str
    unit: str
    value: str
    description: str
    line: int


@dataclass
class _Header:
    """Everything before the data: items by section, and the lines of what is free text."""

    items: dict[str, list[_Item]] = field(default_factory=lambda: {name: [] for name in NAMES.values()})
    other: list[str] = field(default_factory=list)
    is_complete: bool = False

    def value(self, mnemonic: str, *sections: str) -> str | None:
        """Give the value of an item, from the first section that has it."""
        found = self.item(mnemonic, *sections)
        return found.value or None if found else None

    def item(self, mnemonic: str, *sections: str) -> _Item | None:
        """Give an item by its mnemonic, in any case of letters."""
        items = (each for section in sections for each in self.items[section])
        return next((each for each in items if each.mnemonic.upper() == mnemonic.upper()), None)


@dataclass
class _Told:
    """Lines that were mended or are odd, counted, with the first of each."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, Line] = field(default_factory=dict)
    last_depth: str | None = None

    def note(self, what: str, number: int, text: str) -> None:
        """Count one more."""
        self.counts[what] = self.counts.get(what, 0) + 1
        self.first.setdefault(what, (number, text))


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the curves of a well log, or what its header says.

    Parameters
    ----------
    path : the file.
    options : `section` (`curves`, the default: one row a depth; `well`: one row with the well's items as columns;
        `parameters`: one row an item), `header` (mnemonics of the header's items that become columns of every row, as
        UWI, LAT, LONG), `encoding` (default utf-8).
    report : where findings go; its `units` become those of curves and items.

    Notes
    -----
    A row's number is its line in the file; that of the depth where lines are wrapped. The header's null value is
    null. Numbers that run into each other and commas between numbers are mended and told. A line with another number
    of values is rejected. A file beyond the limit is refused.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if found := kind(head):
        report.refuse("read.not_las", found, declare(head) or "deliver a LAS file")
    size = path.stat().st_size
    if size > report.limits.whole_file_bytes:
        found = f"{size} bytes, at most {report.limits.whole_file_bytes} are read"
        report.refuse("read.too_large", found, "deliver each run as a file of its own")
    lines = _lines(path, options.get("encoding", "utf-8"), report)
    first = next((line for line in lines if line[1] and not line[1].startswith("#")), None)
    if first is None or not first[1].startswith("~"):
        report.refuse("read.not_las", "no section on the first line", declare(head) or "deliver a LAS file")
    header = _header(first, lines, report)
    section = options.get("section", "curves")
    wanted = [_wanted(header, str(name), report) for name in options.get("header", ())]
    if section == "parameters":
        yield from _parameters(header, report)
    elif section == "well":
        yield from _well(header, wanted, report)
    else:
        yield from _curves(header, lines, wanted, report)


def _lines(path: Path, encoding: str, report: Report) -> Iterator[Line]:
    """Give lines with their numbers and without blanks around them."""
    limit = report.limits.line_bytes
    with path.open("rb") as file:
        for number in count(1):
            raw = file.readline(limit)
            if not raw:
                return
            if len(raw) >= limit:
                report.refuse("read.too_large", f"line {number} has {limit} bytes or more", "check its line ends")
            try:
                text = raw.removeprefix(codecs.BOM_UTF8).decode(encoding)
            except UnicodeDecodeError:
                text = raw.decode(encoding, "backslashreplace")
                hint = "bytes that are no text in the declared encoding; state the file's in the table's options"
                report.issue("read.encoding", text.strip(), hint, row=number)
            yield number, text.strip()


def _header(first: Line, lines: Iterator[Line], report: Report) -> _Header:
    from lasio.reader import read_header_line  # loads what only this reader's process needs

    header, section = _Header(), ""
    number, text = first
    while True:
        if text.startswith("~"):
            letter = text[1:2].upper()
            section = NAMES.get(letter, "")
            if letter == "A":
                header.is_complete = True
                break
        elif text and not text.startswith("#"):
            _take(read_header_line, header, section, (number, text), report)
        number, text = next(lines, (0, ""))
        if not number:
            break
    if header.other:
        report.issue("read.banner", " ".join(header.other), "text in sections that are no table", severity="info")
    _check_version(header, report)
    return header


def _take(parse: Any, header: _Header, section: str, line: Line, report: Report) -> None:  # noqa: ANN401 - a function
    number, text = line
    if not section:
        header.other.append(text)
        return
    try:
        parts = parse(text, section_name=section)
    except AttributeError:  # what lasio raises where its pattern does not match
        report.reject_row("read.malformed_line", text, "a header line is MNEM.UNIT VALUE : TEXT", row=number)
        return
    value, description = parts["value"], parts["descr"]
    old = (header.value("VERS", "Version") or "").startswith("1")
    if section == "Well" and old and parts["name"].upper() not in VALUE_FIRST:
        value, description = description, value
    header.items[section].append(_Item(parts["name"], parts["unit"].strip("[]()"), value, description, number))


def _check_version(header: _Header, report: Report) -> None:
    said = header.value("VERS", "Version")
    if said is None:
        report.issue("read.version", "no version", "it was read as LAS 2.0; ask for a whole header")
    elif not re.match(r"[12](\.|$)", said):
        report.refuse("read.version", f"LAS {said}", "deliver LAS 1.2 or 2.0")


def _wanted(header: _Header, name: str, report: Report) -> _Item:
    found = header.item(name, "Well", "Parameter", "Version")
    if found is None:
        have = [each.mnemonic for section in ("Well", "Parameter") for each in header.items[section]]
        report.issue("read.header_item_missing", f"no {name}; have {have}", "the column is empty", column=name)
        return _Item(name, "", "", "", 0)
    return found


def _parameters(header: _Header, report: Report) -> Iterator[pa.RecordBatch]:
    items = header.items["Parameter"]
    rows = ((each.line, _or_null([each.mnemonic, each.unit, each.value, each.description])) for each in items)
    yield from batches(["mnemonic", "unit", "value", "description"], rows, report)


def _well(header: _Header, wanted: list[_Item], report: Report) -> Iterator[pa.RecordBatch]:
    items = [*header.items["Well"], *(each for each in wanted if each not in header.items["Well"])]
    if not items:
        report.refuse("read.header_missing", "no item in the well section", "ask for a whole header")
    names = column_names(_numbered([each.mnemonic for each in items], report), report)
    yield from batches(names, [(items[0].line, _or_null([each.value for each in items]))], report)
    report.units = {name: each.unit for name, each in zip(names, items, strict=True) if each.unit}


def _curves(header: _Header, lines: Iterator[Line], wanted: list[_Item], report: Report) -> Iterator[pa.RecordBatch]:
    curves = header.items["Curves"]
    if not curves or not header.is_complete:
        missing = "curves" if not curves else "data section"
        report.refuse("read.header_missing", f"no {missing}", "ask for the whole file")
    names = column_names(_numbered([each.mnemonic for each in [*curves, *wanted]], report), report)
    report.units = {name: each.unit for name, each in zip(names, [*curves, *wanted], strict=True) if each.unit}
    if not curves[0].unit:
        report.issue(
            "read.unit_missing", curves[0].mnemonic, "ask for the depth's unit, and declare it", column=names[0]
        )
    null, told = header.value("NULL", "Well"), _Told()
    if null is None:
        report.issue("read.null_missing", "no NULL in the header", "ask which value means that there is none")
    is_wrapped = (header.value("WRAP", "Version") or "NO").upper().startswith("Y")
    take = _wrapped if is_wrapped else _unwrapped
    more = _or_null([each.value for each in wanted])
    rows = (
        (number, [*_values(number, cells, null, told), *more])
        for number, cells in take(lines, len(curves), told, report)
    )
    yield from batches(names, rows, report)
    _tell(header, told, null, report)


def _unwrapped(lines: Iterator[Line], width: int, told: _Told, report: Report) -> Iterator[tuple[int, list[str]]]:
    for number, text in _data(lines, report):
        cells = _mended(number, text, width, told)
        if len(cells) == width:
            yield number, cells
        else:
            hint = f"the file has {width} curves, this line has {len(cells)} values"
            report.reject_row("read.field_count", text, hint, row=number)


def _wrapped(lines: Iterator[Line], width: int, told: _Told, report: Report) -> Iterator[tuple[int, list[str]]]:
    held: list[str] = []
    texts: list[str] = []
    began = 0
    for number, text in _data(lines, report):
        cells = text.split()
        if held and len(cells) == 1 and len(held) + 1 != width:
            _reject_wrapped(began, texts, len(held), width, report)
            held, texts = [], []
        began = began if held else number
        held, texts = [*held, *cells], [*texts, text]
        if len(held) == width:
            yield began, held
            held, texts = [], []
        elif len(held) > width:
            _reject_wrapped(began, texts, len(held), width, report)
            held, texts = [], []
    if held:
        _reject_wrapped(began, texts, len(held), width, report)


def _reject_wrapped(number: int, texts: list[str], found: int, width: int, report: Report) -> None:
    hint = f"the file has {width} curves, the {len(texts)} lines of this depth have {found} values"
    report.reject_row("read.field_count", "\n".join(texts), hint, row=number)


def _data(lines: Iterator[Line], report: Report) -> Iterator[Line]:
    for number, text in lines:
        if text.startswith("~"):
            report.refuse(
                "read.malformed", f"line {number}: a section after the data: {text}", "deliver one log a file"
            )
        if text and not text.startswith("#"):
            yield number, text


def _mended(number: int, text: str, width: int, told: _Told) -> list[str]:
    """Take a line apart; one that does not fit is tried with commas between, then with numbers that run together."""
    cells = text.split()
    if len(cells) == width:
        return cells
    apart = [each for each in re.split(r"[,;\s]+", text) if each]
    if len(apart) == width:
        told.note("commas between numbers", number, text)
        return apart
    run_on = RUN_ON.sub(" ", text).split()
    if len(run_on) == width:
        told.note("numbers that run into each other", number, text)
        return run_on
    return cells


def _values(number: int, cells: list[str], null: str | None, told: _Told) -> Cells:
    told.last_depth = cells[0]
    row: Cells = [None if null is not None and _is_same(cell, null) else cell for cell in cells]
    if any(cell in USUAL_NULLS for cell in row[1:]):
        told.note("values that usually mean no value", number, " ".join(cells))
    return row


@functools.lru_cache(maxsize=1 << 16)
def _is_same(cell: str, null: str) -> bool:
    """Tell whether a text is the null value, however many digits it has."""
    if cell == null:
        return True
    try:
        return float(cell) == float(null)
    except ValueError:
        return False


def _tell(header: _Header, told: _Told, null: str | None, report: Report) -> None:
    for what, number in told.counts.items():
        row, text = told.first[what]
        if what.startswith("values"):
            hint = f"the header's null value is {null}, so they stand as they are; ask, and name them in nulls"
            report.issue("read.undeclared_null", f"{number} lines with {what}: {text}", hint, row=row)
        else:
            hint = "they were taken apart; check these lines"
            report.issue("read.malformed_line", f"{number} lines with {what}: {text}", hint, row=row)
    stop, step = (_number(header.value(name, "Well")) for name in ("STOP", "STEP"))
    last = _number(told.last_depth)
    if stop is not None and last is not None and step and abs(stop - last) > TOLERANCE * abs(step):
        found = f"the header ends at {stop:g}, the data at {last:g}"
        report.issue("read.depth_range", found, "the file may be cut short; ask for it again")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _numbered(names: list[str], report: Report) -> list[str | None]:
    """Tell names apart that come twice, since many logs hold a curve of each run."""
    seen: dict[str, int] = {}
    given: list[str | None] = []
    for name in names:
        seen[name.upper()] = times = seen.get(name.upper(), 0) + 1
        given.append(name if times == 1 else f"{name}:{times}")
        if times > 1:
            hint = f"the one that comes as number {times} is called {given[-1]}"
            report.issue("read.header_renamed", name, hint, column=given[-1])
    return given


def _or_null(texts: list[str]) -> Cells:
    return [text or None for text in texts]
