"""The pages by which a service delivered a table, read one by one, as the one table that they are."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.sandbox import Outcome, finding
from pipelines.readers.tables import ROW, WKB


@dataclass(frozen=True)
class PageRows:
    """What came of one page.

    Parameters
    ----------
    name : the page's own name.
    rows : how many features the service put into it.
    first_row : number of its first row in the whole table.
    outcome : what its reader made of it; its file is removed when it is joined.
    """

    name: str
    rows: int
    first_row: int
    outcome: Outcome


def join(name: str, pages: list[PageRows], target: Path) -> Outcome:
    """Write the rows of all pages, in order, into one Arrow IPC file with running row numbers.

    Parameters
    ----------
    name : of the index, by which row numbers are found again in the pages.
    pages : in their order.
    target : where the rows go.

    Returns
    -------
    The outcome of the whole. It has no path, and says why, where a page was refused, has not all of its rows, or states
    another coordinate system or other units than the first. A column that a page lacks is null in its rows.
    """
    issues = list(
        {repr(sorted(issue.items(), key=str)): issue for page in pages for issue in _issues(page, name)}.values()
    )
    for page in pages:
        fault = _fault(page, pages[0].outcome)
        if fault:
            return Outcome(name, issues=(*issues, finding(name, *fault)))
    paths = [page.outcome.path for page in pages if page.outcome.path]
    schema = _union([_schema(path) for path in paths])
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for page in pages:
            _append(page, writer, schema)
    first = pages[0].outcome
    return replace(
        first,
        file=name,
        path=target,
        rows=sum(page.outcome.rows for page in pages),
        columns=tuple(column for column in schema.names if column not in (ROW, WKB)),
        rejected=sum(page.outcome.rejected for page in pages),
        issues=tuple(issues),
    )


def _issues(page: PageRows, name: str) -> list[dict[str, Any]]:
    """Give a page's findings under the index's name and with the whole table's row numbers."""
    shift = page.first_row - 1
    return [
        {**issue, "file": name, "row": None if issue["row"] is None else issue["row"] + shift}
        for issue in page.outcome.issues
    ]


def _fault(page: PageRows, first: Outcome) -> tuple[str, str, str] | None:
    outcome = page.outcome
    if outcome.path is None:
        last = outcome.issues[-1]
        return str(last["rule"]), f"{page.name}: {last['found']}", str(last["hint"])
    if outcome.rows + outcome.rejected != page.rows:
        found = f"{page.name}: {page.rows} fetched, {outcome.rows} read, {outcome.rejected} rejected"
        return "read.incomplete_page", found, "check the reader's options: every feature of a page must become a row"
    if (outcome.crs, outcome.units) != (first.crs, first.units):
        found = f"{page.name} states {outcome.crs} {outcome.units}, the first page {first.crs} {first.units}"
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


def _append(page: PageRows, writer: pa.ipc.RecordBatchFileWriter, schema: pa.Schema) -> None:
    path = page.outcome.path
    if path is None:
        return
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            have = set(batch.schema.names)
            columns = {
                field.name: batch.column(field.name) if field.name in have else pa.nulls(batch.num_rows, field.type)
                for field in schema
            }
            columns[ROW] = pc.add(columns[ROW], pa.scalar(page.first_row - 1, pa.int64()))
            writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))
    path.unlink()
