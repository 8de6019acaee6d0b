"""Renders what became of a delivery as one page that opens anywhere, for the partner and for the engineer."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipelines import terms
from pipelines.charts import HEIGHT, WIDTH, Chart, control_charts
from pipelines.contracts import Dataset, Feed, Schemas
from pipelines.laboratory import NEEDED, control_results, pass_rates
from pipelines.store import whole
from pipelines.tablewise import rows_of

TEMPLATES = Path(__file__).with_name("templates")
EXAMPLES = 5
SOURCE = "_source"
"""Folder of a run for what was found before rows became records."""
SEVERITIES = ("error", "warning", "info")
JOINERS = "\u200c\u200d"
"""Invisible, but part of how many scripts are written."""


@dataclass(frozen=True)
class Example:
    """One row that breaks a rule, and what was found there."""

    file: str | None
    row: int | None
    record_id: str | None
    found: str | None


@dataclass(frozen=True)
class BrokenRule:
    """How often a rule was broken, by which rows, and what mends it; share is 0 to 1 of the rows it judged."""

    rule: str
    severity: str
    column: str | None
    count: int
    share: float | None
    examples: tuple[Example, ...]
    hint: str | None


@dataclass(frozen=True)
class Completeness:
    """How much of one column is null, or was a term that is not known; shares are 0 to 1."""

    column: str
    description: str
    null: float
    unknown: float


@dataclass(frozen=True)
class Section:
    """One dataset's part of the page."""

    name: str
    title: str
    grain: str
    ledger: Mapping[str, int]
    broken: tuple[BrokenRule, ...]
    partly: tuple[Completeness, ...]
    full: tuple[str, ...]
    never: tuple[str, ...]
    extent: tuple[float, float, float, float] | None
    audit: Mapping[str, Any] | None


@dataclass(frozen=True)
class Laboratory:
    """What the control samples of a delivery say of its laboratories."""

    results: int
    verdicts: Mapping[str, int]
    rates: tuple[Mapping[str, Any], ...]
    reasons: tuple[tuple[str, int], ...]
    """Why results were not judged, and how many."""
    charts: tuple[Chart, ...]
    left_out: int
    """Charts that are not shown."""


def write_quality(run_folder: Path, feed: Feed, schemas: Schemas, certified: Sequence[Path] = ()) -> Path:
    """Write the quality page of a run as quality.html in its folder, and give its path.

    A dataset that was not audited yet is shown as such.

    Parameters
    ----------
    certified : accepted rows of ``certified_value`` from other feeds, beside those of this run.
    """
    run = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    sections = [dataset_section(run_folder, run, schemas.datasets[name]) for name in run["datasets"]]
    about_files = _broken_rules(run_folder / SOURCE / "issues.parquet", _source_rows(run))
    laboratory = laboratory_section(run_folder, schemas, certified)
    path = run_folder / "quality.html"
    with whole(path) as partial:
        partial.write_text(quality_page(run, feed, sections, about_files, laboratory), encoding="utf-8")
    return path


