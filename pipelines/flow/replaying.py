"""Brings quarantined rows back, after the mapping or a vocabulary was corrected or the partner sent corrected rows."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import land as landing
from pipelines.catalogue import Catalogue
from pipelines.catalogue.facts import DatasetLedger, QuarantineRow, Run
from pipelines.contracts import Feed, Schemas
from pipelines.deliveries import Delivery, load_delivery
from pipelines.errors import MineralsError, RejectedError
from pipelines.flow.conform import SOURCE, Replay, conform_delivery, in_order
from pipelines.flow.installation import catalogue_of, keep_delivery, run_fingerprint, schemas_of
from pipelines.flow.modes import record_ids, standing_ids
from pipelines.flow.recording import issues_of, record_run
from pipelines.settings import Settings

Judge = Callable[[int], None]
AGAIN = "-again-"
"""Mark in the folder names of runs that take only some of a delivery's rows."""


@dataclass(frozen=True)
class Replayed:
    """What a replay brought back."""

    run: int
    taken: int
    accepted: int
    released: int
    still_open: int


def replay(feed_id: str, settings: Settings, *, judge: Judge, corrected: Path | None = None) -> Replayed:
    """Take a feed's open quarantined rows again, or take the partner's corrected rows in their place.

    Where several deliveries make up what stands, the rows of the oldest of them that has any are taken.

    Parameters
    ----------
    judge : audits and accepts a conformed run.
    corrected : a folder laid out like the drop root, with those of the feed's files that hold corrected rows only.

    Raises
    ------
    RejectedError
        If nothing waits, or the feed has no accepted share yet.
    """
    catalogue = catalogue_of(settings)
    share = catalogue.latest_accepted(feed_id)
    if not share:
        raise RejectedError(f"{feed_id}: nothing was accepted yet, so there is nothing to replay; run the feed first")
    held = catalogue.quarantine(feed_id)
    base = next((run for run in share if any(row.delivery == run.delivery for row in held)), share[0])
    waiting = [row for row in held if row.delivery == base.delivery]
    if not waiting:
        raise RejectedError(f"{feed_id}: no row of the current delivery waits in quarantine")
    schemas = schemas_of(feed_id, settings)
    again = _rows_again(waiting, schemas, schemas.feeds[feed_id], share)
    whole: frozenset[str] = frozenset()
    if corrected is None:
        run = _run_again(catalogue, schemas, base, again, settings)
    else:
        run, whole = _run_corrected(catalogue, schemas, base, again, settings=settings, corrected=corrected)
    folder = Path(catalogue.run(run).folder)
    accepted = sum(one.accepted for one in catalogue.ledger(run).datasets)
    if accepted == 0:
        catalogue.finish_run(run, "failed", error="no row passes yet")
        return Replayed(run, len(waiting), 0, 0, len(waiting))
    judge(run)
    released = _resolve(catalogue, run, folder, waiting, by_id=whole)
    return Replayed(run, len(waiting), accepted, released, len(waiting) - released)


def is_again(folder: Path | str) -> bool:
    """Say whether a run takes only some of its delivery's rows."""
    return AGAIN in Path(folder).name


def _rows_again(waiting: list[QuarantineRow], schemas: Schemas, feed: Feed, share: list[Run]) -> Replay:
    """Say which rows of each dataset are to be taken again, and what stands already."""
    rows: dict[str, dict[str, np.ndarray]] = {}
    standing = standing_ids(share, "", [dataset.name for dataset in in_order(feed, schemas)])
    for name in feed.datasets:
        mine: dict[str, set[int]] = {}
        for row in waiting:
            if row.row is not None and row.dataset in (name, SOURCE):
                mine.setdefault(row.file, set()).add(row.row)
        rows[name] = {file: np.array(sorted(numbers), dtype=np.int64) for file, numbers in mine.items()}
    taken = {name: frozenset(ids.to_pylist()) for name, ids in standing.items()}
    return Replay(rows=rows, taken=taken, parents=standing)


def _delivery_of(catalogue: Catalogue, run: Run) -> Delivery:
    landed = catalogue.find_delivery(run.delivery, run.feed)
    if landed is None:
        raise RejectedError(f"{run.feed}: delivery {run.delivery} is not in the catalogue")
    return load_delivery(Path(landed.folder))


def _run_again(catalogue: Catalogue, schemas: Schemas, base: Run, again: Replay, settings: Settings) -> int:
    feed = schemas.feeds[base.feed]
    delivery = _delivery_of(catalogue, base)
    return _conform(catalogue, schemas, feed, delivery, again, settings=settings, kind="replay", parent=base.id)


def _run_corrected(
    catalogue: Catalogue, schemas: Schemas, base: Run, again: Replay, *, settings: Settings, corrected: Path
) -> tuple[int, frozenset[str]]:
    """Land the corrected rows beside the unchanged files of the delivery that they correct, and take them."""
    feed = schemas.feeds[base.feed]
    before = _delivery_of(catalogue, base)
    with TemporaryDirectory(dir=settings.home) as drop:
        tables = _lay_out(feed, before, corrected, Path(drop))
        delivery = landing.land(feed, replace(settings, drop=Path(drop)))
    keep_delivery(catalogue, feed, delivery, corrects=base.delivery)
    whole = frozenset(name for name in feed.datasets if feed.main_table(name) in tables)
    chosen = Replay(
        rows={name: rows for name, rows in again.rows.items() if name not in whole},
        taken={name: ids for name, ids in again.taken.items() if name not in whole},
        parents=again.parents,
        whole=whole,
    )
    run = _conform(catalogue, schemas, feed, delivery, chosen, settings=settings, kind="ingest", parent=None)
    return run, whole


