"""Workbooks of the older binary format, written here record by record."""

import struct
from pathlib import Path

import pytest

from pipelines.readers import Limits
from tests.partners import opened, rows_of, rules_of

FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def record(kind: int, body: bytes = b"") -> bytes:
    """Write one record."""
    return struct.pack("<HH", kind, len(body)) + body


def cell(row: int, column: int, value: object) -> bytes:
    """Write one cell; an int is the code of an error, a tuple that of a formula's."""
    place = struct.pack("<HHH", row, column, 0)
    if isinstance(value, float):
        return record(0x0203, place + struct.pack("<d", value))
    if isinstance(value, int):
        return record(0x0205, place + bytes([value, 1]))
    if isinstance(value, tuple):
        result = bytes([2, 0, value[0], 0, 0, 0, 0xFF, 0xFF])
        return record(0x0006, place + result + struct.pack("<HIH", 0, 0, 2) + b"\x1c\x2a")
    text = str(value).encode("latin-1")
    return record(0x0204, place + struct.pack("<HB", len(text), 0) + text)


def book(rows: list[list[object]], *, hidden_row: int | None = None, sheets: tuple[str, ...] = ("Mines",)) -> bytes:
    """Write a workbook whose sheets all have these rows, in its container."""
    start = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0x0600))
    cells = b"".join(
        cell(row, column, value)
        for row, values in enumerate(rows)
        for column, value in enumerate(values)
        if value is not None
    )
    flags = struct.pack("<HHHHHHI", hidden_row or 0, 0, 1, 0, 0, 0, 0x20)
    sheet = (
        record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0x0600))
        + record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0))
        + (record(0x0208, flags) if hidden_row is not None else b"")
        + cells
        + record(0x000A)
    )
    head = len(start) + sum(len(record(0x0085, b"\x00" * 8 + name.encode())) for name in sheets) + len(record(0x000A))
    bounds = b"".join(
        record(0x0085, struct.pack("<IBBBB", head + at * len(sheet), 0, 0, len(name), 0) + name.encode())
        for at, name in enumerate(sheets)
    )
    return container(start + bounds + record(0x000A) + sheet * len(sheets))


def container(stream: bytes) -> bytes:
    """Write a compound file that holds a workbook's stream: the table, the directory, then the stream."""
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\x00")
    sectors = len(stream) // 512
    chain = [FAT, END, *range(3, 2 + sectors), END]
    table = struct.pack("<128I", *chain, *[FREE] * (128 - len(chain)))
    directory = entry("Root Entry", 5, END, 0, child=1) + entry("Workbook", 2, 2, len(stream)) + b"\x00" * 256
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + b"\x00" * 16
        + struct.pack("<HHHHH6xII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1)
        + struct.pack("<IIIIIII", 1, 0, 4096, END, 0, END, 0)
        + struct.pack("<109I", 0, *[FREE] * 108)
    )
    return header + table + directory + stream


def entry(name: str, kind: int, first: int, size: int, child: int = FREE) -> bytes:
    """Write one entry of a container's directory."""
    text = (name + "\x00").encode("utf-16-le")
    head = text.ljust(64, b"\x00") + struct.pack("<HBB", len(text), kind, 1)
    return head + struct.pack("<III", FREE, FREE, child) + b"\x00" * 36 + struct.pack("<IQ", first, size)


def test_cells_of_an_older_workbook_come_as_from_a_newer_one(tmp_path: Path) -> None:
    outcome = opened(
        book([["Register"], ["name", "grade"], ["Hill ", 1.5], ["Pit", 3.0]]), "xls", tmp_path, header_row=2
    )
    assert rows_of(outcome).to_pylist() == [
        {"name": "Hill ", "grade": "1.5", "_row": 3},
        {"name": "Pit", "grade": "3", "_row": 4},
    ]
    assert rules_of(outcome) == [("read.banner", "info", None)]


def test_failed_formulas_and_hidden_rows_are_told(tmp_path: Path) -> None:
    content = book([["a", "b"], ["x", 0x2A], ["y", (0x17,)]], hidden_row=2, sheets=("Other", "Mines"))
    outcome = opened(content, "xls", tmp_path, sheet="Mines")
    assert rows_of(outcome)["b"].to_pylist() == [None, None]
    assert [(issue["rule"], issue["row"], issue["column"], issue["found"]) for issue in outcome.issues] == [
        ("read.formula_error", 2, "b", "#N/A"),
        ("read.formula_error", 3, "b", "#REF!"),
        ("read.hidden", None, None, "1 hidden rows: 3"),
    ]


@pytest.mark.parametrize(
    ("content", "rule", "hint"),
    [
        (b"<table><tr><td>1</td></tr></table>", "read.not_xls", "declare the reader html_table"),
        (b"id,name\n1,a\n", "read.not_xls", "declare the reader delimited"),
        (b"PK\x03\x04 [Content_Types].xml", "read.not_xls", "declare the reader xlsx"),
        (book([["a"], ["x"]])[:1500], "read.malformed", "open it in a spreadsheet program"),
        (b"\xd0\xcf\x11\xe0" + b"\x00" * 600, "read.malformed", "open it in a spreadsheet program"),
    ],
    ids=["html", "csv", "zip", "cut", "empty"],
)
def test_what_is_no_older_workbook_is_refused(tmp_path: Path, content: bytes, rule: str, hint: str) -> None:
    outcome = opened(content, "xls", tmp_path)
    assert (outcome.path, rules_of(outcome)) == (None, [(rule, "error", None)])
    assert outcome.issues[0]["hint"].startswith(hint)


def test_an_older_workbook_beyond_the_cap_is_refused(tmp_path: Path) -> None:
    for limits in (Limits(whole_file_bytes=1000), Limits(cells=1)):
        outcome = opened(book([["a"], ["x"]]), "xls", tmp_path, limits=limits)
        assert (outcome.path, rules_of(outcome)) == (None, [("read.too_large", "error", None)])


def test_a_container_that_goes_in_circles_is_refused(tmp_path: Path) -> None:
    content = bytearray(book([["a"], ["x"]]))
    struct.pack_into("<I", content, 512 + 4 * 3, 2)
    outcome = opened(bytes(content), "xls", tmp_path, limits=Limits(deadline_s=20, cpu_s=5, memory_bytes=1 << 30))
    assert (outcome.path, rules_of(outcome)) == (None, [("read.malformed", "error", None)])
