"""How a complete file of a format ends, to tell one that was cut short. Bytes only: nothing is parsed here."""

from collections.abc import Callable
from pathlib import Path

ZIP_END = b"PK\x05\x06"
ZIP_END_BYTES = 22 + 65_535


def ending(reader: str) -> Callable[[Path], str | None] | None:
    """Give the judge of a reader's files, or None where the format has no end of its own."""
    judges = {
        "filegdb": _zip_end,
        "geojson": _json_end,
        "geoparquet": _parquet_end,
        "gml": _xml_end,
        "json": _json_end,
        "xlsx": _zip_end,
    }
    return judges.get(reader)


def _zip_end(path: Path) -> str | None:
    return None if ZIP_END in _tail(path, ZIP_END_BYTES) else "the archive's end record is missing"


def _json_end(path: Path) -> str | None:
    last = _tail(path, 4096).rstrip()[-1:]
    return None if last in (b"]", b"}") else "the last bracket is missing"


def _xml_end(path: Path) -> str | None:
    last = _tail(path, 4096).rstrip(b"\x00 \t\r\n")[-1:]
    return None if last == b">" else "the last closing tag is missing"


def _parquet_end(path: Path) -> str | None:
    return None if _tail(path, 4) == b"PAR1" else "the footer is missing"


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read(size)


ENDINGS: dict[str, Callable[[Path], str | None]] = {
    "filegdb": _zip_end,
    "geojson": _json_end,
    "geoparquet": _parquet_end,
    "json": _json_end,
    "xlsx": _zip_end,
}
