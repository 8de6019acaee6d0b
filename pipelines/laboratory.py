"""Judges a laboratory by its control samples: standards, blanks and duplicates, batch by batch."""

from collections.abc import Iterable, Mapping

import duckdb
import pyarrow as pa

from pipelines import units
from pipelines.errors import MineralsError
from pipelines.terms import Vocabulary

MEMORY = "1GB"
PASSING, FAILING = 2.0, 3.0
"""Standard deviations from the certified value within which a result passes, and beyond which it fails."""
CLEAN, DIRTY = 5.0, 10.0
"""Multiples of the detection limit up to which a blank passes, and over which it fails."""
ROOM = 10.0
"""Multiples of the detection limit below which two results differ by chance and are not compared."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "sample": ("record_id", "role", "parent_id", "standard"),
    "assay": (
        "record_id", "sample_id", "analyte", "value_ppm", "qualifier", "detection_limit", "unit", "laboratory",
        "batch", "method", "method_text", "repeat_number", "source_file", "source_row",
    ),
    "certified_value": ("record_id", "standard", "analyte", "method", "value_ppm", "standard_deviation", "unit"),
}  # fmt: skip
"""Columns of each dataset that the judgement looks at."""


def control_results(samples: pa.Table, assays: pa.Table, certified: pa.Table, roles: Vocabulary) -> pa.Table:
    """Judge every result of a control sample.

    A standard is held against its certified value: within 2 standard deviations it passes, beyond 3 it fails, and so
    does the second of two in a row that are beyond 2 on the same side. A blank passes up to 5 times the detection limit
    and fails over 10 times. A duplicate is held against its original by half the absolute relative difference,
    |a - b| / (a + b), whose limit is a column of ``sample_role.csv``.

    Parameters
    ----------
    samples, assays, certified : accepted rows of the datasets sample, assay and certified_value; the columns of NEEDED,
        as tables or as readers of batches.
    roles : the vocabulary sample_role, with the columns ``control`` and ``half_difference``.

    Returns
    -------
    One row per result of a control sample, in the order of file, row and record: what it is, its value (ppm), what was
    expected (ppm), ``measure`` (standard deviations, multiples of the limit, or half relative difference), ``verdict``
    (passed, doubtful, failed, not-judged) and, for what was not judged or failed in a row, the ``reason``.

    Source: JORC Code 2012, Table 1 section 1 asks for it; limits as in Abzalov 2008 (Exploration and Mining Geology 17)
    and, for half the absolute relative difference, Shaw 1997 and Bumstead 1984.
    """
    with duckdb.connect(config={"threads": 1, "memory_limit": MEMORY}) as connection:
        for name, rows in {"sample": samples, "assay": assays, "certified_value": certified}.items():
            connection.register("_received", rows)
            columns = ", ".join(f'"{column}"' for column in NEEDED[name])
            connection.execute(f"CREATE TEMP TABLE {name} AS SELECT {columns} FROM _received")  # noqa: S608 - names of ours
        connection.register("role", _roles(roles))
        used = connection.sql("SELECT DISTINCT unit FROM assay UNION SELECT DISTINCT unit FROM certified_value")
        connection.register("unit_factor", factors(code for (code,) in used.fetchall() if code))
        connection.execute(_RESULTS)
        for verdicts in (_STANDARDS, _BLANKS, _DUPLICATES):
            connection.execute(verdicts)
        return connection.sql(
            "SELECT * FROM standard_verdict UNION ALL BY NAME SELECT * FROM blank_verdict "
            "UNION ALL BY NAME SELECT * FROM duplicate_verdict ORDER BY source_file, source_row, record_id"
        ).to_arrow_table()


def pass_rates(results: pa.Table) -> pa.Table:
    """Count the verdicts of each laboratory's batches by role.

    Returns
    -------
    laboratory, batch, role, results, passed, doubtful, failed, not_judged, share (0 to 1 of those judged, null where
    none was), in the order of laboratory, batch and role.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("result", results)
        return connection.sql(
            "SELECT laboratory, batch, role, count(*) AS results, "
            + ", ".join(
                f"count(*) FILTER (verdict = '{verdict}') AS {verdict.replace('-', '_')}"
                for verdict in ("passed", "doubtful", "failed", "not-judged")
            )
            + ", count(*) FILTER (verdict = 'passed') / nullif(count(*) FILTER (verdict <> 'not-judged'), 0) AS share "
            "FROM result GROUP BY ALL ORDER BY laboratory NULLS LAST, batch NULLS LAST, role"
        ).to_arrow_table()


