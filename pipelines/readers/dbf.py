"""What the table of a shapefile holds that GDAL would make null or nought: numbers and dates that are none."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DESCRIPTOR_BYTES = 32
HEADER_END = 0x0D
DELETED = ord("*")
NUMBER = rb"^[ \x00]*([-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|\*+)?[ \x00]*$"
STARS = rb"^[ ]*\*+$"
DAY = rb"^([0-9]{8}|[ 0\x00]*)$"
FORMS = {"N": NUMBER, "F": NUMBER, "D": DAY}
"""How the bytes of a field must look, by its type."""


@dataclass(frozen=True)
class _Field:
    """A field with its place in a record."""

    name: str
    kind: str
    start: int
    size: int


@dataclass
class Survey:
    """What one pass over a .dbf tells.

    Parameters
    ----------
    deleted : records that are marked as deleted.
    unfit : field and text by record number, from 1, where a number or a date is none.
    stars : count by field of numbers that are asterisks, as programs write for none, or for too long a one.
    """

    deleted: int = 0
    unfit: dict[int, str] = field(default_factory=dict)
    stars: Counter[str] = field(default_factory=Counter)


def survey(blocks: Iterable[bytes], most: int) -> Survey:
    """Look at the records of a .dbf.

    Parameters
    ----------
    blocks : its bytes; the first block holds the header.
    most : records that do not fit, after which no more are noted.
    """
    source = iter(blocks)
    first = next(source, b"")
    header, width = struct.unpack_from("<HH", first, 8)
    checked = [each for each in _fields(first[:header]) if each.kind in FORMS]
    told, number = Survey(), 1
    for records in _records(first[header:], source, width):
        kept = records[:, 0] != DELETED
        told.deleted += int((~kept).sum())
        for each in checked:
            cells = _cells(records, each)
            told.stars[each.name] += int((_look(cells, STARS) & kept).sum())
            for place in np.flatnonzero(~_look(cells, FORMS[each.kind]) & kept):
                text = cells[place].as_py().decode("latin-1").strip()
                if len(told.unfit) <= most:
                    told.unfit.setdefault(number + int(place), f"{each.name}: {text}")
        number += len(records)
    return told


def _fields(header: bytes) -> Iterator[_Field]:
    start = 1
    for place in range(DESCRIPTOR_BYTES, len(header) - DESCRIPTOR_BYTES + 1, DESCRIPTOR_BYTES):
        if header[place] == HEADER_END:
            return
        name = header[place : place + 11].split(b"\x00")[0].decode("latin-1")
        size = header[place + 16]
        if size:
            yield _Field(name, chr(header[place + 11]), start, size)
        start += size


def _records(first: bytes, source: Iterator[bytes], width: int) -> Iterator[np.ndarray]:
    """Give whole records as rows of bytes."""
    carried = first
    while width:
        cut = len(carried) - len(carried) % width
        if cut:
            yield np.frombuffer(carried[:cut], np.uint8).reshape(-1, width)
        block = next(source, b"")
        if not block:
            return
        carried = carried[cut:] + block


def _cells(records: np.ndarray, each: _Field) -> pa.Array:
    """Give a field's bytes in each record."""
    cells = records[:, each.start : each.start + each.size].tobytes()
    kind = pa.binary(each.size)
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(records), [None, pa.py_buffer(cells)]).cast(pa.binary())


def _look(cells: pa.Array, form: bytes) -> np.ndarray:
    return pc.match_substring_regex(cells, form).to_numpy(zero_copy_only=False)
