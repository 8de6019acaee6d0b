"""Rows made from a contract: sound ones, and ones that break one rule each on a known number of rows."""

import csv
import datetime
import math
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.contracts import Dataset, Field, Rule
from pipelines.contracts.arrow import TYPES, working_schema

SCHEMAS = Path(__file__).parents[1] / "schemas"
DAY = datetime.date(2020, 6, 1)
Rows = dict[str, list[Any]]


def vocabularies() -> dict[str, frozenset[str]]:
    """Give the real code lists."""
    lists = {}
    for path in sorted((SCHEMAS / "vocabularies").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            lists[path.stem] = frozenset(row["code"] for row in csv.DictReader(file) if row.get("code"))
    return lists


def sound_rows(dataset: Dataset, count: int, codes: dict[str, frozenset[str]]) -> Rows:
    """Make rows that break no rule."""
    rows = {field.name: [_sound(field, codes)] * count for field in dataset.fields}
    rows["record_id"] = [f"gsi:register:{number}" for number in range(count)]
    rows["source_row"] = list(range(2, count + 2))
    return rows


def plant(dataset: Dataset, codes: dict[str, frozenset[str]], severity: str = "error") -> tuple[Rows, dict[str, int]]:
    """Make rows of which 1 to 4 are made to break each rule, and the number of rows that break each."""
    rules = [
        rule for rule in dataset.rules() if rule.severity == severity and rule.kind not in {"foreign_key", "table"}
    ]
    planted = {rule.id: 2 if rule.kind == "unique" else 1 + place % 4 for place, rule in enumerate(rules)}
    rows = sound_rows(dataset, sum(planted.values()) + 20, codes)
    place = 0
    for rule in rules:
        for number in range(planted[rule.id]):
            column = rows[rule.column]
            column[place] = column[place + 1 - number] if rule.kind == "unique" else _broken(rule, rows, place)
            place += 1
    planted.update({rule.id: _out_of_order(rows, rule) for rule in rules if rule.kind == "order"})
    return rows, planted


def table(dataset: Dataset, rows: Rows) -> pa.Table:
    """Put rows into the contract's working schema."""
    columns = [pa.array(rows[field.name], TYPES[field.type]) for field in dataset.fields]
    plain = pa.table(columns, names=list(dataset.names()))
    return plain.cast(working_schema(dataset))


def write_accepted(run_folder: Path, dataset: Dataset, accepted: pa.Table, batch_rows: int = 64_000) -> None:
    """Write accepted rows where a run keeps them."""
    path = run_folder / dataset.name / "accepted.arrow"
    path.parent.mkdir(parents=True)
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, accepted.schema, options=options) as writer:
        writer.write_table(accepted, max_chunksize=batch_rows)


def _sound(field: Field, codes: dict[str, frozenset[str]]) -> Any:
    if field.vocabulary:
        known = sorted(codes[field.vocabulary])
        return known[:2] if field.type == "list" else known[0]
    if field.constraints.enum:
        return field.constraints.enum[0]
    if field.name == "delivery":
        return "0" * 64
    number = _sound_number(field)
    values: dict[str, Any] = {"number": number, "integer": math.ceil(number), "boolean": True, "date": DAY}
    values |= {"list": ["a:2", "b:3"], "numbers": [number, None]}
    return values.get(field.type, b"\x01" if field.type == "geometry" else "as received")


def _sound_number(field: Field) -> float:
    bounds = (field.constraints, field.plausible)
    least = max((each.minimum for each in bounds if each.minimum is not None), default=-1000.0)
    most = min((each.maximum for each in bounds if each.maximum is not None), default=least + 10)
    return (least + most) / 2


def _out_of_order(rows: Rows, rule: Rule) -> int:
    """Count again: an end that is below its minimum also lies before its beginning."""
    pairs = zip(rows[rule.column], rows[str(rule.other)], strict=True)
    return sum(first is not None and second is not None and first > second for first, second in pairs)


def _broken(rule: Rule, rows: Rows, place: int) -> Any:
    if rule.kind == "required":
        return None
    if rule.kind == "order":
        other = rows[str(rule.other)][place]
        return other + datetime.timedelta(days=1) if isinstance(other, datetime.date) else other + 1
    if rule.kind in {"minimum", "maximum"}:
        beyond = float(str(rule.value)) + (-1 if rule.kind == "minimum" else 1)
        if isinstance(rows[rule.column][place], list):
            return [beyond, None]
        return int(beyond) if isinstance(rows[rule.column][place], int) else beyond
    if rule.kind == "pattern":
        return f"NO SUCH PATTERN {place}"
    if rule.kind in {"enum", "vocabulary"}:
        strange = "no-such-code"
        return [*rows[rule.column][place], strange] if isinstance(rows[rule.column][place], list) else strange
    if rule.kind in {"min_length", "max_length"}:
        return "" if rule.kind == "min_length" else "x" * (int(str(rule.value)) + 1)
    raise ValueError(f"{rule.id}: no way to break {rule.kind!r} is known")