def _roles(roles: Vocabulary) -> pa.Table:
    rows = [(code, roles.more(code, "control"), roles.more(code, "half_difference")) for code in roles.codes]
    return pa.table(
        {
            "role": [code for code, _, _ in rows],
            "control": [control or None for _, control, _ in rows],
            "half_difference": [float(limit) if limit else None for _, _, limit in rows],
        },
        schema=pa.schema([("role", pa.string()), ("control", pa.string()), ("half_difference", pa.float64())]),
    )


def factors(codes: Iterable[str]) -> pa.Table:
    """Give each unit's factor to ppm; a unit that is no mass fraction has none."""
    known = {}
    for code in sorted(codes):
        try:
            known[code] = units.factor(code, "ppm")
        except MineralsError:
            continue
    return pa.table({"unit": list(known), "factor": list(known.values())}, schema=_FACTOR)


_FACTOR = pa.schema([("unit", pa.string()), ("factor", pa.float64())])

_RESULTS = """
CREATE TEMP TABLE result AS
SELECT a.*, s.role, s.parent_id, s.standard, r.control, r.half_difference,
    a.detection_limit * f.factor AS limit_ppm, coalesce(a.method, a.method_text) AS by_method,
    max(a.detection_limit * f.factor) OVER (PARTITION BY a.laboratory, a.batch, a.analyte, coalesce(a.method, a.method_text)) AS batch_limit_ppm
FROM assay a JOIN sample s ON s.record_id = a.sample_id JOIN role r ON r.role = s.role LEFT JOIN unit_factor f ON f.unit = a.unit
"""  # noqa: E501 - SQL
_KEPT = (
    "record_id, sample_id, role, control, laboratory, batch, analyte, by_method AS method, qualifier, value_ppm, "
    "source_file, source_row"
)
_STANDARDS = f"""
CREATE TEMP TABLE standard_verdict AS
WITH named AS (
    SELECT *, regexp_replace(lower(standard), '[\\s_-]+', '', 'g') AS folded FROM result WHERE control = 'standard'
), certificate AS (
    SELECT regexp_replace(lower(c.standard), '[\\s_-]+', '', 'g') AS folded, c.analyte, c.method AS certified_for,
        c.record_id AS certificate_id, c.value_ppm AS certified_ppm, c.standard_deviation * f.factor AS deviation_ppm, true AS certified
    FROM certified_value c LEFT JOIN unit_factor f ON f.unit = c.unit
), held AS (
    SELECT named.*, certified_for, certified, certificate_id, certified_ppm, deviation_ppm,
        (value_ppm - certified_ppm) / nullif(deviation_ppm, 0) AS apart,
        (limit_ppm - certified_ppm) / nullif(deviation_ppm, 0) AS bound_apart
    FROM named LEFT JOIN certificate ON certificate.folded = named.folded AND certificate.analyte = named.analyte
        AND (certified_for IS NULL OR certified_for = named.method)
    QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY certified_for NULLS LAST, certificate_id) = 1
), row_of AS (
    SELECT *, lag(apart) OVER (PARTITION BY folded, analyte, by_method, laboratory ORDER BY source_file, source_row, record_id) AS apart_before
    FROM held
)
SELECT {_KEPT}, standard AS reference, certificate_id, certified_ppm AS expected_ppm, deviation_ppm AS tolerance_ppm, apart AS measure,
    {PASSING} AS passing, {FAILING} AS failing,
    CASE WHEN qualifier = '<' AND bound_apart < -{FAILING} THEN 'failed' WHEN apart IS NULL THEN 'not-judged'
        WHEN abs(apart) > {FAILING} THEN 'failed'
        WHEN abs(apart) > {PASSING} AND abs(apart_before) > {PASSING} AND apart * apart_before > 0 THEN 'failed'
        WHEN abs(apart) > {PASSING} THEN 'doubtful' ELSE 'passed' END AS verdict,
    CASE WHEN qualifier = '<' AND bound_apart < -{FAILING} THEN 'below the limit, which lies under what is certified'
        WHEN certified IS NULL THEN 'no certified value for this material, analyte and method'
        WHEN value_ppm IS NULL THEN 'no measured value' WHEN deviation_ppm IS NULL OR deviation_ppm = 0 THEN 'no standard deviation is certified'
        WHEN abs(apart) BETWEEN {PASSING} AND {FAILING} AND abs(apart_before) > {PASSING} AND apart * apart_before > 0
        THEN 'the second in a row beyond {PASSING:g} standard deviations on one side' END AS reason
FROM row_of
"""  # noqa: E501, S608 - SQL made of names and numbers of ours
_BLANKS = f"""
CREATE TEMP TABLE blank_verdict AS
WITH held AS (
    SELECT *, coalesce(limit_ppm, batch_limit_ppm) AS bound_ppm, value_ppm / nullif(coalesce(limit_ppm, batch_limit_ppm), 0) AS times
    FROM result WHERE control = 'blank'
)
SELECT {_KEPT}, standard AS reference, NULL::VARCHAR AS certificate_id, bound_ppm AS expected_ppm, NULL::DOUBLE AS tolerance_ppm, times AS measure,
    {CLEAN} AS passing, {DIRTY} AS failing,
    CASE WHEN qualifier IN ('<', 'not-detected') THEN 'passed' WHEN times IS NULL THEN 'not-judged' WHEN times > {DIRTY} THEN 'failed'
        WHEN times > {CLEAN} THEN 'doubtful' ELSE 'passed' END AS verdict,
    CASE WHEN qualifier IN ('<', 'not-detected') THEN NULL WHEN value_ppm IS NULL THEN 'no measured value'
        WHEN times IS NULL THEN 'no detection limit is stated in its batch' END AS reason
FROM held
"""  # noqa: E501, S608 - SQL made of names and numbers of ours
_DUPLICATES = f"""
CREATE TEMP TABLE duplicate_verdict AS
WITH held AS (
    SELECT d.*, p.record_id AS original, p.value_ppm AS original_ppm,
        abs(d.value_ppm - p.value_ppm) / nullif(d.value_ppm + p.value_ppm, 0) AS apart,
        (d.value_ppm + p.value_ppm) / 2 < {ROOM} * greatest(coalesce(d.limit_ppm, d.batch_limit_ppm), coalesce(p.limit_ppm, p.batch_limit_ppm)) AS near
    FROM result d LEFT JOIN result p ON p.sample_id = d.parent_id AND p.analyte = d.analyte
        AND (d.role = 'umpire' OR p.by_method IS NOT DISTINCT FROM d.by_method)
    WHERE d.control = 'duplicate'
    QUALIFY row_number() OVER (PARTITION BY d.record_id ORDER BY p.value_ppm IS NULL, p.repeat_number, p.record_id) = 1
)
SELECT {_KEPT}, original AS reference, NULL::VARCHAR AS certificate_id, original_ppm AS expected_ppm, NULL::DOUBLE AS tolerance_ppm, apart AS measure,
    half_difference AS passing, half_difference AS failing,
    CASE WHEN apart IS NULL OR near THEN 'not-judged' WHEN apart > half_difference THEN 'failed' ELSE 'passed' END AS verdict,
    CASE WHEN original IS NULL THEN 'the original has no result of this analyte by this method'
        WHEN value_ppm IS NULL OR original_ppm IS NULL THEN 'not both were measured'
        WHEN apart IS NULL THEN 'both are zero' WHEN near THEN 'their mean is below {ROOM:g} times the detection limit' END AS reason
FROM held
"""  # noqa: E501, S608 - SQL made of names and numbers of ours
