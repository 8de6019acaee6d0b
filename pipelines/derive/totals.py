"""Adds up resources and reserves where nothing is counted twice, and says of every other quantity why it was left out.

A total is of one estimate: the latest of what it is about, its leaf categories, resources apart from reserves.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.classification import REFUSALS, STRENGTHS, Category, classify, leaves
from pipelines.derive.members import BATCH_ROWS, Members

REASONS = {
    **REFUSALS,
    "no-quantity": "no mass or volume that could be read",
    "bound": "a bound (less than, more than), not a quantity",
}
"""Why a quantity is in no total: what the classification refuses, and what cannot be added at all."""

STATED = """
    WITH told AS (
        SELECT *, bool_and(part IS NOT NULL) OVER mine AS by_part,
            bool_and(material_kind IS NOT NULL) OVER mine AS by_kind
        FROM estimate WINDOW mine AS (PARTITION BY site_id)
    ), about AS (
        SELECT *, site_id || CASE WHEN by_part THEN chr(31) || part ELSE '' END
            || CASE WHEN by_kind THEN chr(31) || material_kind ELSE '' END AS subject
        FROM told
    ), dated AS (
        SELECT *, CASE WHEN bool_and(effective_on IS NOT NULL) OVER (PARTITION BY subject)
            THEN date_diff('day', DATE '1800-01-01', effective_on)::DOUBLE
            ELSE coalesce(year(effective_on), effective_year)::DOUBLE END AS effective
        FROM about
    )
    SELECT q.record_id AS quantity_id, q.estimate_id, e.site_id, e.part, q.category, q.is_total_of, q.of_what,
        CASE q.of_what WHEN 'commodity' THEN 'contained-commodity' ELSE coalesce(q.of_what, 'unknown') END AS basis,
        q.contained_commodity, q.compound, q.mass_t, q.volume_m3,
        chr(31) || coalesce(q.of_what, '') || chr(31) || coalesce(q.contained_commodity, '') AS sort_of,
        e.subject, e.effective, e.supersedes, e.is_inclusive, e.effective_on, e.effective_year, e.reporting_code,
        e.moisture_basis, e.recovery_basis, e.ownership_share,
        CASE WHEN q.quantity_qualifier IS NOT NULL AND q.quantity_qualifier <> '=' THEN 'bound'
            WHEN q.mass_t IS NULL AND q.volume_m3 IS NULL THEN 'no-quantity' END AS unusable,
        e.effective < max(e.effective) OVER (PARTITION BY e.subject) AS is_older,
        greatest(q.tier, e.tier) AS tier, list_distinct([q.licence, e.licence]) AS licences,
        list_distinct([q.feed, e.feed]) AS feeds,
        greatest(q.confidential_until, e.confidential_until) AS confidential_until
    FROM estimate_quantity AS q JOIN dated AS e ON e.record_id = q.estimate_id
    ORDER BY q.record_id
"""
"""Every quantity with its estimate.

Estimates of one site are about the same ground unless all of them name their part, or what was estimated. They are
compared by day where all have one, and by year otherwise.
"""

REFUSED = """
    SELECT 'derived:resource-refusal:' || quantity_id AS record_id, quantity_id, estimate_id, site_id, category, reason,
        reason_text, mass_t AS refused_mass_t, volume_m3 AS refused_volume_m3, tier, list_sort(licences) AS licences,
        list_sort(feeds) AS feeds, confidential_until, 2 AS member_count,
        list_sort([quantity_id, estimate_id]) AS members
    FROM judged WHERE reason IS NOT NULL ORDER BY record_id
