"""What a connector hands over: bytes on disk under the name of their own hash."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Fetched:
    """One file as received.

    Parameters
    ----------
    name : what the partner calls it; data only, never used as a path.
    place : path under the drop root, or address without secrets.
    path : where the bytes lie now, under the name of their hash.
    sha256, size : of the bytes as received.
    part_of : name of the file that this one is a part of, as a .dbf is of its .shp.
    etag, last_modified : what the server calls this version, for the next conditional request.
    notes : what was odd and yet no reason to refuse.
    """

    name: str
    place: str
    path: Path
    sha256: str
    size: int
    part_of: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    notes: tuple[str, ...] = ()


class Intake:
    """A file being written, hashed on the way, and named by its hash at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size = 0
        self._digest = hashlib.sha256()
        self._path = folder / f".{uuid4().hex}"
        self._file = self._path.open("xb")

    def write(self, block: bytes) -> None:
        """Take one block."""
        self._digest.update(block)
        self.size += len(block)
        self._file.write(block)

    def keep(self) -> tuple[Path, str]:
        """Sync the file, make it read-only, name it by its SHA-256 and give both."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.chmod(0o444)
        sha256 = self._digest.hexdigest()
        return self._path.rename(self.folder / sha256), sha256

    def drop(self) -> None:
        """Forget what was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def take(blocks: Iterable[bytes], folder: Path) -> tuple[Path, str, int]:
    """Write blocks into a folder and give the path, the SHA-256 and the size in bytes."""
    intake = Intake(folder)
    try:
        for block in blocks:
            intake.write(block)
        path, sha256 = intake.keep()
    finally:
        intake.drop()
    return path, sha256, intake.size
