"""Has Great Expectations judge what was accepted, as a second opinion that may stop the delivery."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts import Dataset, Rule
from pipelines.errors import SourceError
from pipelines.expectations import Expectation, Verdict, judge, native_expectations, native_frame
from pipelines.findings import RuleCounts
from pipelines.masks import TABLE_RULES, Vocabularies, broken_rows
from pipelines.store import whole
from pipelines.tablewise import Beside, judge_together

log = logging.getLogger(__name__)

ALONE = Beside()
LARGEST_WHOLE = 50_000
"""Accepted rows up to which every row is judged natively, and size of the sample above it."""
SMALLEST_COMPARED = 100
"""Rows below which shares jump by chance and a delivery is not compared with the one before."""
LARGEST_LOSS = 0.5
"""Share of the last delivery's rows that may be gone."""
LARGEST_RISE = 0.25
"""Rise of a column's share of null or unknown, over the last delivery's, that is let through."""


@dataclass(frozen=True)
class AuditResult:
    """Great Expectations' verdict on one dataset of one delivery.

    Parameters
    ----------
    mode : whole (every accepted row was judged), sample, or empty.
    expectations : one mapping per rule: rule, column, expectation, success, unexpected_count, evaluated, observed,
        exception.
    figures : rows; null_share and unknown_share by column; extent (west, south, east, north, in degrees) or None.
    messages : what failed, in words, with the rule's name and the first rows.
    """

    success: bool
    mode: str
    expectations: list[dict[str, Any]]
    figures: dict[str, Any]
    messages: list[str]


@dataclass(frozen=True)
class Measure:
    """One figure of the delivery and the bounds it must keep.

    Parameters
    ----------
    evaluated : rows among which the value counts broken ones; None where the value is no such count.
    """

    rule: str
    column: str
    value: float
    minimum: float | None = None
    maximum: float | None = None
    evaluated: int | None = None


@dataclass
class Tally:
    """What is counted while the accepted rows stream by."""

    rows: int = 0
    nulls: dict[str, int] = field(default_factory=dict)
    extent: list[float] | None = None
    counts: RuleCounts = field(default_factory=RuleCounts)


def audit(
    run_folder: Path,
    dataset: Dataset,
    vocabularies: Vocabularies,
    *,
    previous: dict[str, Any] | None,
    seed: int,
    beside: Beside = ALONE,
) -> AuditResult:
    """Judge one dataset's accepted rows and write the verdict beside them as audit.json.

    Up to 50,000 rows, Great Expectations judges every row; above, a sample of that size. Always, it judges the failures
    that the row rules' masks count anew over the whole accepted file, and the delivery's figures.

    Parameters
    ----------
    run_folder : holds <dataset>/accepted.arrow and, where it is written already, run.json with the ledger.
    previous : figures of the delivery before, if this one should resemble it.
    seed : chooses the sample; the same seed chooses the same rows.
    beside : what the rules of the table may look into.

    Returns
    -------
    The verdict; rows that break a rule are told in it and raise nothing.

    Raises
    ------
    SourceError
        If the accepted rows cannot be read.
    """
    path = run_folder / dataset.name / "accepted.arrow"
    tally = tally_rows(path, dataset, vocabularies)
    _tally_together(tally, path, dataset, beside)
    ledger = _ledger(run_folder, dataset.name)
    figures = figures_of(tally, ledger)
    shown = _rows_to_judge(path, tally.rows, seed)
    native = native_expectations(dataset, vocabularies) if tally.rows else ()
    of_rows = judge(native_frame(shown, native), native)
    measures = [
        *_recounted(dataset, tally),
        *_row_count(dataset, tally, ledger),
        *_shares(dataset, figures, previous),
        *_extent(dataset, figures),
    ]
    of_figures = _judge_measures(measures)
    messages = [_rows_message(each, shown) for each in of_rows if not each.success]
    messages += [
        _measure_message(each, one) for each, one in zip(of_figures, measures, strict=True) if not each.success
    ]
    mode = "empty" if not tally.rows else "whole" if tally.rows <= LARGEST_WHOLE else "sample"
    kept = [verdict.as_mapping() for verdict in (*of_rows, *of_figures)]
    result = AuditResult(not messages, mode, kept, figures, messages)
    with whole(path.with_name("audit.json")) as partial:
        partial.write_text(json.dumps(asdict(result), ensure_ascii=False, indent=1), encoding="utf-8")
    log.info(
        "%s: %d rows audited (%s), %d of %d rules failed", dataset.name, tally.rows, mode, len(messages), len(kept)
    )
    return result


