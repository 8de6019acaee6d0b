"""Computes the traces of holes from collars and survey stations."""

from collections.abc import Iterator

import pyarrow as pa

from pipelines.derive.members import BATCH_ROWS, Members
from pipelines.traces import COLLAR_COLUMNS, STATION_COLUMNS, traces

_ROWS = """
WITH told AS (
    SELECT record_id AS hole, record_id, tier, licence, feed, confidential_until FROM drillhole
    UNION ALL SELECT drillhole_id, record_id, tier, licence, feed, confidential_until FROM drillhole_survey
), member AS (
    SELECT hole AS of, * FROM told
    UNION ALL SELECT w.record_id, told.* FROM drillhole w JOIN told ON told.hole = w.parent_id WHERE w.parent_id <> w.record_id
), bound AS (
    SELECT of, max(tier) AS tier, list_sort(list(DISTINCT licence)) AS licences, list_sort(list(DISTINCT feed)) AS feeds,
        max(confidential_until) AS confidential_until, count(DISTINCT record_id) AS member_count,
        list_sort(list(DISTINCT record_id)) AS members
    FROM member GROUP BY of
)
SELECT 'derived:drillhole-trace:' || t.drillhole_id AS record_id, t.*, h.name,
    CASE WHEN h.elevation_m IS NOT NULL AND t.geometry IS NOT NULL THEN h.elevation_datum END AS elevation_datum,
    CASE WHEN h.elevation_m IS NOT NULL AND t.geometry IS NOT NULL THEN h.elevation_kind END AS elevation_kind, b.* EXCLUDE (of)
FROM trace t JOIN drillhole h ON h.record_id = t.drillhole_id JOIN bound b ON b.of = t.drillhole_id
ORDER BY record_id
"""  # noqa: E501 - SQL


def drillhole_trace(members: Members) -> Iterator[pa.RecordBatch]:
    """Stream one row per hole, traced or not, in the order of the record ids.

    A wedge is bound by its parent's rights too, since the parent's stations may lead to its kick-off.
    """
    holes = members.table("drillhole", COLLAR_COLUMNS)
    found = traces(holes, members.table("drillhole_survey", STATION_COLUMNS))
    connection = members.connect()
    try:
        connection.register("trace", found)
        yield from connection.sql(_ROWS).to_arrow_reader(BATCH_ROWS)
    finally:
        connection.close()
