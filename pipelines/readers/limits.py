"""How much of a machine one partner's file may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Caps on reading one file; beyond any of them the file is refused.

    Parameters
    ----------
    deadline_s : seconds by the clock, for the whole child process.
    cpu_s : seconds of processor time.
    memory_bytes : address space of the child.
    output_bytes : Arrow bytes that the child may hand over.
    rows, columns : of one table.
    rejected_rows : source rows that could not be split into columns, and findings of other kinds.
    cells : rows times columns of a workbook's sheet.
    unpacked_bytes : of a workbook's parts together.
    unpacked_ratio : unpacked bytes for each packed one.
    whole_file_bytes : of formats that must be held in memory as a whole.
    line_bytes : of one line, where lines are read one by one.
    members, archive_bytes : files in an archive, and their bytes when unpacked; they are read as a stream.
    """

    deadline_s: float = 900.0
    cpu_s: int = 900
    memory_bytes: int = 3 << 30
    output_bytes: int = 64 << 30
    rows: int = 500_000_000
    columns: int = 4096
    rejected_rows: int = 50_000
    cells: int = 64_000_000
    unpacked_bytes: int = 768 << 20
    unpacked_ratio: int = 100
    whole_file_bytes: int = 256 << 20
    line_bytes: int = 4 << 20
    members: int = 10_000
    archive_bytes: int = 16 << 30
