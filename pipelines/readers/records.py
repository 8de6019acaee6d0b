"""JSON documents that hold a list of records."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.readers.report import Report
from pipelines.readers.tables import Cells, batches, column_names
from pipelines.readers.values import number_text

OPTIONS: dict[str, tuple[type, ...]] = {"records": (str,)}
DEPTH = 400


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the records of a JSON document.

    Parameters
    ----------
    path : the document, in UTF-8.
    options : `records`, the way to the list as names with dots between; not needed where the document is the list.
    report : where findings go.

    Notes
    -----
    A record's row is its place in the list, from 1. Columns are the union of the records' names, in the order in which
    they first appear; a missing name is null. Nested values stay JSON text. Documents with a name twice in one object,
    with NaN or infinity, or nested too deep are refused, since programs read them differently.
    """
    document = _parse(path, report)
    records = _records(document, options.get("records"), report)
    columns: dict[str, None] = {}
    for record in records:
        if isinstance(record, dict):
            columns.update(dict.fromkeys(record))
    if not columns:
        rule = "read.records_missing" if records else "read.no_rows"
        report.refuse(rule, f"{len(records)} records without any name", "ask whether the file is complete")
    yield from batches(column_names(list(columns), report), _rows(records, list(columns), report), report)


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
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
        )
    except RecursionError:
        report.refuse("read.too_deep", f"nested deeper than about {DEPTH} levels", hint)
    except ValueError as error:
        report.refuse("read.malformed", str(error), hint)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return record


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _records(document: Any, way: str | None, report: Report) -> list[Any]:  # noqa: ANN401
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


def _rows(records: list[Any], columns: list[str], report: Report) -> Iterator[tuple[int, Cells]]:
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict):
            yield number, [_text(record.get(name)) for name in columns]
        else:
            report.reject_row("read.not_a_record", json.dumps(record), "every record must be an object", row=number)


def _text(value: Any) -> str | None:  # noqa: ANN401
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
