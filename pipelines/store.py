"""Where files live: every file of ours is written here, whole or not at all.

A key names a file below the store's root, with ``/`` between its parts. What a key once holds never changes, and a log
is a folder of numbered entries of which each number is given once: a hard link fails where a name is taken, whoever
else is writing, which a rename does not. Each write is flushed to the disk, and so is each folder it passes through,
before it is answered for.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import RejectedError, SourceError

BLOCK = 4 * 1024 * 1024
LONGEST_KEY = 1024
LONGEST_PART = 240
STAGING = ".staging"
ENTRY = re.compile(r"\d{20}\.json")
OURS = frozenset({"nonce", "sequence"})

Keys = list[str]


@dataclass(frozen=True)
class LocalStore:
    """A store in a folder of a local (or mounted POSIX) file system.

    Attributes
    ----------
    root : folder that holds every key; made when first written to.
    """

    root: Path

    def path(self, key: str) -> Path:
        """Give the local path of a key, whether or not it is there yet.

        Raises
        ------
        RejectedError
            If the key is absolute, leaves the root, is hidden, or holds a backslash or a character that cannot be seen.
        """
        return self.root / checked(key)

    def get(self, key: str) -> bytes:
        """Read what a key holds.

        Raises
        ------
        RejectedError
            If nothing was ever put there.
        """
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError as error:
            raise RejectedError(f"{key}: not in the store {self.root}") from error
        except OSError as error:
            raise SourceError(f"{key}: cannot be read: {error.strerror}") from error

    def list(self, prefix: str = "") -> Keys:
        """List the keys that begin with a prefix, sorted."""
        folder, _, _ = prefix.rpartition("/")
        start = self.root / checked(folder) if folder else self.root
        keys = (name for name in _files(start, folder) if name.startswith(prefix))
        return sorted(keys)

    def put_new(self, key: str, source: Path | bytes) -> None:
        """Store a file, or some bytes, under a key that does not change afterwards.

        Putting the same content again is fine, so a step that is tried again needs no special case.

        Raises
        ------
        RejectedError
            If the key already holds other content.
        SourceError
            If the disk refuses; nothing is left behind.
        """
        target = self.path(key)
        with _writing(key), self._staged(source) as staged:
            _make_folder(target.parent, self.root)
            if not _link(staged, target) and not _same(staged, target):
                raise RejectedError(f"{key}: already holds other content, and what is stored does not change")
            _flush_folders(target.parent, self.root)

    def commit_new(self, log_prefix: str, payload: dict[str, Any], *, number: int | None = None) -> int:
        """Append an entry to a log and give its number; the first is 1 and none is left out.

        The entry is the payload with its ``sequence`` and a ``nonce`` that tells our entry from another writer's.

        Parameters
        ----------
        log_prefix : key of the log's folder, such as ``log``.
        payload : what the entry says, in JSON's types.
        number : the only number to take, for a writer whose work holds only if nobody came first; None takes the next.

        Raises
        ------
        RejectedError
            If ``number`` is not the next one, because another writer came first or numbers before it are missing.
        SourceError
            If the disk refuses; no number is taken.
        """
        if OURS & payload.keys():
            raise RejectedError(
                f"{log_prefix}: an entry's {sorted(OURS)} are given by the store, found them in the payload"
            )
        nonce = secrets.token_hex(16)
        while True:
            following = self._last(log_prefix) + 1
            if number is not None and number != following:
                raise RejectedError(f"{log_prefix}: entry {number} cannot be committed, the next one is {following}")
            entry = canonical({**payload, "sequence": following, "nonce": nonce})
            if self._commit(f"{log_prefix}/{following:020d}.json", entry):
                return following

    def replace(self, key: str, content: bytes) -> None:
        """Replace what a key holds, in one step for every reader; only for what can be derived again."""
        target = self.path(key)
        with _writing(key), self._staged(content) as staged:
            _make_folder(target.parent, self.root)
            staged.replace(target)
            _flush_folders(target.parent, self.root)

    def _last(self, log_prefix: str) -> int:
        """Give the greatest number in a log, 0 when it is empty."""
        folder = self.path(log_prefix)
        if not folder.is_dir():
            return 0
        return max((int(entry.stem) for entry in folder.iterdir() if ENTRY.fullmatch(entry.name)), default=0)

    def _commit(self, key: str, entry: bytes) -> bool:
        """Take one number of a log; False when another writer has it."""
        target = self.path(key)
        with _writing(key), self._staged(entry) as staged:
            _make_folder(target.parent, self.root)
            taken = _link(staged, target) or target.read_bytes() == entry
            _flush_folders(target.parent, self.root)
        return taken

    @contextmanager
    def _staged(self, source: Path | bytes) -> Iterator[Path]:
        """Write the source to a flushed file of its own on the same disk, and remove it afterwards."""
        staging = self.root / STAGING
        _make_folder(staging, self.root)
        staged = staging / secrets.token_hex(16)
        try:
            if isinstance(source, bytes):
                staged.write_bytes(source)
            else:
                shutil.copyfile(source, staged)
            _flush(staged)
            yield staged
        finally:
            staged.unlink(missing_ok=True)


def checked(key: str) -> str:
    """Give a key back, if it can only name a file below the root.

    >>> checked("releases/1/release.json")
    'releases/1/release.json'

    Raises
    ------
    RejectedError
        If the key is absolute, leaves the root, is hidden, is too long, or holds a backslash or a character that
        cannot be seen (control, zero-width, direction marks) or that can be written in two ways (not NFC).
    """
    parts = key.split("/")
    if any(not part or part.startswith(".") or len(part.encode(errors="replace")) > LONGEST_PART for part in parts):
        raise RejectedError(
            f"{key!r}: not a key: a part is empty, hidden, leads upwards or is over {LONGEST_PART} bytes"
        )
    unseen = [char for char in key if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    if unseen or "\\" in key or not unicodedata.is_normalized("NFC", key) or len(key) > LONGEST_KEY:
        raise RejectedError(
            f"{key!r}: not a key: backslash, unseen character, not NFC or over {LONGEST_KEY} characters"
        )
    return key


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes ``path`` only once everything is written and flushed.

    A reader sees the file before or after, never a part of it; on any error ``path`` stays as it was. The path that is
    given has the same suffix, for writers that choose a format by it.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "figures.csv"
    >>> with whole(target) as partial:
    ...     _ = partial.write_text("rows,12")
    >>> target.read_text()
    'rows,12'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    try:
        yield partial
        with _writing(str(path)):
            _flush(partial)
            partial.replace(path)
            _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """Compute the SHA-256 of a file in hexadecimal, reading 4 MiB at a time."""
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            checksum.update(block)
    return checksum.hexdigest()


def canonical(value: dict[str, Any] | list[Any]) -> bytes:
    """Write JSON in its one canonical form: sorted keys, no spaces, UTF-8, no NaN.

    >>> canonical({"b": 1, "a": ["é"]}).decode()
    '{"a":["é"],"b":1}'

    Raises
    ------
    RejectedError
        If a value has no exact form in JSON.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError) as error:
        raise RejectedError(f"no canonical JSON: {error}") from error