def tally_rows(path: Path, dataset: Dataset, vocabularies: Vocabularies) -> Tally:
    """Count rows, nulls and broken rules in a file of accepted rows, batch by batch."""
    tally = Tally()
    rules = [rule for rule in _recountable(dataset) if rule.kind not in TABLE_RULES]
    for batch in _batches(path):
        tally.rows += batch.num_rows
        for name in dataset.names():
            tally.nulls[name] = tally.nulls.get(name, 0) + batch.column(name).null_count
        tally.extent = _widened(tally.extent, batch)
        for rule in rules:
            broken = broken_rows(batch, rule, vocabularies)
            failed = 0 if broken is None else broken.true_count
            tally.counts.failed[rule.id] = tally.counts.failed.get(rule.id, 0) + failed
        tally.counts.add(batch, _recountable(dataset), ())
    return tally


def _tally_together(tally: Tally, path: Path, dataset: Dataset, beside: Beside) -> None:
    """Count what accepted rows break together."""
    rules = tuple(rule for rule in _recountable(dataset) if rule.kind == "table")
    if not rules:
        return
    found = judge_together([path], dataset, rules, beside=beside, scratch=path.parent / "scratch")
    tally.counts.add(found.rows, (), found.findings)


def figures_of(tally: Tally, ledger: dict[str, Any]) -> dict[str, Any]:
    """Give a delivery's figures: rows, shares of null and unknown by column (0 to 1), and the extent in degrees.

    Terms that were not known are told by the run's record: an accepted row does not tell them from absent ones.
    """
    rows = max(tally.rows, 1)
    return {
        "rows": tally.rows,
        "null_share": {name: round(count / rows, 6) for name, count in tally.nulls.items()},
        "unknown_share": dict(ledger.get("figures", {}).get("unknown_share", {})),
        "extent": tally.extent,
    }


def _recountable(dataset: Dataset) -> tuple[Rule, ...]:
    kinds = TABLE_RULES - {"table"}
    return tuple(rule for rule in dataset.rules() if rule.severity == "error" and rule.kind not in kinds)


def _widened(extent: list[float] | None, batch: pa.RecordBatch) -> list[float] | None:
    if "longitude" not in batch.schema.names:
        return extent
    ranges = [pc.min_max(batch.column(name)).as_py() for name in ("longitude", "latitude")]
    if ranges[0]["min"] is None or ranges[1]["min"] is None:
        return extent
    west, south, east, north = (ranges[i][end] for end in ("min", "max") for i in (0, 1))
    if extent is None:
        return [west, south, east, north]
    return [min(extent[0], west), min(extent[1], south), max(extent[2], east), max(extent[3], north)]


