"""Zip archives of partners, judged by their directory before anything is unpacked."""

import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.readers.report import Report

ZIP = b"PK\x03\x04"
BLOCK_BYTES = 1 << 20
NESTED = (".zip", ".7z", ".rar", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".kmz")
CLUTTER = ("__MACOSX/", "._", ".DS_Store", "Thumbs.db")
"""What file managers leave in archives."""
AGAIN = "pack the files again, each under a plain name of its own, and deliver the archive"


def is_zip(path: Path) -> bool:
    """Tell whether a file begins like an archive."""
    with path.open("rb") as file:
        return file.read(4) == ZIP


@contextmanager
def opened(path: Path, report: Report) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose directory is sound.

    Raises
    ------
    RejectedError
        If it cannot be opened, or a member has a name or a kind that no file should have, or there is more in it than
        the limits allow.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _judge(archive.infolist(), path.stat().st_size, report)
            yield archive
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        report.refuse("read.malformed", f"the archive cannot be read ({error})", AGAIN)


def members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Give the files in an archive, without folders and what file managers leave behind."""
    return [
        member
        for member in archive.infolist()
        if not member.is_dir() and not any(part.startswith(CLUTTER) for part in _parts(member.filename))
    ]


def blocks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Give a member's bytes; at its end its checksum is compared."""
    with archive.open(name) as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def inside(path: Path, name: str) -> str:
    """Give the path by which GDAL opens a member, or a folder of members."""
    return f"/vsizip/{{{path}}}/{name}"


def _judge(listed: list[zipfile.ZipInfo], size: int, report: Report) -> None:
    if len(listed) > report.limits.members:
        found = f"{len(listed)} members, at most {report.limits.members} are read"
        report.refuse("read.too_large", found, AGAIN)
    unpacked = sum(member.file_size for member in listed)
    ratio = unpacked / max(1, size)
    if unpacked > report.limits.archive_bytes or (ratio > report.limits.unpacked_ratio and unpacked > 1 << 20):
        found = f"{unpacked} bytes when unpacked, {ratio:.0f} for each packed one"
        report.refuse("read.too_large", found, "deliver the files without an archive, or in parts")
    seen: set[str] = set()
    for member in listed:
        fault = _fault(member)
        name = unicodedata.normalize("NFC", member.filename).casefold()
        if name in seen:
            fault = "stands twice in the archive, or differs in nothing but case"
        if fault:
            report.refuse("read.bad_archive", f"member {member.filename!a} {fault}", AGAIN)
        seen.add(name)


def _fault(member: zipfile.ZipInfo) -> str | None:
    """Say what is wrong with a member, or give None."""
    name = member.filename
    if "\\" in name or name.startswith("/") or ":" in name or ".." in _parts(name):
        return "points out of the archive"
    if any(unicodedata.category(each) in ("Cc", "Cf", "Co", "Cs") for each in name) or "{" in name or "}" in name:
        return "has a name that cannot be shown"
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is no plain file"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if name.lower().endswith(NESTED):
        return "is an archive within the archive"
    return None


def _parts(name: str) -> list[str]:
    return name.split("/")