"""

TOTALS = """
    WITH leaf AS (SELECT * FROM judged WHERE reason IS NULL),
    grades AS (
        SELECT estimate_id, category, commodity, count(*) AS stated, any_value(record_id) AS grade_id,
            any_value(coalesce(element_ppm, grade_ppm)) AS ppm, any_value(concentration_mg_l) AS mg_l,
            any_value(CASE WHEN element_ppm IS NULL THEN compound ELSE element END) AS compound,
            max(tier) AS tier, list(DISTINCT licence) AS licences, list(DISTINCT feed) AS feeds,
            max(confidential_until) AS confidential_until
        FROM estimate_grade WHERE grade_qualifier IS NULL OR grade_qualifier = '='
        GROUP BY estimate_id, category, commodity
    ), graded AS (
        SELECT leaf.* EXCLUDE (compound, mass_t, volume_m3), g.commodity, g.compound, g.grade_id,
            mass_t AS ore_t, mass_t * g.ppm / 1e6 AS by_tonnage_t, volume_m3 * g.mg_l / 1e6 AS by_volume_t,
            greatest(leaf.tier, g.tier) AS graded_tier, leaf.licences || g.licences AS graded_licences,
            leaf.feeds || g.feeds AS graded_feeds,
            greatest(leaf.confidential_until, g.confidential_until) AS graded_until
        FROM leaf JOIN grades AS g ON g.estimate_id = leaf.estimate_id AND g.stated = 1
        WHERE leaf.of_what IN ('ore', 'solution') AND (g.category = leaf.category OR (g.category IS NULL
            AND NOT EXISTS (SELECT 1 FROM grades AS own WHERE own.estimate_id = leaf.estimate_id
                AND own.commodity = g.commodity AND own.category = leaf.category)))
    ), added AS (
        SELECT site_id, part, estimate_id, kind, basis, contained_commodity AS commodity, compound,
            'stated' AS method, sum(mass_t) AS mass_t, sum(volume_m3) AS volume_m3, NULL::DOUBLE AS ore_t,
            list(DISTINCT category) AS categories, max(surety) AS surety, max(tier) AS tier,
            flatten(list(licences)) AS licences, flatten(list(feeds)) AS feeds,
            max(confidential_until) AS confidential_until, list(quantity_id) AS members
        FROM leaf GROUP BY site_id, part, estimate_id, kind, basis, contained_commodity, compound
        UNION ALL BY NAME
        SELECT site_id, part, estimate_id, kind, 'contained-commodity' AS basis, commodity, compound,
            CASE WHEN count(by_tonnage_t) > 0 THEN 'tonnage-times-grade'
                ELSE 'volume-times-concentration' END AS method,
            sum(coalesce(by_tonnage_t, by_volume_t)) AS mass_t, NULL::DOUBLE AS volume_m3,
            sum(ore_t) FILTER (by_tonnage_t IS NOT NULL) AS ore_t, list(DISTINCT category) AS categories,
            max(surety) AS surety, max(graded_tier) AS tier, flatten(list(graded_licences)) AS licences,
            flatten(list(graded_feeds)) AS feeds, max(graded_until) AS confidential_until,
            list(quantity_id) || list(DISTINCT grade_id) AS members
        FROM graded WHERE coalesce(by_tonnage_t, by_volume_t) IS NOT NULL
        GROUP BY site_id, part, estimate_id, kind, commodity, compound
    ), kept AS (
        SELECT *, list_distinct(members || [estimate_id]) AS everyone FROM added
        QUALIFY method = 'stated' OR commodity IS NULL OR NOT bool_or(method = 'stated')
            OVER (PARTITION BY estimate_id, kind, commodity)
    ), left_out AS (
        SELECT estimate_id, count(*) AS rows FROM judged WHERE reason IS NOT NULL GROUP BY estimate_id
    )
    SELECT concat_ws(':', 'derived:resource-total', k.estimate_id, kind, basis, coalesce(commodity, 'all'),
            coalesce(compound, '-')) AS record_id,
        k.site_id, k.part, k.estimate_id, kind, commodity, basis, compound, method, mass_t, volume_m3, ore_t,
        list_sort(categories) AS categories, surety, coalesce(l.rows, 0) AS left_out_rows,
        e.effective_on, e.effective_year, e.reporting_code, e.is_inclusive, e.moisture_basis, e.recovery_basis,
        e.ownership_share, k.tier, list_sort(list_distinct(licences)) AS licences,
        list_sort(list_distinct(feeds)) AS feeds, k.confidential_until, len(everyone) AS member_count,
        list_sort(everyone) AS members
    FROM kept AS k JOIN estimate AS e ON e.record_id = k.estimate_id LEFT JOIN left_out AS l USING (estimate_id)
    ORDER BY record_id
"""
"""Leaf quantities added up; what they contain, where the source does not state it, by their grades.

A grade counts for its category, one without a category for those that have none of their own; a grade that is a
bound, or that stands twice, for nothing.
"""


def resource_totals(members: Members) -> Iterator[pa.RecordBatch]:
    """Compute the totals of resources and of reserves by site and commodity."""
    for batch in _answer(members, TOTALS):
        surest = pc.cast(batch.column("surety"), pa.int32())
        strengths = pa.DictionaryArray.from_arrays(surest, pa.array(STRENGTHS))
        yield batch.drop_columns(["surety"]).append_column("match_strength", strengths)


def resource_refusals(members: Members) -> Iterator[pa.RecordBatch]:
    """Give every quantity that is in no total, with the reason."""
    yield from _answer(members, REFUSED)


def _answer(members: Members, sql: str) -> Iterator[pa.RecordBatch]:
    connection = members.connect()
    try:
        connection.register("judged", _judged(connection.sql(STATED).to_arrow_table().combine_chunks()))
        yield from connection.sql(sql).to_arrow_reader(BATCH_ROWS)
    finally:
        connection.close()


def _judged(stated: pa.Table) -> pa.Table:
    """Say of every quantity why it may not be added to others; null where it may."""
    columns = {name: _one_chunk(stated.column(name)) for name in stated.column_names}
    sort_of = columns["sort_of"]
    found = leaves(
        subject=_joined(columns["subject"], sort_of),
        estimate=_joined(columns["estimate_id"], sort_of),
        category=columns["category"],
        is_total_of=columns["is_total_of"],
        is_inclusive=columns["is_inclusive"],
        effective=columns["effective"],
        supersedes=_joined(columns["supersedes"], sort_of),
    )
    refused = pc.cast(found.reason, pa.string())
    older = pc.if_else(pc.fill_null(columns["is_older"], False), "superseded", pa.scalar(None, pa.string()))
    reason = pc.coalesce(refused, older, columns["unusable"])
    words = pa.array([REASONS[one] for one in REASONS], pa.string())
    said = words.take(pc.index_in(reason, value_set=pa.array(list(REASONS))))
    return (
        stated.append_column("reason", reason)
        .append_column("reason_text", said)
        .append_column("kind", _of_category(columns["category"], _kind))
        .append_column("surety", _of_category(columns["category"], lambda one: STRENGTHS.index(one.strength)))
    )


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _joined(names: pa.Array, sort_of: pa.Array) -> pa.Array:
    """Name estimates apart by what they weigh: tonnes of ore and of metal in one are no rivals."""
    return pc.binary_join_element_wise(names, sort_of, "")


def _of_category(codes: pa.Array, say: Callable[[Category], str | int | None]) -> pa.Array:
    encoded = pc.dictionary_encode(codes)
    return pa.array([say(classify(code)) for code in encoded.dictionary.to_pylist()]).take(encoded.indices)


def _kind(category: Category) -> str | None:
    return "reserve" if category.is_reserve else "resource" if category.is_resource else None