def _rows_to_judge(path: Path, rows: int, seed: int) -> pa.Table:
    """Read all rows, or a sample of them in the file's order, without holding more than the sample."""
    if rows <= LARGEST_WHOLE:
        return pa.Table.from_batches(list(_batches(path)), schema=_schema(path))
    chosen = np.sort(np.random.default_rng(seed).choice(rows, LARGEST_WHOLE, replace=False))
    taken, start = [], 0
    for batch in _batches(path):
        first, last = np.searchsorted(chosen, [start, start + batch.num_rows])
        taken.append(batch.take(pa.array(chosen[first:last] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(taken, schema=_schema(path))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
            yield from stream
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{path.parent.name}/{path.name}: accepted rows cannot be read: {error}") from error


def _schema(path: Path) -> pa.Schema:
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
        return stream.schema


def _ledger(run_folder: Path, dataset: str) -> dict[str, Any]:
    path = run_folder / "run.json"
    if not path.is_file():
        return {}
    return json.loads(path.read_text(encoding="utf-8")).get("datasets", {}).get(dataset, {})


def _recounted(dataset: Dataset, tally: Tally) -> Iterator[Measure]:
    for rule in _recountable(dataset):
        failed, evaluated = tally.counts.failed.get(rule.id, 0), tally.counts.evaluated.get(rule.id, 0)
        yield Measure(rule.id, rule.column, failed, maximum=0, evaluated=evaluated)


def _row_count(dataset: Dataset, tally: Tally, ledger: dict[str, Any]) -> Iterator[Measure]:
    """Hold the file's rows against the ledger; accepting nothing of something, and deleting nothing, fails too."""
    if "accepted" in ledger:
        accepted = ledger["accepted"]
        yield Measure(f"{dataset.name}.rows.ledger", "", tally.rows, minimum=accepted, maximum=accepted)
    if ledger.get("shaped", 1) and not ledger.get("deletions"):
        yield Measure(f"{dataset.name}.rows", "", tally.rows, minimum=1)


def _shares(dataset: Dataset, figures: dict[str, Any], previous: dict[str, Any] | None) -> Iterator[Measure]:
    for kind in ("null_share", "unknown_share"):
        shares = figures[kind].values()
        if shares:
            yield Measure(f"{dataset.name}.{kind}.least", "", min(shares), minimum=0)
            yield Measure(f"{dataset.name}.{kind}.greatest", "", max(shares), maximum=1)
    if previous is None or min(figures["rows"], previous["rows"]) < SMALLEST_COMPARED:
        return
    kept = figures["rows"] / previous["rows"]
    yield Measure(f"{dataset.name}.rows.change", "", kept, minimum=1 - LARGEST_LOSS)
    for column, share in figures["null_share"].items():
        rise = share - previous["null_share"].get(column, share)
        yield Measure(f"{dataset.name}.{column}.null_share.change", column, rise, maximum=LARGEST_RISE)
    for column, share in figures["unknown_share"].items():
        # A column of which every term was known is not listed.
        rise = share - previous["unknown_share"].get(column, 0.0)
        yield Measure(f"{dataset.name}.{column}.unknown_share.change", column, rise, maximum=LARGEST_RISE)


def _extent(dataset: Dataset, figures: dict[str, Any]) -> Iterator[Measure]:
    if figures["extent"] is None:
        return
    for name, value, limit in zip(("west", "south", "east", "north"), figures["extent"], (180, 90) * 2, strict=True):
        yield Measure(f"{dataset.name}.extent.{name}", "", value, minimum=-limit, maximum=limit)


def _judge_measures(measures: list[Measure]) -> list[Verdict]:
    """Have a frame of one row judged, in which every measure is a column: it costs the same at any number of rows."""
    # pandas takes a third of a second to load, and nothing else of this module needs it.
    import pandas as pd

    planned = tuple(
        Expectation(
            rule=each.rule,
            column=each.column,
            kind="ExpectColumnMaxToBeBetween",
            options={"column": each.rule, "min_value": each.minimum, "max_value": each.maximum},
        )
        for each in measures
    )
    verdicts = judge(pd.DataFrame({each.rule: [float(each.value)] for each in measures}), planned)
    return [
        verdict
        if each.evaluated is None or verdict.observed is None
        else replace(verdict, unexpected_count=int(verdict.observed), evaluated=each.evaluated)
        for verdict, each in zip(verdicts, measures, strict=True)
    ]


def _rows_message(verdict: Verdict, shown: pa.Table) -> str:
    if verdict.exception is not None:
        return f"{verdict.rule}: {verdict.expectation} gave no verdict: {verdict.exception}"
    count = f"{verdict.unexpected_count} of {verdict.evaluated} accepted rows break it ({verdict.expectation})"
    if not verdict.rows:
        return f"{verdict.rule}: {count}; no row was named"
    named = shown.select(["source_file", "source_row", "record_id"]).take(list(verdict.rows)).to_pylist()
    places = [f"{row['source_file']}:{row['source_row']} {row['record_id']}" for row in named]
    return f"{verdict.rule}: {count}, as {'; '.join(places)}"


def _measure_message(verdict: Verdict, measure: Measure) -> str:
    if verdict.exception is not None:
        return f"{verdict.rule}: {verdict.expectation} gave no verdict: {verdict.exception}"
    if measure.evaluated is not None:
        return f"{verdict.rule}: {measure.value:.0f} of {measure.evaluated} accepted rows break it when counted anew"
    least = "" if measure.minimum is None else f", at least {measure.minimum:g} is wanted"
    most = "" if measure.maximum is None else f", at most {measure.maximum:g} is wanted"
    return f"{verdict.rule}: found {measure.value:g}{least}{most}"
