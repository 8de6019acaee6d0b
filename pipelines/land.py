"""Keep what a partner delivered, byte for byte, under the name of its content."""

import json
import logging
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from pipelines.connectors import Fetched, fetch, request_of
from pipelines.connectors.drop import locate
from pipelines.contracts import Feed, Table
from pipelines.deliveries import RECEIPT, Delivery, LandedFile, delivery_id, load_delivery
from pipelines.errors import RejectedError, SourceError
from pipelines.settings import Settings

log = logging.getLogger(__name__)


def land(feed: Feed, settings: Settings, previous: Delivery | None = None) -> Delivery:
    """Fetch a feed's files and keep them untouched as one delivery.

    Parameters
    ----------
    feed : what to fetch.
    settings : where the drop and the landing store are.
    previous : the feed's last delivery, which makes web requests conditional.

    Returns
    -------
    The delivery; `unchanged` when exactly these files had been landed before.

    Raises
    ------
    SourceError, RejectedError, ContractError
        As the connectors say; nothing is landed then. RejectedError also when earlier landed bytes are damaged.
    """
    store = settings.landing / feed.partner / feed.id
    store.mkdir(parents=True, exist_ok=True)
    incoming = store / f".incoming-{uuid4().hex}"
    incoming.mkdir()
    try:
        files = _fetch(feed, incoming, settings=settings, previous=previous)
        delivery = _delivery(feed, store, files)
        if not delivery.folder.exists():
            _write_receipt(incoming, delivery)
            delivery = _place(incoming, delivery)
        else:
            delivery = load_delivery(delivery.folder, unchanged=True)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    state = "unchanged" if delivery.unchanged else "new"
    size = sum(file.size for file in delivery.files)
    log.info("%s: delivery %s is %s, %d files, %d bytes", feed.id, delivery.id[:12], state, len(delivery.files), size)
    return delivery


def unclaimed(settings: Settings, feeds: Sequence[Feed]) -> list[str]:
    """List files of the drop that no feed reads or knows, as paths under the drop root, but for hidden ones."""
    root = settings.drop
    claimed = {known.path for feed in feeds for known in feed.known_files}
    dropped = [(feed, table) for feed in feeds for table in feed.tables.values() if table.connector == "drop"]
    if dropped and not root.is_dir():
        raise SourceError(f"the drop root {root} is not there; see MINERALS_DROP")
    for feed, table in dropped:
        claimed.update(_claims(feed, table, root))
    present = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
    visible = (path for path in present if not any(part.startswith(".") for part in path.parts))
    return sorted(path.as_posix() for path in visible if path.as_posix() not in claimed)


def _claims(feed: Feed, table: Table, drop: Path) -> set[str]:
    if table.connector != "drop":
        return set()
    try:
        path = locate(table, drop, feed=feed.id)
    except SourceError:
        return set()
    return {path, *((PurePosixPath(path).parent / part).as_posix() for part in table.parts)}


def _fetch(feed: Feed, incoming: Path, *, settings: Settings, previous: Delivery | None) -> tuple[LandedFile, ...]:
    known = _known(previous) if previous else ()
    by_place: dict[tuple[Any, ...], list[Fetched]] = {}
    fetched: list[tuple[str, Fetched]] = []
    for name, table in feed.tables.items():
        place = request_of(table)
        if place not in by_place:
            by_place[place] = fetch(table, incoming, feed=feed.id, settings=settings, previous=known)
        fetched += [(name, file) for file in by_place[place]]
    _gather(incoming, [file for _name, file in fetched])
    names = _distinct_names([file for _name, file in fetched])
    return tuple(_landed(table, file, names) for table, file in fetched)


def _known(previous: Delivery) -> tuple[Fetched, ...]:
    return tuple(
        Fetched(
            file.name,
            file.source,
            previous.path(file),
            file.sha256,
            file.size,
            etag=file.etag,
            last_modified=file.last_modified,
        )
        for file in previous.files
    )


def _gather(incoming: Path, files: list[Fetched]) -> None:
    """Bring files that did not change since the last delivery into the new folder."""
    for file in files:
        if file.path.parent != incoming and not (incoming / file.sha256).exists():
            try:
                os.link(file.path, incoming / file.sha256)
            except OSError as error:
                raise RejectedError(f"{file.name!r} of the last delivery cannot be had again: {error}") from error


def _distinct_names(files: list[Fetched]) -> dict[str, str]:
    """Give each place's name: the plain one, or the whole place where several places share the plain one."""
    places: dict[str, set[str]] = {}
    for file in files:
        places.setdefault(file.name, set()).add(file.place)
    return {file.place: file.name if len(places[file.name]) == 1 else file.place for file in files}


def _landed(table: str, file: Fetched, names: dict[str, str]) -> LandedFile:
    part_of = file.part_of
    if part_of is not None:
        beside = file.place[: file.place.rfind("/") + 1]
        part_of = names.get(f"{beside}{part_of}", part_of)
    return LandedFile(
        name=names[file.place],
        table=table,
        sha256=file.sha256,
        size=file.size,
        part_of=part_of,
        source=file.place,
        etag=file.etag,
        last_modified=file.last_modified,
        notes=file.notes,
    )


def _delivery(feed: Feed, store: Path, files: tuple[LandedFile, ...]) -> Delivery:
    name = delivery_id((file.name, file.sha256) for file in files)
    received_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Delivery(name, feed.id, feed.partner, store / name, files, received_at)


def _write_receipt(folder: Path, delivery: Delivery) -> None:
    receipt: dict[str, Any] = {
        "delivery": delivery.id,
        "feed": delivery.feed,
        "partner": delivery.partner,
        "received_at": delivery.received_at,
        "files": [vars(file) for file in delivery.files],
    }
    with (folder / RECEIPT).open("x", encoding="utf-8") as file:
        json.dump(receipt, file, ensure_ascii=True, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _place(incoming: Path, delivery: Delivery) -> Delivery:
    """Give the complete folder its name in one step; a run that was quicker with the same files wins."""
    _sync(incoming)
    try:
        incoming.rename(delivery.folder)
    except OSError:
        if not delivery.folder.is_dir():
            raise
        return load_delivery(delivery.folder, unchanged=True)
    _sync(delivery.folder.parent)
    return delivery


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