def digest(value: dict[str, Any] | list[Any]) -> str:
    """Compute the SHA-256, in hexadecimal, of a value's canonical JSON.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(value)).hexdigest()


@contextmanager
def _writing(key: str) -> Iterator[None]:
    """Say what could not be written, when the disk refuses."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{key}: cannot be written: {error.strerror or error}") from error


def _link(staged: Path, target: Path) -> bool:
    """Give a staged file its name; False when the name is taken."""
    try:
        os.link(staged, target)
    except FileExistsError:
        return False
    return True


def _same(one: Path, other: Path) -> bool:
    """Tell whether two files hold the same bytes."""
    return one.stat().st_size == other.stat().st_size and sha256_file(one) == sha256_file(other)


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder, and the root on a disk that remembers it."""
    if not root.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        _flush(root.parent)
    folder.mkdir(parents=True, exist_ok=True)


def _flush_folders(folder: Path, root: Path) -> None:
    """Flush a folder's names to the disk, and those of each folder above it up to the root."""
    while folder != root:
        _flush(folder)
        folder = folder.parent
    _flush(root)


def _flush(path: Path) -> None:
    """Flush one file, or the names in one folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path, key: str) -> Iterator[str]:
    """Walk the keys below a folder, leaving out what is hidden."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".")]
    for entry in entries:
        below = f"{key}/{entry.name}" if key else entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder / entry.name, below)
        elif entry.is_file(follow_symlinks=False):
            yield below
