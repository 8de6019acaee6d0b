"""Point-located geophysical data in ASEG-GDF2: a .dat of fixed columns, and the .dfn that defines them.

Source: Australian Society of Exploration Geophysicists, ASEG-GDF2, revision 4 (2003). The library aseg_gdf2 is not
used: it gives floats where the text as received is wanted, neither applies null values nor knows line numbers, and
holds a survey in memory as a whole unless asked for chunks.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.formats import declare, kind
from pipelines.readers.report import Report
from pipelines.readers.tables import column_names, empty, raw_schema

OPTIONS: dict[str, tuple[type, ...]] = {"record": (str,)}
DEFINITION = re.compile(r"\s*DEFN\s*\d*\s*ST\s*=\s*RECD\s*,\s*RT\s*=\s*(\w*)\s*;(.*)", re.I)
FORMAT = re.compile(r"\s*(\d*)\s*([IFEDGA])\s*(\d+)(?:\.\d+)?\s*", re.I)
UNIT = re.compile(r"\bUNITS?\s*=\s*([^:,;]*)", re.I)
NULL = re.compile(r"\bNULL\s*=\s*([^:,;\s]*)", re.I)
NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$"
"""What JSON calls a number; anything else in a list is quoted."""
REFERENCE = re.compile(r"\b(GDA|AGD|WGS|MGA|AMG|UTM|AHD|datum|projection|zone)", re.I)
BATCH_BYTES = 4 << 20
BATCH_LINES = 8192
DEFINITION_BYTES = 4 << 20


@dataclass(frozen=True)
class _Field:
    """One field of a record.

    Parameters
    ----------
    name, kind : as defined; the kind is a letter of Fortran.
    repeats : how many values it has; more than one makes a list.
    width : characters of one value.
    rest : unit, null value and comment as they stand.
    """

    name: str
    kind: str
    repeats: int
    width: int
    rest: str

    @property
    def unit(self) -> str:
        """Give its unit, or an empty text."""
        found = UNIT.search(self.rest)
        return found[1].strip() if found else ""

    @cached_property
    def null(self) -> str | None:
        """Give a pattern of its null value, however many digits are written, or None."""
        found = NULL.search(self.rest)
        if found is None or not found[1]:
            return None
        whole, _, part = found[1].partition(".")
        part = part.rstrip("0")
        tail = rf"\.{re.escape(part)}0*" if part else r"(\.0*)?"
        return f"^{re.escape(whole)}{tail}$"


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the records of an ASEG-GDF2 file.

    Parameters
    ----------
    path : the .dat; the .dfn, and the .des if there is one, lie beside it under the same stem.
    options : `record` (the record type wanted, as the .dfn names it; default: the one without a name).
    report : where findings go; its `units` become those of the .dfn.

    Notes
    -----
    A row's number is its line in the .dat. Values are the text between the .dfn's columns without blanks around it; a
    field of several values is a JSON list, with its numbers as they are written. The .dfn's null values are null, also
    within lists. What the .dfn and the .des say about coordinates is told. A line of another length is taken apart at
    its blanks where that gives as many values as are defined, and told; else it is rejected.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if found := kind(head):
        report.refuse("read.not_aseg", found, declare(head) or "deliver a .dat with its .dfn")
    records = _records(path.with_suffix(".dfn"), report)
    wanted = options.get("record", "").upper()
    if wanted not in records:
        have = ", ".join(repr(name) for name in records) or "none"
        report.refuse(
            "read.record_missing", f"no record {wanted!r} in the .dfn; have {have}", "correct the option record"
        )
    fields = records[wanted]
    names = column_names([field.name for field in fields], report)
    report.units = {name: field.unit for name, field in zip(names, fields, strict=True) if field.unit}
    _tell_reference(path, fields, report)
    schema = raw_schema(names)
    yield empty(schema)
    others = tuple(name.encode() for name in records if name and name != wanted)
    lines = _fitting(_lines(path, wanted.encode(), others, report), fields, report)
    while held := list(islice(lines, max(1, min(BATCH_LINES, BATCH_BYTES // _width(fields))))):
        report.check()
        yield _batch(held, fields, schema, report)


def _records(path: Path, report: Report) -> dict[str, list[_Field]]:
    """Read the definitions by record type."""
    if not path.exists():
        report.refuse("read.parts_missing", "no .dfn", "name the .dfn under parts in the feed")
    if path.stat().st_size > DEFINITION_BYTES:
        report.refuse("read.too_large", f"a .dfn of {path.stat().st_size} bytes", "deliver the definitions only")
    records: dict[str, list[_Field]] = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "backslashreplace").splitlines(), start=1):
        found = DEFINITION.match(line)
        if found:
            fields = records.setdefault(found[1].upper(), [])
            fields += [_field(text, number, report) for text in found[2].split(";") if _is_field(text)]
        elif _is_field(line):
            report.issue("read.malformed_line", f"line {number} of the .dfn: {line}", "no definition; it was left out")
    return {name: fields for name, fields in records.items() if fields}


def _is_field(text: str) -> bool:
    return bool(text.strip()) and text.strip().upper() != "END DEFN"


def _field(text: str, number: int, report: Report) -> _Field:
    name, _, rest = text.partition(":")
    found = FORMAT.match(rest)
    repeats, width = (int(found[1] or 1), int(found[3])) if found else (0, 0)
    if found is None or not 0 < repeats <= report.limits.columns or not 0 < width <= report.limits.columns:
        hint = "a field is NAME:FORMAT, as in Con:30F15.5"
        report.refuse("read.malformed", f"line {number} of the .dfn: {text.strip()}", hint)
    return _Field(name.strip(), found[2].upper(), repeats, width, rest[found.end() :].strip(" :"))


def _tell_reference(path: Path, fields: list[_Field], report: Report) -> None:
    """Tell what is said about coordinates, which no part of the format states in a form for machines."""
    said = [f"{field.name}: {field.rest}" for field in fields if REFERENCE.search(field.rest)]
    description = path.with_suffix(".des")
    if description.exists() and description.stat().st_size <= DEFINITION_BYTES:
        lines = description.read_bytes().decode("utf-8", "backslashreplace").splitlines()
        said += [" ".join(line.removeprefix("COMM").split()) for line in lines if REFERENCE.search(line)]
    if said:
        hint = "compare with the crs in the feed"
        report.issue("read.crs_told", "; ".join(said[:20]), hint, severity="info")


def _lines(path: Path, wanted: bytes, others: tuple[bytes, ...], report: Report) -> Iterator[tuple[int, bytes]]:
    """Give the lines of the record type that is wanted, with their numbers and without their ends."""
    limit, left_out = report.limits.line_bytes, 0
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(limit)
            if not line:
                break
            if len(line) >= limit:
                report.refuse("read.too_large", f"line {number} has {limit} bytes or more", "check its line ends")
            line = line.rstrip(b"\r\n\x1a")
            if not line.strip():
                continue
            if line.startswith(others) or not line.startswith(wanted):
                left_out += 1
                continue
            yield number, line
    if left_out:
        report.issue("read.other_features", f"{left_out} lines of other record types", "left out", severity="info")


def _fitting(lines: Iterator[tuple[int, bytes]], fields: list[_Field], report: Report) -> Iterator[tuple[int, bytes]]:
    """Give lines of the defined width; others are taken apart at their blanks, or rejected."""
    width, mended, first = _width(fields), 0, None
    for number, line in lines:
        fitted = line if len(line) == width else _fitted(line, fields)
        if fitted is None:
            hint = f"the .dfn defines {width} characters, this line has {len(line)}"
            report.reject_row("read.field_count", line.decode("ascii", "backslashreplace"), hint, row=number)
        elif not fitted.isascii() or b"\x00" in fitted:
            text = line.decode("ascii", "backslashreplace")
            report.reject_row("read.encoding", text, "bytes that are no ASCII text", row=number)
        else:
            if fitted is not line:
                mended, first = mended + 1, first or number
            yield number, fitted
    if mended:
        hint = f"the .dfn defines {width} characters; they were taken apart at their blanks, check the .dfn"
        report.issue("read.malformed_line", f"{mended} lines of another length", hint, row=first)


def _fitted(line: bytes, fields: list[_Field]) -> bytes | None:
    """Write a line anew in the defined columns, or give None where its values are not as many or do not fit."""
    width, bare = _width(fields), line.rstrip()
    if len(bare) <= width < len(line):
        return bare.ljust(width)
    widths = [field.width for field in fields for _each in range(field.repeats)]
    values = line.split()
    if len(values) != len(widths) or any(len(value) > most for value, most in zip(values, widths, strict=True)):
        return None
    return b"".join(value.rjust(most) for value, most in zip(values, widths, strict=True))


def _width(fields: list[_Field]) -> int:
    return sum(field.repeats * field.width for field in fields)


def _batch(lines: list[tuple[int, bytes]], fields: list[_Field], schema: pa.Schema, report: Report) -> pa.RecordBatch:
    """Cut lines of equal length into columns, all lines at once."""
    numbers = np.array([number for number, _line in lines], dtype=np.int64)
    characters = np.frombuffer(b"".join(line for _number, line in lines), dtype="S1").reshape(len(lines), -1)
    columns, at = [], 0
    for name, field in zip(schema.names, fields, strict=False):
        values = []
        for _each in range(field.repeats):
            values.append(_texts(characters[:, at : at + field.width], field))
            at += field.width
        columns.append(values[0] if field.repeats == 1 else _listed(name, values, numbers, report))
    return pa.record_batch([*columns, pa.array(numbers)], schema=schema)


def _texts(characters: np.ndarray, field: _Field) -> pa.Array:
    cut = np.ascontiguousarray(characters).view(f"S{field.width}").ravel()
    texts = pc.utf8_trim_whitespace(pa.array(cut, pa.binary()).cast(pa.string()))
    absent = pc.equal(texts, "")
    if field.null is not None:
        absent = pc.or_(absent, pc.match_substring_regex(texts, field.null))
    return pc.if_else(absent, pa.scalar(None, pa.string()), texts)


def _listed(name: str, values: list[pa.Array], numbers: np.ndarray, report: Report) -> pa.Array:
    """Join the values of each row to a JSON list; one that is no number is quoted and told."""
    written = []
    for each in values:
        is_number = pc.match_substring_regex(each, NUMBER)
        if pc.all(is_number, min_count=0).as_py():
            written.append(pc.fill_null(each, "null"))
            continue
        quoted = pa.array([text if text is None else json.dumps(text) for text in each.to_pylist()], pa.string())
        written.append(pc.fill_null(pc.if_else(is_number, each, quoted), "null"))
        for at in np.flatnonzero(pc.fill_null(pc.invert(is_number), False).to_numpy(zero_copy_only=False)):
            if not _is_number(each[at].as_py()):
                hint = "no number; stars mean that it did not fit its columns"
                report.issue("read.unreadable_value", each[at].as_py(), hint, row=int(numbers[at]), column=name)
    joined = pc.binary_join_element_wise(*written, ", ")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _is_number(text: str) -> bool:
    try:
        float(text.replace("D", "E").replace("d", "e"))
    except ValueError:
        return False
    return True