def _lay_out(feed: Feed, before: Delivery, corrected: Path, drop: Path) -> set[str]:
    """Lay out a drop of corrected files, with the delivery's own where there is none; name the corrected tables."""
    fetched = sorted(name for name, table in feed.tables.items() if table.connector != "drop")
    if fetched:
        raise RejectedError(
            f"{feed.id}: tables {fetched} are fetched from the partner's service, and corrected files are taken only "
            "for feeds of the drop folder; have the partner correct them where they are published, and run the feed"
        )
    found = set()
    for name, table in feed.tables.items():
        for path in (table.path or "", *table.parts):
            target = drop / path
            target.parent.mkdir(parents=True, exist_ok=True)
            for candidate in (corrected / path, corrected / Path(path).name):
                if candidate.is_file():
                    shutil.copyfile(candidate, target)
                    found.add(name)
                    break
            else:
                landed = next(file for file in before.files if file.name == Path(path).name and file.table == name)
                shutil.copyfile(before.path(landed), target)
    if not found:
        wanted = ", ".join(table.path or "" for table in feed.tables.values())
        raise RejectedError(f"{feed.id}: {corrected} holds none of the feed's files; wanted: {wanted}")
    return found


def _conform(
    catalogue: Catalogue,
    schemas: Schemas,
    feed: Feed,
    delivery: Delivery,
    again: Replay,
    *,
    settings: Settings,
    kind: str,
    parent: int | None,
) -> int:
    fingerprint = run_fingerprint(feed)
    last = next((run.id for run in catalogue.runs(limit=1)), 0)
    folder = settings.work / feed.id / f"{delivery.id[:16]}-{fingerprint[:8]}{AGAIN}{last + 1}"
    run = catalogue.start_run(
        feed.id, delivery.id, fingerprint=fingerprint, folder=str(folder), kind=kind, parent=parent
    )
    try:
        adds = feed.delivery_mode != "snapshot" and kind == "replay"
        standing = again.parents if adds else None
        record = conform_delivery(feed, schemas, delivery, folder, fingerprint, again, standing)
        if kind == "ingest":
            record_run(catalogue, run, record, folder)
        else:
            _record_replay(catalogue, run, record, folder)
    except MineralsError as error:
        catalogue.finish_run(run, "failed", error=str(error))
        raise
    return run


def _record_replay(catalogue: Catalogue, run: int, record: dict[str, Any], folder: Path) -> None:
    """Record ledger and issues; rows that still fail stay open where they were first kept back."""
    datasets = [
        DatasetLedger(name, figures["shaped"], figures["accepted"], figures["quarantined"], figures["duplicates"])
        for name, figures in record["datasets"].items()
    ]
    catalogue.record_ledger(run, [], datasets)
    catalogue.record_issues(run, issues_of(folder))
    catalogue.finish_run(run, "conformed")


def _resolve(
    catalogue: Catalogue, run: int, folder: Path, waiting: list[QuarantineRow], *, by_id: frozenset[str]
) -> int:
    """Close the rows that were accepted now.

    Rows that were taken again are known by their place; in the datasets ``by_id``, corrected rows stand in files of
    their own and replace what has the same record id.
    """
    places: set[tuple[str | None, str, int | None]] = set()
    ids: set[tuple[str | None, str | None]] = set()
    for path in sorted(folder.glob("*/accepted.arrow")):
        with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                files = batch.column("source_file").to_pylist()
                numbers = batch.column("source_row").to_pylist()
                places.update((path.parent.name, *pair) for pair in zip(files, numbers, strict=True))
                ids.update((path.parent.name, one) for one in batch.column("record_id").to_pylist())
    held = {key for path in sorted(folder.glob("*/quarantine.parquet")) for key in _held_rows(path)}
    free = {(SOURCE, file, row) for _, file, row in places} - {(SOURCE, file, row) for _, file, row in held}
    taken = (places - held) if by_id else (places - held) | free
    released = [one.id for one in waiting if one.dataset not in by_id and (one.dataset, one.file, one.row) in taken]
    replaced = [one.id for one in waiting if one.dataset in by_id and (one.dataset, one.record_id) in ids]
    closed = catalogue.resolve_quarantine(state="released", resolved_by=run, rows=released) if released else 0
    return closed + (catalogue.resolve_quarantine(state="replaced", resolved_by=run, rows=replaced) if replaced else 0)


def settle_corrected(catalogue: Catalogue, feed: str, run: int) -> None:
    """Close what a run kept back again although a correction, which stands beside it, replaced it already."""
    for correction in catalogue.latest_accepted(feed):
        if correction.id >= run or not is_again(correction.folder):
            continue
        ids = {
            (path.parent.name, one)
            for path in Path(correction.folder).glob("*/accepted.arrow")
            for one in record_ids(path).to_pylist()
        }
        again = [row.id for row in catalogue.quarantine(feed, run=run) if (row.dataset, row.record_id) in ids]
        if again:
            catalogue.resolve_quarantine(state="replaced", resolved_by=correction.id, rows=again)


def _held_rows(path: Path) -> set[tuple[str, str, int]]:
    table = pq.read_table(path, columns=["dataset", "file", "row"])
    return {tuple(row.values()) for row in table.to_pylist()}  # type: ignore[misc]
