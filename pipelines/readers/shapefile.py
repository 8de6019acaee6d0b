"""Shapefiles, loose or in an archive, by GDAL with every other driver taken away."""

import codecs
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers import archive, columns, layers
from pipelines.readers.dbf import Survey, survey
from pipelines.readers.detection import Seen, contradiction, look, same
from pipelines.readers.report import Report
from pipelines.readers.tables import ROW, without
from pipelines.readers.transcode import MARKED, decoded, show

OPTIONS: dict[str, tuple[type, ...]] = {"encoding": (str,), "layer": (str,)}
DRIVER = "ESRI Shapefile"
MAGIC = b"\x00\x00\x27\x0a"
SHP_HEADER_BYTES = 100
SHX_RECORD_BYTES = 8
BLOCK_BYTES = 1 << 20
SIDECARS = frozenset((".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".atx", ".ain", ".aih", ".xml"))
LANGUAGE_DRIVERS = {0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0xC8: "cp1250", 0xC9: "cp1251"}
"""The .dbf's own byte of its code page, as far as the usual ones; 0x57 is written by programs that know no better."""
AGAIN = "ask for the file again, with all its parts"
CODE_PAGES = {"88591": "latin-1", "8859-1": "latin-1", "ansi": "cp1252", "oem": "cp437", "utf8": "utf-8"}


@dataclass(frozen=True)
class _Parts:
    """A shapefile's parts: how GDAL opens it, and the size and the bytes of each part by suffix."""

    path: str
    sizes: dict[str, int]
    blocks: Callable[[str], Iterator[bytes]]

    def start(self, suffix: str, size: int) -> bytes:
        """Give the first bytes of a part, with zeros for those that are missing."""
        return next(self.blocks(suffix), b"")[:size].ljust(size, b"\x00")


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the records of a shapefile, its shapes as WKB in `_wkb` and its attributes as text.

    Parameters
    ----------
    path : the .shp, beside which the .shx, .dbf, .prj and .cpg that were delivered lie under the same stem, or an
        archive with all of them.
    options : `encoding` of the .dbf, which stands above a .cpg; `layer`, where the archive holds several shapefiles.
    report : where findings go; its `crs` becomes the authority code or WKT of the .prj.

    Notes
    -----
    A row's number is its record's. A record whose text is none in the encoding is rejected. Points, lines and polygons
    are as the file has them, with Z and M; a null shape is null. Records that are marked as deleted are counted.
    """
    with ExitStack() as stack:
        parts = _zipped(path, stack, options, report) if archive.is_zip(path) else _loose(path, report)
        if parts.start(".shp", 4) != MAGIC:
            report.refuse("read.not_shapefile", "the .shp does not begin like one", AGAIN)
        _check_parts(parts, report)
        _check_sizes(parts, report)
        layers.only(DRIVER, report)
        with layers.refusing(report, parts.path, AGAIN):
            yield from _records(parts, options, report)


def _loose(path: Path, report: Report) -> _Parts:
    beside = {each.suffix: each for each in path.parent.glob(f"{path.stem}.*")}
    return _Parts(str(path), {suffix: each.stat().st_size for suffix, each in beside.items()}, partial(_blocks, beside))


def _blocks(beside: dict[str, Path], suffix: str) -> Iterator[bytes]:
    with beside[suffix].open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _zipped(path: Path, stack: ExitStack, options: dict[str, Any], report: Report) -> _Parts:
    opened = stack.enter_context(archive.opened(path, report))
    members = archive.members(opened)
    stems = {str(PurePosixPath(each.filename).with_suffix("")): each.filename for each in members if _is_shp(each)}
    if not stems:
        names = ", ".join(each.filename for each in members[:20]) or "nothing"
        report.refuse("read.not_shapefile", f"an archive with {names}", "deliver an archive with one shapefile")
    shown = {PurePosixPath(stem).name if _is_alone(stem, stems) else stem: stem for stem in stems}
    stem = shown[layers.choose(sorted(shown), options.get("layer"), report)]
    own = {each.filename[len(stem) :].lower(): each for each in members if _belongs(each, stem)}
    others = [each.filename for each in members if each not in own.values() and not _is_sidecar(each)]
    if others:
        hint = "the archive holds them beside the shapefile; they are not read"
        report.issue("read.other_members", ", ".join(others[:50]), hint, severity="info")
    for part in own.values():
        for _block in archive.blocks(opened, part.filename):
            pass  # its checksum is compared at the end
    sizes = {suffix: part.file_size for suffix, part in own.items()}
    names_of = {suffix: part.filename for suffix, part in own.items()}
    return _Parts(archive.inside(path, stems[stem]), sizes, lambda suffix: archive.blocks(opened, names_of[suffix]))


def _is_shp(member: zipfile.ZipInfo) -> bool:
    return member.filename.lower().endswith(".shp")


def _is_alone(stem: str, stems: dict[str, str]) -> bool:
    return sum(PurePosixPath(each).name == PurePosixPath(stem).name for each in stems) == 1


def _belongs(member: zipfile.ZipInfo, stem: str) -> bool:
    return member.filename.startswith(f"{stem}.") and _is_sidecar(member)


def _is_sidecar(member: zipfile.ZipInfo) -> bool:
    return PurePosixPath(member.filename).suffix.lower() in SIDECARS


def _check_parts(parts: _Parts, report: Report) -> None:
    missing = [suffix for suffix in (".shx", ".dbf") if suffix not in parts.sizes]
    if missing:
        hint = "name all parts of the shapefile in the feed, or ask for those that were not delivered"
        report.refuse("read.parts_missing", f"no {' and no '.join(missing)}", hint)


def _check_sizes(parts: _Parts, report: Report) -> None:
    """Refuse parts that are shorter than they say or that do not fit each other; GDAL would fill such gaps."""
    for suffix in (".shp", ".shx"):
        said = 2 * struct.unpack(">i", parts.start(suffix, 28)[24:])[0]
        if parts.sizes[suffix] < said:
            report.refuse("read.malformed", f"{suffix} has fewer than the {said} bytes it tells of", AGAIN)
    count, header, width = struct.unpack("<iHH", parts.start(".dbf", 12)[4:])
    if parts.sizes[".dbf"] < header + count * width:
        report.refuse("read.malformed", f".dbf is too short for the {count} records it tells of", AGAIN)
    indexed = (parts.sizes[".shx"] - SHP_HEADER_BYTES) // SHX_RECORD_BYTES
    if indexed != count:
        report.refuse("read.malformed", f".shx tells of {indexed} records and .dbf of {count}", AGAIN)


def _records(parts: _Parts, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    layer = layers.describe(parts.path, None, ENCODING="")
    raw_names = [name.encode("latin-1") for name in layer.fields]
    encoding, seen = _encoding(parts, raw_names, options, report)
    found = survey(parts.blocks(".dbf"), report.limits.rejected_rows)
    (count,) = struct.unpack("<i", parts.start(".dbf", 8)[4:])
    source = layers.batches(
        replace(layer, features=count - found.deleted),
        report,
        number=_record_numbers,
        prepare=partial(_text, encoding=encoding),
        names=tuple(show(decoded(name, encoding)) for name in raw_names),
        no_crs="the .prj cannot be read" if ".prj" in parts.sizes else "no .prj",
        ENCODING="",
    )
    for batch in source:
        fitting = _fitting(batch, found.unfit, report) if found.unfit else batch
        yield _sound(fitting, encoding, report) if seen.words else fitting
    _tell(found, report)


def _tell(found: Survey, report: Report) -> None:
    """Tell what is left out of the table by the format's own rules."""
    if found.deleted:
        hint = "records marked as deleted are left out, as the format says"
        report.issue("read.deleted_records", f"{found.deleted} records", hint, severity="info")
    stars = ", ".join(f"{name}: {count}" for name, count in found.stars.items() if count)
    if stars:
        hint = "numbers that are asterisks: none, or too long for the field; they are empty here"
        report.issue("read.asterisks", stars, hint, severity="info")


def _record_numbers(ids: pa.Array, _before: int) -> pa.Array:
    return pc.add(ids, 1).cast(pa.int64())


def _encoding(parts: _Parts, names: list[bytes], options: dict[str, Any], report: Report) -> tuple[str, Seen]:
    """Give the encoding of the .dbf and what its bytes look like; tell who states it, and whether the bytes agree."""
    seen = look(chain((name + b"\n" for name in names), _record_blocks(parts)))
    page = _page(parts, report)
    declared = options.get("encoding")
    stated = declared or page or LANGUAGE_DRIVERS.get(parts.start(".dbf", 30)[29])
    if stated is None:
        return _assumed(seen, report), seen
    who = "the table's options say" if declared else "the .cpg says" if page else "the .dbf says"
    if declared and page and not same(declared, page):
        found = f"{who} {declared}, the .cpg says {page}"
        report.issue("read.encoding_contradicted", found, "the options stand above the .cpg", severity="info")
    contrary = contradiction(seen, stated)
    if contrary:
        hint = "it is read as stated; state the right encoding in the table's options"
        report.issue("read.encoding_contradicted", f"{who} {stated}, but {contrary}", hint)
    return stated, seen


def _record_blocks(parts: _Parts) -> Iterator[bytes]:
    (header,) = struct.unpack("<H", parts.start(".dbf", 10)[8:])
    for position, block in enumerate(parts.blocks(".dbf")):
        yield block[header:] if position == 0 else block


def _page(parts: _Parts, report: Report) -> str | None:
    """Give the encoding that the .cpg names, or None; a word that names none is told."""
    if ".cpg" not in parts.sizes:
        return None
    word = parts.start(".cpg", 40).strip(b"\x00").decode("ascii", "replace").strip()
    page = CODE_PAGES.get(word.lower(), word)
    for name in (page, f"cp{page}"):
        try:
            return codecs.lookup(name).name
        except (LookupError, ValueError):
            continue
    report.issue("read.cpg_unknown", f"the .cpg says {word!r}", "that names no encoding; it is as if there were none")
    return None


def _assumed(seen: Seen, report: Report) -> str:
    encoding = seen.encoding() or "iso8859-1"
    hint = "state the encoding in the table's options"
    found = f"{encoding}, since no .cpg and no option states it"
    if seen.words:
        found += f"; detected from the bytes: {seen.reading(encoding)}"
    report.issue("read.encoding_assumed", found, hint, severity="warning" if seen.words else "info")
    return encoding


def _text(column: pa.Array, encoding: str) -> pa.Array:
    """Decode a column of bytes that GDAL calls text; bytes that are none are marked."""
    if not pa.types.is_string(column.type) or columns.is_ascii(column):
        return columns.text(column)
    distinct = column.cast(pa.binary()).dictionary_encode()
    words = [decoded(word, encoding) for word in distinct.dictionary.to_pylist()]
    return pa.array(words, pa.string()).take(distinct.indices)


def _fitting(batch: pa.RecordBatch, bad: dict[int, str], report: Report) -> pa.RecordBatch:
    """Reject the records with a number or a date that is none, which GDAL makes null or nought."""
    hit = pc.is_in(batch.column(ROW), pa.array(list(bad), pa.int64()))
    if not pc.any(hit, min_count=0).as_py():
        return batch
    hint = "the text does not fit the type of its field; correct it, or make it a field of text"
    for number in batch.column(ROW).filter(hit).to_pylist():
        report.reject_row("read.bad_value", bad[number], hint, row=number, column=bad[number].split(":")[0])
    return batch.filter(pc.invert(hit))


def _sound(batch: pa.RecordBatch, encoding: str, report: Report) -> pa.RecordBatch:
    bad = np.zeros(batch.num_rows, dtype=bool)
    for name in batch.schema.names:
        if pa.types.is_string(batch.schema.field(name).type):
            marked = pc.fill_null(pc.match_substring_regex(batch.column(name), MARKED), False)
            bad |= marked.to_numpy(zero_copy_only=False)
    hint = f"bytes that are no text in {encoding}; state the right encoding in the table's options"
    return without(batch, pa.array(bad), "read.encoding", hint, report, show=show) if bad.any() else batch
