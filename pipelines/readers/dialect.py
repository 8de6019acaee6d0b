"""What the fields and the numbers of a delimited text look like, to compare with what was declared."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.report import Report
from pipelines.readers.tables import RESERVED

BLANKS = "blanks"
"""The word for fields between runs of blanks or tabs."""
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe", BLANKS: "blanks"}
ROWS = 200
SHARE = 0.9
"""Of the rows that must have as many fields as the first one, for a delimiter to be believed."""
COMMA = r"^\s*[-+]?(\d+|\d{1,3}([. ]\d{3})+),\d+\s*$"
THOUSANDS = r"^\s*[-+]?\d{1,3}(,\d{3})+\s*$"
POINT = r"^\s*[-+]?[\d,]*\.\d+\s*$"
WHOLE = r"^\s*[-+]?\d+\s*$"


@dataclass(frozen=True)
class Split:
    """What a delimiter makes of some rows: fields of the first, and the share of rows that have as many."""

    delimiter: str
    width: int
    share: float

    @property
    def fits(self) -> bool:
        """Tell whether this splits rows into a table."""
        least = 3 if self.delimiter == BLANKS else 2
        return self.width >= least and self.share >= (1 if self.delimiter == BLANKS else SHARE)


def splits(lines: list[str], quote: str) -> list[Split]:
    """Try each of the usual delimiters, and give those that make a table, best first.

    >>> [split.delimiter for split in splits(["id;x", "1;2,5", "2;3,5"], '"')]
    [';']
    """
    tried = [try_split(lines, delimiter, quote) for delimiter in DELIMITERS if delimiter != BLANKS]
    fitting = sorted((split for split in tried if split.fits), key=lambda one: (-round(one.share, 1), -one.width))
    blanks = try_split(lines, BLANKS, quote)
    return fitting or ([blanks] if blanks.fits and len(lines) > 2 else [])


def try_split(lines: Iterable[str], delimiter: str, quote: str) -> Split:
    """See what a delimiter makes of rows."""
    try:
        if delimiter == BLANKS:
            widths = [len(line.split()) for line in lines if line.strip()]
        else:
            records = csv.reader(lines, **dialect(delimiter, quote))
            widths = [len(record) for record in islice(records, ROWS) if record]
    except csv.Error:
        widths = []
    alike = sum(width == widths[0] for width in widths)
    return Split(delimiter, widths[0] if widths else 0, alike / max(1, len(widths)))


def dialect(delimiter: str, quote: str) -> dict[str, Any]:
    """Give what Python's parser wants to know of a delimiter and a quote, which may be none."""
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    return {"delimiter": delimiter, "quotechar": quote or None, "quoting": quoting}


def tell_decimals(batch: pa.RecordBatch, report: Report) -> None:
    """Tell which columns of numbers have a decimal comma, or both marks, in the first rows of a table."""
    commas: list[str] = []
    for name in batch.schema.names:
        if name in RESERVED:
            continue
        values = batch.column(name).drop_null()
        if not pc.any(pc.match_substring(values, ","), min_count=0).as_py():
            continue
        with_comma, grouped, with_point, whole = (_count(values, each) for each in (COMMA, THOUSANDS, POINT, WHOLE))
        if not with_comma or with_comma + with_point + whole < SHARE * len(values):
            continue
        shown = values.filter(pc.match_substring_regex(values, COMMA))[0].as_py().strip()
        if with_point:
            hint = f"{with_comma} of the first {len(values)} values have a decimal comma and {with_point} a point; "
            report.issue("read.decimal_mixed", shown, hint + "ask which mark is meant", column=name)
        else:
            commas.append(f"{name} ({shown}{', or thousands' if grouped == with_comma else ''})")
    if commas:
        hint = 'numbers with a decimal comma; map such columns with decimal: ","'
        report.issue("read.decimal_comma", ", ".join(commas), hint, severity="info")


def separate(block: bytes) -> bytes:
    r"""Make one blank of each run of blanks and tabs, and none at the ends of lines.

    >>> separate(b"  1   2.5\t3 \n")
    b'1 2.5 3\n'
    """
    single = re.sub(rb"[ \t]+", b" ", block)
    return re.sub(rb"(?m)^ | (?=[\r\n]|\Z)", b"", single)


def _count(values: pa.Array, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(values, pattern), min_count=0).as_py())
