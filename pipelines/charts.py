"""Lays out control charts of a laboratory's control samples, for a page without scripts."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

WIDTH, HEIGHT, PAD = 640, 150, 14
"""Size of a chart and the room above and below what is drawn, in the units of its view box."""
MOST_CHARTS = 12
MOST_MARKS = 250
BEYOND = 6.0
"""Multiple of the passing limit beyond which a mark stands at the edge."""
TITLES = {
    "standard": ("{reference}, {analyte}", "standard deviations from the certified value"),
    "blank": ("{reference}, {analyte}", "multiples of the detection limit"),
    "duplicate": ("{role}, {analyte}", "half of the relative difference from the original"),
}


@dataclass(frozen=True)
class Mark:
    """One result: where it is drawn, its verdict, and what is said of it."""

    x: float
    y: float
    verdict: str
    said: str


@dataclass(frozen=True)
class Guide:
    """A line across a chart: the middle, or a limit."""

    y: float
    kind: str
    label: str


@dataclass(frozen=True)
class Chart:
    """Results of one control in the order of the file; ``left_out`` earlier ones are not drawn."""

    title: str
    measure: str
    results: int
    failed: int
    marks: tuple[Mark, ...]
    guides: tuple[Guide, ...]
    left_out: int


def control_charts(results: pa.Table) -> tuple[list[Chart], int]:
    """Lay out the charts of judged results, those with the most failures first.

    Parameters
    ----------
    results : as `laboratory.control_results` gives them.

    Returns
    -------
    At most 12 charts, and the number of those that are left out.
    """
    judged = [row for row in results.to_pylist() if row["measure"] is not None and row["verdict"] != "not-judged"]
    judged.sort(key=_control)
    charts = [_chart(list(rows)) for _, rows in groupby(judged, key=_control)]
    charts.sort(key=lambda chart: (-chart.failed, -chart.results, chart.title))
    return charts[:MOST_CHARTS], max(len(charts) - MOST_CHARTS, 0)


def _control(row: dict[str, Any]) -> tuple[str, ...]:
    """Say which results share a chart; duplicates have an original each, so their role is what they share."""
    reference = "" if row["control"] == "duplicate" else row["reference"] or ""
    return row["control"], row["role"], reference, row["analyte"], row["method"] or "", row["laboratory"] or ""


def _chart(rows: list[dict[str, Any]]) -> Chart:
    first = rows[0]
    title, measure = TITLES[first["control"]]
    drawn = rows[-MOST_MARKS:]
    guides = _limits(first)
    reach = max([abs(row["measure"]) for row in drawn] + [limit for limit, _, _ in guides])
    reach = min(reach, BEYOND * (first["passing"] or 1.0)) * 1.05
    low = -reach if first["control"] == "standard" else 0.0
    step = WIDTH / (len(drawn) + 1)
    named = {**first, "reference": first["reference"] or first["role"]}
    return Chart(
        title=title.format(**named) + "".join(f", {first[word]}" for word in ("method", "laboratory") if first[word]),
        measure=measure,
        results=len(rows),
        failed=sum(row["verdict"] == "failed" for row in rows),
        marks=tuple(
            Mark(round(step * place, 1), _height(row["measure"], low, reach), row["verdict"], _said(row))
            for place, row in enumerate(drawn, 1)
        ),
        guides=tuple(Guide(_height(limit, low, reach), kind, label) for limit, kind, label in guides),
        left_out=len(rows) - len(drawn),
    )


def _limits(row: dict[str, Any]) -> list[tuple[float, str, str]]:
    if row["control"] == "standard":
        expected = f"{row['expected_ppm']:g} ppm"
        signed = [(sign * row[kind], kind) for kind in ("passing", "failing") for sign in (1, -1)]
        return [(0.0, "middle", expected), *((limit, kind, f"{limit:+g}") for limit, kind in signed)]
    kinds = dict.fromkeys((row["passing"], row["failing"]))
    return [(limit, "failing" if limit == row["failing"] else "passing", f"{limit:g}") for limit in kinds]


def _height(measure: float, low: float, high: float) -> float:
    within = min(max(measure, low), high)
    return round(PAD + (high - within) / (high - low) * (HEIGHT - 2 * PAD), 1)


def _said(row: dict[str, Any]) -> str:
    place = f"{row['source_file']}:{row['source_row']}"
    return f"{place}: {row['value_ppm']:g} ppm, {row['measure']:.3g}, {row['verdict']}"
