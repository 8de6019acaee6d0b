"""What a workbook's own XML says that cells alone do not: failed and uncalculated formulas, and what is hidden.

The cells' reader gives nothing for a failed formula, and nothing for one that was never calculated; both would vanish.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.readers.report import Report

RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
WORTH_A_LOOK = re.compile(rb"""t=["']e["']|hidden=|<(\w+:)?f[\s/>]""")
BLOCK_BYTES = 1 << 20
OVERLAP = 64
REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")

Element = Any  # lxml's types are not told to the type checker


@dataclass
class Parts:
    """What was found in one sheet.

    Parameters
    ----------
    failed : row, column and error of cells whose formula failed; both count from 1.
    uncalculated : row and column of formulas without a result.
    hidden_rows : their numbers.
    hidden_columns : first and last of each hidden run.
    """

    failed: list[tuple[int, int, str]] = field(default_factory=list)
    uncalculated: list[tuple[int, int]] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)


def parts(path: Path, sheet: str, report: Report) -> Parts:
    """Look into the XML of a workbook's sheet; that of most sheets is only searched, not parsed.

    Parameters
    ----------
    path : an .xlsx workbook whose archive was judged.
    sheet : name of the sheet.
    report : takes the reason where the XML is refused.
    """
    from lxml import etree  # native code that only this reader's process loads

    found = Parts()
    try:
        with zipfile.ZipFile(path) as archive:
            name = _part(etree, archive, sheet)
            if name and _is_worth_a_look(archive, name):
                for event in _events(etree, archive, name):
                    _look(event, found, report)
    except (etree.XMLSyntaxError, zipfile.BadZipFile, KeyError, ValueError, EOFError, NotImplementedError) as error:
        report.refuse(
            "read.malformed", f"sheet {sheet!r}: {error}", "open it in a spreadsheet program and save it again"
        )
    return found


def _part(etree: Any, archive: zipfile.ZipFile, sheet: str) -> str | None:  # noqa: ANN401 - a module
    book = _tree(etree, archive.read("xl/workbook.xml"))
    relation = next(
        (
            each.get(RELATION) or each.get(STRICT_RELATION)
            for each in book.iter("{*}sheet")
            if each.get("name") == sheet
        ),
        None,
    )
    links = _tree(etree, archive.read("xl/_rels/workbook.xml.rels"))
    target = next((each.get("Target") for each in links.iter("{*}Relationship") if each.get("Id") == relation), None)
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/") if target else None


def _tree(etree: Any, text: bytes) -> Element:  # noqa: ANN401
    return etree.fromstring(text, etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True))


def _is_worth_a_look(archive: zipfile.ZipFile, name: str) -> bool:
    before = b""
    with archive.open(name) as part:
        while block := part.read(BLOCK_BYTES):
            if WORTH_A_LOOK.search(before + block):
                return True
            before = block[-OVERLAP:]
    return False


def _events(etree: Any, archive: zipfile.ZipFile, name: str) -> Iterator[Element]:  # noqa: ANN401
    with archive.open(name) as part:
        for _event, element in etree.iterparse(
            part, tag=("{*}row", "{*}col"), resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False
        ):
            yield element
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]


def _look(element: Element, found: Parts, report: Report) -> None:
    is_hidden = element.get("hidden") in ("1", "true")
    if element.tag.endswith("}col"):
        if is_hidden:
            found.hidden_columns.append((int(element.get("min", "1")), int(element.get("max", "1"))))
        return
    if is_hidden:
        found.hidden_rows.append(int(element.get("r", "0")))
    for at, cell in enumerate(element.iterchildren("{*}c"), start=1):
        _look_at_cell(cell, int(element.get("r", "0")), at, found)
    if len(found.failed) + len(found.uncalculated) > report.limits.rejected_rows:
        hint = "mend the workbook's formulas, or deliver their values"
        report.refuse("read.too_many_bad_rows", f"more than {report.limits.rejected_rows} failed formulas", hint)


def _look_at_cell(cell: Element, row: int, at: int, found: Parts) -> None:
    has_formula = cell.find("{*}f") is not None
    value = cell.findtext("{*}v")
    if cell.get("t") != "e" and not (has_formula and value is None):
        return
    reference = REFERENCE.fullmatch(cell.get("r", ""))
    column = _column(reference[1]) if reference else at
    row = int(reference[2]) if reference else row
    if cell.get("t") == "e":
        found.failed.append((row, column, value or "an error"))
    else:
        found.uncalculated.append((row, column))


def _column(letters: str) -> int:
    """Give a column's number from its letters.

    >>> [_column(each) for each in ("A", "Z", "AA")]
    [1, 26, 27]
    """
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number
