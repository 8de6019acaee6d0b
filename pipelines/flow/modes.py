"""What a delivery of each mode may say about records that stand already, and what it takes away.

A snapshot restates everything, so it cannot contradict what stood. A delta states records, new and changed, and takes
some away; an append never restates; a correction restates what stands and adds nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.catalogue import Catalogue
from pipelines.catalogue.facts import Run
from pipelines.contracts import Feed
from pipelines.findings import Finding
from pipelines.publish.statements import DELETED as GONE

STATED = "accepted.arrow"


def statement_findings(batch: pa.RecordBatch, mode: str, dataset: str, standing: pa.Array | None) -> list[Finding]:
    """Find the stated records that a delivery of its mode may not state.

    Parameters
    ----------
    batch : harmonised rows.
    standing : record ids that stand from earlier deliveries; None where that does not matter.
    """
    if standing is None or mode not in ("append", "correction"):
        return []
    ids = batch.column("record_id")
    stands = pc.is_in(ids, value_set=standing)
    if mode == "append":
        hint = "an append states new records only; send a changed one as a correction, or declare the feed a delta"
        return [_finding(f"{dataset}.record_id.restated", "error", stands, ids, hint)]
    unknown = pc.and_(pc.invert(stands), pc.is_valid(ids))
    hint = "a correction restates records that stand; send a new one with the next full delivery, or declare a delta"
    return [_finding(f"{dataset}.record_id.corrects_nothing", "error", unknown, ids, hint)]


def deletion_findings(batch: pa.RecordBatch, dataset: str, standing: pa.Array | None) -> list[Finding]:
    """Say which records are taken away, and find the rows that name no record that stands."""
    ids = batch.column("record_id")
    known = pc.is_in(ids, value_set=pa.array([], pa.string()) if standing is None else standing)
    hint = "it names no record that stands: compare its key with the one under which the record was delivered"
    return [
        _finding(f"{dataset}.record_id.deletes_nothing", "error", pc.invert(known), ids, hint),
        _finding(f"{dataset}.record_id.deleted", "info", known, ids, "the partner took this record away"),
    ]


def standing_before(catalogue: Catalogue, feed: Feed, delivery: str) -> dict[str, pa.Array] | None:
    """Give the record ids that a delivery adds to or takes from; None for a snapshot, which restates everything."""
    if feed.delivery_mode == "snapshot":
        return None
    return standing_ids(catalogue.latest_accepted(feed.id), delivery, list(feed.datasets))


def standing_ids(share: Sequence[Run], delivery: str, datasets: Sequence[str]) -> dict[str, pa.Array]:
    """Give the record ids that stand when a delivery comes: what came before it in the share, less what was taken away.

    Parameters
    ----------
    share : runs that make up the feed's share, oldest first.
    delivery : the delivery that is taken; if the share has it, what came after it does not count.
    """
    place = next((number for number, run in enumerate(share) if run.delivery == delivery), len(share))
    return {name: _standing(share[:place], name) for name in datasets}


def _standing(runs: Sequence[Run], dataset: str) -> pa.Array:
    ids = pa.array([], pa.string())
    for run in runs:
        folder = Path(run.folder) / dataset
        gone = record_ids(folder / GONE)
        kept = ids.filter(pc.invert(pc.is_in(ids, value_set=gone))) if len(gone) else ids
        ids = pa.concat_arrays([kept, record_ids(folder / STATED)])
    return ids


def record_ids(path: Path) -> pa.Array:
    """Read the record ids of a stream that is mapped, whose other columns are never touched; none without a file."""
    if not path.is_file():
        return pa.array([], pa.string())
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return pa.concat_arrays([pa.array([], pa.string()), *(batch.column("record_id") for batch in reader)])


def _finding(rule: str, severity: str, mask: pa.Array, ids: pa.Array, hint: str) -> Finding:
    return Finding(rule, severity, "record_id", pc.fill_null(mask, False), ids, hint)
