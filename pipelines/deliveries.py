"""A delivery: the files once received from a feed, exactly as they came."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import RejectedError

RECEIPT = "receipt.json"
INDEX = ".pages.json"
"""How the name of the main file ends that names, in order, the pages by which a service delivered a table."""


@dataclass(frozen=True)
class LandedFile:
    """One file of a delivery, for one table; its bytes lie in the delivery's folder under its SHA-256.

    Parameters
    ----------
    name : what the partner calls it.
    table : the feed's table that it belongs to.
    part_of : name of the main file, for a part such as a .dbf.
    size : bytes.
    source : path under the drop root, or address without secrets.
    """

    name: str
    table: str
    sha256: str
    size: int
    part_of: str | None = None
    source: str = ""
    etag: str | None = None
    last_modified: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """The files once received from a feed, named by the SHA-256 of the sorted list of their names and hashes."""

    id: str
    feed: str
    partner: str
    folder: Path
    files: tuple[LandedFile, ...]
    received_at: str
    unchanged: bool = False

    def of(self, table: str) -> LandedFile | None:
        """Give a table's main file."""
        return next((file for file in self.files if file.table == table and file.part_of is None), None)

    def parts(self, main: LandedFile) -> tuple[LandedFile, ...]:
        """Give the parts of a main file."""
        return tuple(file for file in self.files if file.table == main.table and file.part_of == main.name)

    def path(self, file: LandedFile) -> Path:
        """Give where a file's bytes lie."""
        return self.folder / file.sha256


def delivery_id(files: Iterable[tuple[str, str]]) -> str:
    """Give the SHA-256 of the sorted list of (name, SHA-256).

    >>> delivery_id([("b.csv", "02"), ("a.csv", "01")]) == delivery_id([("a.csv", "01"), ("b.csv", "02")])
    True
    """
    text = json.dumps(sorted(set(files)), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def load_delivery(folder: Path, unchanged: bool = False) -> Delivery:
    """Load a landed delivery from its receipt and compare the sizes of its files.

    Raises
    ------
    RejectedError
        If the receipt cannot be read, or a file is missing, has another size, or the names do not make the id.
    """
    try:
        receipt = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        files = tuple(LandedFile(**{**file, "notes": tuple(file["notes"])}) for file in receipt["files"])
        facts = {name: str(receipt[name]) for name in ("feed", "partner", "received_at")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RejectedError(f"landed delivery {folder.name}: the receipt cannot be read ({error})") from error
    if delivery_id((file.name, file.sha256) for file in files) != folder.name:
        raise RejectedError(f"landed delivery {folder.name}: the receipt tells of other files")
    for file in files:
        path = folder / file.sha256
        size = path.stat().st_size if path.is_file() else None
        if size != file.size:
            found = f"{file.name!r} has {size} bytes, landed were {file.size}"
            raise RejectedError(f"landed delivery {folder.name}: {found}")
    return Delivery(id=folder.name, folder=folder, files=files, unchanged=unchanged, **facts)