def quality_page(
    run: Mapping[str, Any],
    feed: Feed,
    sections: list[Section],
    about_files: tuple[BrokenRule, ...] = (),
    laboratory: Laboratory | None = None,
) -> str:
    """Render one run's page: no scripts, no requests, and every text of a partner escaped.

    Parameters
    ----------
    run : the run's record, as run.json holds it.
    sections : one per dataset.
    about_files : what was found about the files themselves; what the feed settled is told from the feed.
    laboratory : what the control samples say; None where there are none.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "share": share_text, "number": "{:,}".format}
    settled = {note.rule for note in feed.notes} | {"rights.licence_not_stated"}
    return environment.get_template("quality.html.j2").render(
        run=run,
        feed=feed,
        sections=sections,
        laboratory=laboratory,
        chart_size=(WIDTH, HEIGHT),
        sources=_by_file(run),
        about_files=[each for each in about_files if each.rule not in settled and not _is_crs(each)],
        total={word: sum(each.ledger[word] for each in sections) for word in ("accepted", "quarantined", "duplicates")},
        failed=[each.name for each in sections if each.audit and not each.audit["success"]],
        unjudged=[each.name for each in sections if each.audit is None],
    )


def dataset_section(run_folder: Path, run: Mapping[str, Any], dataset: Dataset) -> Section:
    """Collect what a run found about one dataset."""
    told = run["datasets"][dataset.name]
    folder = run_folder / dataset.name
    audit = folder / "audit.json"
    evaluated = {each["rule"]: each["evaluated"] for each in told["rules"]}
    figures = told["figures"]
    null, unknown = figures["null_share"], figures["unknown_share"]
    partly = [
        Completeness(field.name, field.description, null.get(field.name, 0.0), unknown.get(field.name, 0.0))
        for field in dataset.fields
        if 0 < null.get(field.name, 0.0) < 1 or unknown.get(field.name, 0.0) > 0
    ]
    listed = {each.column for each in partly}
    return Section(
        name=dataset.name,
        title=dataset.title,
        grain=dataset.grain,
        ledger={word: told[word] for word in ("shaped", "accepted", "quarantined", "duplicates", "filtered")},
        broken=_broken_rules(folder / "issues.parquet", told["shaped"], evaluated),
        partly=tuple(partly),
        full=tuple(name for name, share in null.items() if share == 0 and name not in listed),
        never=tuple(name for name, share in null.items() if share == 1 and name not in listed),
        extent=tuple(figures["extent"]) if figures["extent"] else None,
        audit=json.loads(audit.read_text(encoding="utf-8")) if audit.is_file() else None,
    )


def laboratory_section(run_folder: Path, schemas: Schemas, certified: Sequence[Path] = ()) -> Laboratory | None:
    """Judge the control samples of a run; None where it has none."""
    paths = {name: [run_folder / name / "accepted.arrow"] for name in NEEDED}
    roles = terms.load_vocabulary(schemas.vocabularies / "sample_role.csv")
    if not all(path.is_file() for name in ("sample", "assay") for path in paths[name]):
        return None
    if not _has_controls(paths["sample"][0], schemas.datasets["sample"], roles):
        return None
    paths["certified_value"] = [path for path in [*paths["certified_value"], *certified] if path.is_file()]
    samples, assays, values = (rows_of(paths[name], schemas.datasets[name], NEEDED[name]) for name in NEEDED)
    results = control_results(samples, assays, values, roles)
    charts, left_out = control_charts(results)
    unjudged = results.filter(pc.equal(results["verdict"], "not-judged"))
    return Laboratory(
        results=results.num_rows,
        verdicts=_counted(results["verdict"]),
        rates=tuple(pass_rates(results).to_pylist()),
        reasons=tuple(_counted(unjudged["reason"]).items()),
        charts=tuple(charts),
        left_out=left_out,
    )


def _has_controls(path: Path, dataset: Dataset, roles: terms.Vocabulary) -> bool:
    controls = pa.array([code for code in roles.codes if roles.more(code, "control")], pa.string())
    return any(pc.any(pc.is_in(batch["role"], controls)).as_py() for batch in rows_of([path], dataset, ("role",)))


def _counted(values: pa.ChunkedArray) -> dict[str, int]:
    counts = sorted((str(each["values"]), each["counts"]) for each in pc.value_counts(values).to_pylist())
    return dict(sorted(counts, key=lambda each: -each[1]))


def shown(text: object, longest: int = 160) -> str:
    r"""Give a text as it may stand on the page: signs that hide or turn text are spelt out, and a long one is cut.

    >>> shown("tin\u202etxt.exe")
    'tin\\u202etxt.exe'
    >>> shown("x" * 500)[-20:]
    'xx… (500 characters)'
    """
    whole_text = "" if text is None else str(text)
    spelt = "".join(_spelt(char) for char in whole_text[:longest])
    return spelt if len(whole_text) <= longest else f"{spelt}… ({len(whole_text):,} characters)"


def share_text(share: float | None) -> str:
    """Give a share in per cent; a small one is never shown as nothing, nor a large one as everything.

    >>> [share_text(share) for share in (0, 0.00001, 0.066, 0.99999, 1, None)]
    ['0 %', '< 0.1 %', '6.6 %', '> 99.9 %', '100 %', '–']
    """
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if share > 0.999 else f"{share * 100:.1f} %"


def _spelt(char: str) -> str:
    hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and char not in JOINERS
    return f"\\u{ord(char):04x}" if hidden else char


def _broken_rules(path: Path, rows: int, evaluated: Mapping[str, int] | None = None) -> tuple[BrokenRule, ...]:
    """Add up issues by rule, the gravest and most frequent first, with the first rows of each."""
    if not path.is_file():
        return ()
    with duckdb.connect(config={"threads": 1}) as connection:
        found = connection.execute(
            'SELECT rule, severity, "column", count(*), max(hint), '
            "min_by({'file': file, 'row': row, 'record_id': record_id, 'found': found}, {'file': file, 'row': row}, ?) "
            "FROM read_parquet(?) GROUP BY ALL",
            [EXAMPLES, str(path)],
        ).fetchall()
    broken = [
        BrokenRule(
            rule=rule,
            severity=severity,
            column=column,
            count=count,
            share=_share(count, (evaluated or {}).get(rule, rows)),
            examples=tuple(Example(**each) for each in examples),
            hint=hint or None,
        )
        for rule, severity, column, count, hint, examples in found
    ]
    return tuple(sorted(broken, key=lambda each: (SEVERITIES.index(each.severity), -each.count, each.rule)))


def _share(count: int, rows: int) -> float | None:
    return min(count / rows, 1.0) if rows else None


def _source_rows(run: Mapping[str, Any]) -> int:
    return sum(source["rows"] for source in run["sources"])


def _by_file(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    return sorted(run["sources"], key=lambda source: (source["file"], source.get("table", "")))


def _is_crs(broken: BrokenRule) -> bool:
    return broken.rule.endswith(".position.crs_assumed")
