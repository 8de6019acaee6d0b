"""JSON documents that hold a list of records."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.readers import strict_json
from pipelines.readers.report import Report
from pipelines.readers.tables import batches, column_names
from pipelines.readers.values import number_text

OPTIONS: dict[str, tuple[type, ...]] = {"records": (str,), "nested": (str,), "explode": (str,)}
NESTED = ("text", "columns")
DEPTH = 400
LEVELS = 64
"""Levels of objects within each other that become columns; what lies deeper stays JSON text."""
ITSELF = "$"
PARENT, ITEM = "record_row", "item_row"

Record = dict[str, Any]


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the records of a JSON document.

    Parameters
    ----------
    path : the document, in UTF-8.
    options : `records`, the way to the list as names with dots between; not needed where the document is the list,
        and `$` where the document is one record. `nested`: `text` (default) or `columns`, which makes a column of each
        value in nested objects, named by its way. `explode`: the way from a record to a list whose items become rows,
        with the record's other columns beside them; `nested` is then `columns`.
    report : where findings go.

    Notes
    -----
    A record's row is its place in the list, from 1. Columns are the union of the records' names, in the order in which
    they first appear; a missing name is null. Lists stay JSON text. Exploded rows are counted through the document,
    `record_row` is the record's place and `item_row` the item's in it; a record without items is one row without.
    Documents with a name twice in one object, with NaN or infinity, or nested too deep are refused, since programs read
    them differently, and so are documents beyond the limit of bytes.
    """
    document = _parse(path, report)
    records = _records(document, options.get("records"), report)
    way = str(options["explode"]).split(".") if "explode" in options else []
    in_columns = bool(way) or options.get("nested") == "columns"
    if way and not any(isinstance(record, dict) and _leads_to_list(record, way) for record in records):
        hint = "correct the option explode"
        report.refuse("read.records_missing", f"no list at {options['explode']!r} in any record", hint)
    columns: dict[str, None] = {}
    for _number, record in _rows(records, way, in_columns, None):
        columns.update(dict.fromkeys(record))
    if not columns:
        rule = "read.records_missing" if records else "read.no_rows"
        report.refuse(rule, f"{len(records)} records without any name", "ask whether the file is complete")
    rows = _rows(records, way, in_columns, report)
    cells = ((number, [_text(record.get(name)) for name in columns]) for number, record in rows)
    yield from batches(column_names(list(columns), report), cells, report)


def _parse(path: Path, report: Report) -> Any:  # noqa: ANN401 - JSON holds anything
    size = path.stat().st_size
    if size > report.limits.whole_file_bytes:
        found = f"{size} bytes, at most {report.limits.whole_file_bytes} are read"
        report.refuse("read.too_large", found, "deliver the document in parts")
    sys.setrecursionlimit(DEPTH)
    hint = "deliver one JSON document in UTF-8"
    try:
        return json.loads(
            path.read_bytes().decode("utf-8-sig"),
            object_pairs_hook=strict_json.names_once,
            parse_constant=strict_json.no_constant,
            parse_float=_float,
        )
    except RecursionError:
        report.refuse("read.too_deep", f"nested deeper than about {DEPTH} levels", hint)
    except ValueError as error:
        report.refuse("read.malformed", str(error), hint)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _records(document: Any, way: str | None, report: Report) -> list[Any]:  # noqa: ANN401
    if way == ITSELF:
        return [document]
    place = document
    for name in way.split(".") if way else ():
        if not isinstance(place, dict) or name not in place:
            have = sorted(place)[:20] if isinstance(place, dict) else type(place).__name__
            report.refuse("read.records_missing", f"no {name!r} of {way!r}; have {have}", "check the table's options")
        place = place[name]
    if not isinstance(place, list):
        have = f"an object with {sorted(place)[:20]}" if isinstance(place, dict) else f"a {type(place).__name__}"
        report.refuse("read.records_missing", have, "say in the option `records` where the list of records is")
    return place


def _rows(records: list[Any], way: list[str], in_columns: bool, report: Report | None) -> Iterator[tuple[int, Record]]:
    """Give the table's rows with their numbers; what is no record is told where there is a report."""
    row = 0
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            row += 1
            _reject("read.not_a_record", record, "every record must be an object", row, report)
            continue
        for item, one in enumerate(_exploded(record, way), start=1):
            row += 1
            place = {PARENT: number, ITEM: item if _leads_to_list(record, way) else None} if way else {}
            found: Record = {}
            if not in_columns:
                found = one
            elif not _flatten(one, "", found, LEVELS):
                _reject("read.name_twice", one, "a name with dots is the way to another value", row, report)
                continue
            yield row, {**found, **place}


def _reject(rule: str, record: Any, hint: str, row: int, report: Report | None) -> None:  # noqa: ANN401
    if report is not None:
        report.reject_row(rule, json.dumps(record), hint, row=row)


def _exploded(record: Record, way: list[str]) -> Iterator[Record]:
    """Give a record once for each item of the list at a way, with the item in the list's place."""
    value = record.get(way[0]) if way else None
    if not isinstance(value, list | dict) or not value:
        yield {**record, way[0]: None} if isinstance(value, list) else record
        return
    for item in value if isinstance(value, list) else [value]:
        inner = _exploded(item, way[1:]) if isinstance(item, dict) else [item]
        for each in inner:
            yield {**record, way[0]: each}


def _leads_to_list(record: Record, way: list[str]) -> bool:
    """Tell whether a record has items at a way."""
    value: Any = record
    for name in way:
        value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, list):
            return bool(value)
    return False


def _flatten(value: Record, before: str, found: Record, levels: int) -> bool:
    """Put the values of nested objects into one, named by their ways; tell whether no name came twice."""
    for name, inner in value.items():
        way = f"{before}{name}"
        if isinstance(inner, dict) and inner and levels > 1:
            if not _flatten(inner, f"{way}.", found, levels - 1):
                return False
        elif way in found:
            return False
        else:
            found[way] = inner
    return True


def _text(value: Any) -> str | None:  # noqa: ANN401
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
