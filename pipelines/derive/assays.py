"""Computes the best result of each sample and analyte, and what control samples say of their laboratories."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

from pipelines import terms
from pipelines.derive.members import BATCH_ROWS, Members
from pipelines.errors import ContractError
from pipelines.laboratory import NEEDED, control_results, factors

CRITERIA: Mapping[str, str] = {
    "in-range": "CASE WHEN qualifier = '>' THEN 1 ELSE 0 END",
    "made-in": "CASE made_in WHEN 'field' THEN 1 WHEN 'calculated' THEN 2 ELSE 0 END",
    "total": "CASE WHEN is_total THEN 0 WHEN is_total IS NULL THEN 1 ELSE 2 END",
    "laboratory": "laboratory_rank",
    "limit": "coalesce(limit_ppm, 'infinity'::DOUBLE)",
    "newest": "coalesce(-epoch(coalesce(analysed_on, observed_on)), 'infinity'::DOUBLE)",
    "repeat": "coalesce(repeat_number, 1)",
}
"""What each criterion of assay_rank.csv orders by, the best first."""
_BOUND = (
    "max(tier) AS tier, list_sort(list(DISTINCT licence)) AS licences, list_sort(list(DISTINCT feed)) AS feeds, "
    "max(confidential_until) AS confidential_until, count(DISTINCT record_id) AS member_count, "
    "list_sort(list(DISTINCT record_id)) AS members"
)


def assay_best(members: Members) -> Iterator[pa.RecordBatch]:
    """Stream the best result of each analyte of each sample that is no control sample.

    Results that were not made (not analysed, too little sample) take no part.

    Raises
    ------
    ContractError
        If assay_rank.csv orders by a criterion that is not known.
    """
    rank = _declared_rank(members)
    connection = members.connect(("sample_role", "assay_method", "laboratory_rank"))
    try:
        used = connection.sql("SELECT DISTINCT unit FROM assay WHERE unit IS NOT NULL ORDER BY unit").fetchall()
        connection.register("unit_factor", factors(unit for (unit,) in used))
        yield from connection.sql(_best(rank)).to_arrow_reader(BATCH_ROWS)
    finally:
        connection.close()


def laboratory_control(members: Members) -> Iterator[pa.RecordBatch]:
    """Stream every result of a control sample with its verdict, in the order of the record ids."""
    rows = {name: members.table(name, columns) for name, columns in NEEDED.items()}
    roles = terms.load_vocabulary(members.vocabularies / "sample_role.csv")
    found = control_results(rows["sample"], rows["assay"], rows["certified_value"], roles)
    connection = members.connect()
    try:
        connection.register("verdict", found)
        yield from connection.sql(_CONTROLS).to_arrow_reader(BATCH_ROWS)
    finally:
        connection.close()


def _declared_rank(members: Members) -> list[str]:
    """List the criteria in the order that the vocabulary declares."""
    vocabulary = terms.load_vocabulary(members.vocabularies / "assay_rank.csv")
    ordered = {code: int(order) for code in vocabulary.codes if (order := vocabulary.more(code, "order"))}
    unknown = sorted(ordered.keys() - CRITERIA.keys())
    if unknown or not ordered:
        raise ContractError(f"assay_rank.csv: cannot order by {unknown or 'nothing'}; known: {sorted(CRITERIA)}")
    return sorted(ordered, key=lambda code: ordered[code])


def _best(rank: list[str]) -> str:
    """Write the SELECT that ranks results, names the criterion that decided, and keeps the rights of all."""
    by = ", ".join(f"{CRITERIA[code]} AS r{place}" for place, code in enumerate(rank))
    keys = ", ".join(f"r{place}" for place in range(len(rank)))
    next_keys = ", ".join(f"lead(r{place}) OVER best AS n{place}" for place in range(len(rank)))
    decided = " ".join(f"WHEN r{place} < n{place} THEN '{code}'" for place, code in enumerate(rank))
    return f"""
