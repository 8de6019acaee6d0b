"""Files that a partner, or somebody for it, puts into a folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipelines.connectors.fetched import BLOCK_BYTES, Fetched, take
from pipelines.contracts import Table
from pipelines.errors import ContractError, SourceError
from pipelines.settings import Settings

LISTED = 20


def fetch(
    table: Table, folder: Path, *, feed: str, settings: Settings, previous: tuple[Fetched, ...] = ()
) -> list[Fetched]:
    """Copy a table's file and its parts.

    Parameters
    ----------
    table : its `path` is relative to the drop root; with a `*` in it, exactly one file must match.
    folder : where the copies go, named by their SHA-256.
    feed : name of the feed, for messages.
    settings : has the drop root.
    previous : not used; bytes on disk are read each time.

    Raises
    ------
    SourceError
        If a file is not there, is no regular file, or changes while it is read.
    ContractError
        If a path leads out of the drop root, also by way of a symbolic link.
    """
    path = locate(table, settings.drop, feed=feed)
    main = _copy(path, folder, feed=feed, drop=settings.drop)
    parts = [(PurePosixPath(path).parent / part).as_posix() for part in table.parts]
    return [main, *(_copy(part, folder, feed=feed, drop=settings.drop, part_of=main.name) for part in parts)]


def locate(table: Table, drop: Path, *, feed: str) -> str:
    """Give the path of a table's main file under the drop root."""
    wanted = PurePosixPath(table.path or "")
    if table.path is None or wanted.is_absolute() or ".." in wanted.parts:
        raise ContractError(f"{feed}: path {table.path!r} must be relative to the drop root and stay below it")
    if any("/" in part or part in ("", ".", "..") for part in table.parts):
        raise ContractError(f"{feed}: parts {list(table.parts)} must be plain names of files beside {table.path!r}")
    if "*" not in table.path:
        return wanted.as_posix()
    matches = sorted(match.relative_to(drop).as_posix() for match in drop.glob(table.path) if not match.is_dir())
    if len(matches) != 1:
        found = matches or f"nothing; {_neighbours(drop, table.path)}"
        raise SourceError(f"{feed}: {table.path!r} must match one file in the drop, and matches {found}")
    return matches[0]


def _copy(place: str, folder: Path, *, feed: str, drop: Path, part_of: str | None = None) -> Fetched:
    with _open_inside(place, drop, feed=feed) as source:
        before = os.fstat(source.fileno())
        path, sha256, size = take(_blocks(source), folder)
        after = os.fstat(source.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
        raise SourceError(f"{feed}: {place!r} changed while it was read; it is perhaps still being written")
    return Fetched(PurePosixPath(place).name, place, path, sha256, size, part_of=part_of)


def _open_inside(place: str, drop: Path, *, feed: str) -> BinaryIO:
    root = drop.resolve()
    path = (root / place).resolve()
    if not path.is_relative_to(root):
        raise ContractError(f"{feed}: {place!r} leads out of the drop root")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SourceError(f"{feed}: cannot read {place!r} ({reason}); {_neighbours(drop, place)}") from error
    source = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        source.close()
        raise SourceError(f"{feed}: {place!r} is not a regular file")
    return source


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(BLOCK_BYTES):
        yield block


def _neighbours(drop: Path, place: str) -> str:
    """Say what is there instead, in the nearest folder that exists."""
    parent = PurePosixPath(place).parent
    while not (drop / parent).is_dir() and parent != PurePosixPath("."):
        parent = parent.parent
    if not (drop / parent).is_dir():
        return "the drop root does not exist"
    names = sorted(entry.name for entry in (drop / parent).iterdir())
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"in {parent.as_posix()!r} there is {names[:LISTED]}{more}"
