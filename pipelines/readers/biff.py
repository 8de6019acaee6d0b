"""What the records of an .xls workbook say that its cells' reader leaves out: failed formulas, and what is hidden.

Source: Microsoft [MS-CFB] for the container, [MS-XLS] for the records of BIFF5 and BIFF8.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from pipelines.readers.report import Report
from pipelines.readers.sheet_parts import Parts

ERRORS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
}
FORMULA, EOF, COLINFO, BOUNDSHEET, BOOLERR, ROW, BOF = 0x0006, 0x000A, 0x007D, 0x0085, 0x0205, 0x0208, 0x0809
ENTRY_BYTES = 128
IN_HEADER = 109
"""Sectors of the table of sectors that the header itself names."""
LAST_SECTOR = 0xFFFFFFFA
"""From here on a sector's number is a mark."""
AGAIN = "open it in a spreadsheet program and save it again"


class BrokenError(ValueError):
    """A container that contradicts itself."""


def workbook(path: Path, report: Report) -> bytes:
    """Give the records of an .xls workbook that is small enough to be held in memory, or refuse what is broken."""
    try:
        return _workbook(path.read_bytes())
    except (struct.error, IndexError, BrokenError) as error:
        report.refuse("read.malformed", str(error), AGAIN)


def parts(stream: bytes, position: int, report: Report) -> Parts:
    """Look through the records of one sheet.

    Parameters
    ----------
    stream : the workbook's records.
    position : the sheet's, from 0.
    report : takes the reason where the workbook is refused.
    """
    found = Parts()
    try:
        places = [struct.unpack_from("<I", body)[0] for kind, body in _records(stream, 0) if kind == BOUNDSHEET]
        for kind, body in _records(stream, places[position]):
            _look(kind, body, found)
    except (struct.error, IndexError) as error:
        report.refuse("read.malformed", str(error), AGAIN)
    return found


def _workbook(content: bytes) -> bytes:
    """Give the stream of records from the compound file around it."""
    sector = 1 << struct.unpack_from("<H", content, 30)[0]
    directory, cutoff, mini_first = (struct.unpack_from("<I", content, at)[0] for at in (48, 56, 60))
    table = _table(content, sector)
    entries = _chained(content, table, directory, sector)
    root = entries[:ENTRY_BYTES]
    for at in range(0, len(entries), ENTRY_BYTES):
        entry = entries[at : at + ENTRY_BYTES]
        length = struct.unpack_from("<H", entry, 64)[0]
        if entry[: max(0, length - 2)].decode("utf-16-le", "replace") not in ("Workbook", "Book"):
            continue
        first, size = struct.unpack_from("<II", entry, 116)
        if size >= cutoff:
            return _chained(content, table, first, sector)[:size]
        small = _chained(content, table, struct.unpack_from("<I", root, 116)[0], sector)
        mini = _numbers(_chained(content, table, mini_first, sector))
        return _chained(b"\x00" * 64 + small, mini, first, 64)[:size]
    raise BrokenError("no workbook in the file")


def _table(content: bytes, sector: int) -> tuple[int, ...]:
    """Give the sector that follows each sector."""
    places = list(struct.unpack_from(f"<{IN_HEADER}I", content, 76))
    more, seen = struct.unpack_from("<I", content, 68)[0], 0
    while more < LAST_SECTOR:
        block = _numbers(_sector(content, more, sector))
        places += block[:-1]
        more, seen = block[-1], seen + 1
        if seen > len(content) // sector:
            raise BrokenError("its sectors go in circles")
    return _numbers(b"".join(_sector(content, each, sector) for each in places if each < LAST_SECTOR))


def _chained(content: bytes, table: tuple[int, ...], first: int, sector: int) -> bytes:
    chain: list[bytes] = []
    at = first
    while at < LAST_SECTOR:
        chain.append(_sector(content, at, sector))
        at = table[at]
        if len(chain) > len(table):
            raise BrokenError("its sectors go in circles")
    return b"".join(chain)


def _sector(content: bytes, number: int, sector: int) -> bytes:
    """Give a sector; the first one lies behind the header, which takes a sector too."""
    found = content[(number + 1) * sector : (number + 2) * sector]
    if not found:
        raise BrokenError(f"sector {number} is not there")
    return found


def _numbers(block: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(block) // 4}I", block[: len(block) // 4 * 4])


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Give the records of a substream; those of charts within it are left out."""
    depth = 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        body = stream[at + 4 : at + 4 + length]
        at += 4 + length
        depth += (kind == BOF) - (kind == EOF)
        if depth == 1:
            yield kind, body
        if depth == 0:
            return


def _look(kind: int, body: bytes, found: Parts) -> None:
    if kind == BOOLERR and body[7]:
        _fail(body, body[6], found)
    elif kind == FORMULA and body[12:14] == b"\xff\xff" and body[6] == 2:
        _fail(body, body[8], found)
    elif kind == ROW and body[12] & 0x20:
        found.hidden_rows.append(struct.unpack_from("<H", body)[0] + 1)
    elif kind == COLINFO and body[8] & 0x01:
        first, last = struct.unpack_from("<HH", body)
        found.hidden_columns.append((first + 1, last + 1))


def _fail(body: bytes, code: int, found: Parts) -> None:
    row, column = struct.unpack_from("<HH", body)
    found.failed.append((row + 1, column + 1, ERRORS.get(code, "an error")))