WITH result AS (
    SELECT a.*, a.detection_limit * f.factor AS limit_ppm, m.made_in,
        coalesce(try_cast(l.rank AS DOUBLE), (SELECT try_cast(rank AS DOUBLE) FROM laboratory_rank WHERE code = 'unranked')) AS laboratory_rank
    FROM assay a JOIN sample s ON s.record_id = a.sample_id LEFT JOIN sample_role o ON o.code = s.role
        LEFT JOIN unit_factor f ON f.unit = a.unit LEFT JOIN assay_method m ON m.code = a.method
        LEFT JOIN laboratory_rank l ON lower(l.code) = lower(a.laboratory)
    WHERE o.control IS NULL AND a.qualifier NOT IN ('not-analysed', 'insufficient-sample')
), ranked AS (SELECT *, {by} FROM result), compared AS (
    SELECT *, {next_keys}, lead(record_id) OVER best AS next_best_id, count(*) OVER (PARTITION BY sample_id, analyte) AS results
    FROM ranked WINDOW best AS (PARTITION BY sample_id, analyte ORDER BY {keys}, record_id)
    QUALIFY row_number() OVER best = 1
), member AS (
    SELECT sample_id, analyte, record_id, tier, licence, feed, confidential_until FROM result
    UNION ALL SELECT r.sample_id, r.analyte, s.record_id, s.tier, s.licence, s.feed, s.confidential_until
    FROM (SELECT DISTINCT sample_id, analyte FROM result) r JOIN sample s ON s.record_id = r.sample_id
), bound AS (SELECT sample_id, analyte, {_BOUND} FROM member GROUP BY sample_id, analyte)
SELECT 'derived:assay-best:' || c.sample_id || ':' || c.analyte AS record_id, c.sample_id, c.analyte, c.record_id AS assay_id,
    c.value, c.unit, c.qualifier, c.detection_limit, c.value_ppm, c.limit_ppm, c.laboratory, c.method, c.is_total,
    c.results, CASE WHEN c.next_best_id IS NULL THEN 'only' {decided} ELSE 'tie' END AS reason, c.next_best_id,
    b.* EXCLUDE (sample_id, analyte)
FROM compared c JOIN bound b ON b.sample_id = c.sample_id AND b.analyte = c.analyte
ORDER BY record_id
"""  # noqa: E501, S608 - SQL made of names of ours and of criteria that are known


_CONTROLS = f"""
WITH member AS (
    SELECT v.record_id AS of, a.record_id, a.tier, a.licence, a.feed, a.confidential_until FROM verdict v JOIN assay a ON a.record_id = v.record_id
    UNION ALL SELECT v.record_id, s.record_id, s.tier, s.licence, s.feed, s.confidential_until FROM verdict v JOIN sample s ON s.record_id = v.sample_id
    UNION ALL SELECT v.record_id, a.record_id, a.tier, a.licence, a.feed, a.confidential_until FROM verdict v JOIN assay a ON a.record_id = v.reference
    UNION ALL SELECT v.record_id, c.record_id, c.tier, c.licence, c.feed, c.confidential_until
    FROM verdict v JOIN certified_value c ON c.record_id = v.certificate_id
), bound AS (SELECT of, {_BOUND} FROM member GROUP BY of)
SELECT 'derived:laboratory-control:' || v.record_id AS record_id, v.record_id AS assay_id, v.sample_id, v.role, v.laboratory, v.batch,
    v.analyte, v.method, v.qualifier, v.value_ppm, v.reference, v.expected_ppm, v.tolerance_ppm, v.measure, v.passing, v.failing,
    v.verdict, v.reason, b.* EXCLUDE (of)
FROM verdict v JOIN bound b ON b.of = v.record_id
ORDER BY v.record_id
"""  # noqa: E501, S608 - SQL made of names of ours
