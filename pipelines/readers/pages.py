"""The pages by which a service delivered a table, read one after the other, as the one table that they are."""

import re
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.sandbox import Outcome, finding
from pipelines.readers.tables import ROW, WKB

ALONE = re.compile("numberMatched|numberReturned|numberOfFeatures|exceededTransferLimit")
"""Words of findings that hold for a page alone: that it is a part was known, and that the whole came was proved."""


def join(name: str, outcomes: list[Outcome], counts: list[int], target: Path) -> Outcome:
    """Write the rows of all pages, in order, into one Arrow IPC file with running row numbers.

    Parameters
    ----------
    name : of the index, by which row numbers are found again in the pages.
    outcomes : what came of the pages, in their order; fewer than there are pages where the last of them was refused.
    counts : how many features the service put into each page.
    target : where the rows go.

    Returns
    -------
    The outcome of the whole. It has no path, and says why, where a page was refused, has fewer rows than features, or
    states another coordinate system or other units than the first. A column that a page lacks is null in its rows.
    """
    shifts = list(accumulate((each.rows + each.rejected for each in outcomes), initial=0))
    every = [issue for each, shift in zip(outcomes, shifts, strict=False) for issue in _issues(each, name, shift)]
    issues = tuple({repr(issue): issue for issue in every}.values())
    for outcome, count in zip(outcomes, counts, strict=False):
        fault = _fault(outcome, outcomes[0], count)
        if fault:
            return Outcome(name, issues=(*issues, finding(name, *fault)))
    paths = [outcome.path for outcome in outcomes if outcome.path]
    schema = _union([_schema(path) for path in paths])
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for path, shift in zip(paths, shifts, strict=False):
            _append(path, writer, schema, shift)
    return replace(
        outcomes[0],
        file=name,
        path=target,
        rows=sum(outcome.rows for outcome in outcomes),
        columns=tuple(column for column in schema.names if column not in (ROW, WKB)),
        rejected=sum(outcome.rejected for outcome in outcomes),
        issues=issues,
    )


def _issues(outcome: Outcome, name: str, shift: int) -> list[dict[str, Any]]:
    """Give a page's findings under the index's name and with the whole table's row numbers."""
    return [
        {**issue, "file": name, "row": None if issue["row"] is None else issue["row"] + shift}
        for issue in outcome.issues
        if issue["severity"] == "error" or not ALONE.search(issue["found"])
    ]


def _fault(outcome: Outcome, first: Outcome, count: int) -> tuple[str, str, str] | None:
    if outcome.path is None:
        last = outcome.issues[-1]
        return str(last["rule"]), f"{outcome.file}: {last['found']}", str(last["hint"])
    if outcome.rows + outcome.rejected < count:
        found = f"{outcome.file}: {count} fetched, {outcome.rows} read, {outcome.rejected} rejected"
        return "read.incomplete_page", found, "check the reader's options: every feature of a page must become a row"
    if (outcome.crs, outcome.units) != (first.crs, first.units):
        found = f"{outcome.file} states {outcome.crs} {outcome.units}, the first page {first.crs} {first.units}"
        return "read.pages_differ", found, "ask the service for one coordinate system and one unit"
    return None


def _schema(path: Path) -> pa.Schema:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        return reader.schema


def _union(schemas: list[pa.Schema]) -> pa.Schema:
    """Give every page's columns in the order in which they first come; shapes and row numbers stand last."""
    fields = {field.name: field for schema in schemas for field in schema}
    last = [fields.pop(name) for name in (WKB, ROW) if name in fields]
    return pa.schema([*fields.values(), *last])


def _append(path: Path, writer: pa.ipc.RecordBatchFileWriter, schema: pa.Schema, shift: int) -> None:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            have = set(batch.schema.names)
            columns = {
                field.name: batch.column(field.name) if field.name in have else pa.nulls(batch.num_rows, field.type)
                for field in schema
            }
            columns[ROW] = pc.add(columns[ROW], pa.scalar(shift, pa.int64()))
            writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))
