"""GeoJSON (RFC 7946): a collection of features in one document, or a feature on each line.

GDAL reads both, but takes the last of two values of one name, passes over lines that are no feature, and fetches a
linked coordinate system; so the text is parsed here, feature by feature, and GEOS reads the shapes.
"""

import codecs
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipelines.formats import kind
from pipelines.readers import strict_json
from pipelines.readers.report import Report
from pipelines.readers.shapes import Tally
from pipelines.readers.tables import column_names, empty, raw_schema

OPTIONS: dict[str, tuple[type, ...]] = {}
BATCH_ROWS = 4096
BATCH_CHARACTERS = 8 << 20
FEATURE_CHARACTERS = 64 << 20
"""The longest feature that is read."""
BLOCK_BYTES = 1 << 20
BLANK = " \t\r\n"
GEOMETRIES = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
MEMBERS = frozenset(("type", "id", "geometry", "properties", "bbox"))
HINT = "deliver GeoJSON as RFC 7946 has it, in UTF-8"
CRS84 = "OGC:CRS84"


@dataclass(frozen=True)
class _Item:
    """What stands in a place of the list, or on a line: a value, or why there is none."""

    number: int
    value: Any
    size: int
    fault: tuple[str, str, str] | None = None


@dataclass
class _Outline:
    """What a first pass tells of a file.

    Parameters
    ----------
    names : of properties, in the order in which they first appear.
    has_ids : whether any feature has an id.
    foreign : count of members that RFC 7946 does not know.
    document : members of the document beside its features.
    """

    names: dict[str, None] = field(default_factory=dict)
    has_ids: bool = False
    foreign: Counter[str] = field(default_factory=Counter)
    document: dict[str, Any] = field(default_factory=dict)

    def see(self, item: _Item) -> None:
        """Note a feature's names."""
        if item.fault or not isinstance(item.value, dict):
            return
        properties = item.value.get("properties")
        if isinstance(properties, dict):
            self.names.update(dict.fromkeys(properties))
        self.has_ids = self.has_ids or item.value.get("id") is not None
        if item.value.get("type") == "Feature":
            self.foreign.update(item.value.keys() - MEMBERS)


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the features of a GeoJSON document, their shapes as WKB in `_wkb`.

    Parameters
    ----------
    path : the document, in UTF-8: a FeatureCollection, or one Feature.
    options : none.
    report : where findings go; its `crs` becomes OGC:CRS84, or what an old `crs` member names.

    Notes
    -----
    A row's number is the feature's place in the list, from 1. Columns are the feature's `id` where any has one (named
    `feature_id` if there is a property `id`), then the union of the properties; a missing one is null. Nested values
    stay JSON text. Z comes along. A feature without a geometry has none; one whose geometry cannot be read, and what is
    no feature, is rejected. A document with a name twice in one object, or with NaN, is refused.
    """
    sys.setrecursionlimit(strict_json.DEPTH)
    outline = _Outline()
    for item in _document(path, outline, report):
        outline.see(item)
    _check_crs(outline.document, report)
    _check_complete(outline.document, report)
    yield from _batches(_document(path, _Outline(), report), outline, report)


def read_lines(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the features of newline-delimited GeoJSON, as `read` does.

    Notes
    -----
    A row's number is its line. Empty lines are skipped, and so is the record separator of RFC 8142 at a line's begin. A
    line that is no feature is rejected, and the others go on.
    """
    sys.setrecursionlimit(strict_json.DEPTH)
    _check_kind(path, report)
    first = next(_raw_lines(path, report), (1, b""))[1]
    if not first.startswith(b"{"):
        found = f"the first line is no object: {first[:80].decode('utf-8', 'backslashreplace')}"
        report.refuse("read.not_geojson", found, "deliver one feature on each line")
    outline = _Outline()
    for item in _lines(path, report):
        outline.see(item)
    report.crs = CRS84
    yield from _batches(_lines(path, report), outline, report)


def _check_kind(path: Path, report: Report) -> None:
    with path.open("rb") as file:
        found = kind(file.read(4096))
    if found:
        report.refuse("read.not_geojson", found, "deliver GeoJSON, or declare the reader of this format")


def _lines(path: Path, report: Report) -> Iterator[_Item]:
    decoder = strict_json.decoder()
    for number, line in _raw_lines(path, report):
        yield _line(number, line, decoder)


def _raw_lines(path: Path, report: Report) -> Iterator[tuple[int, bytes]]:
    """Give the lines that are not empty with their numbers."""
    with path.open("rb") as file:
        for number in count(1):
            line = file.readline(FEATURE_CHARACTERS)
            if len(line) >= FEATURE_CHARACTERS:
                report.refuse("read.too_large", f"line {number} has {len(line)} bytes or more", "check its line ends")
            if not line:
                return
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            line = line.strip(b"\x1e \t\r\n")
            if line:
                yield number, line


def _line(number: int, line: bytes, decoder: json.JSONDecoder) -> _Item:
    try:
        return _Item(number, decoder.decode(line.decode("utf-8")), len(line))
    except RecursionError:
        fault = "read.too_deep", f"nested deeper than about {strict_json.DEPTH} levels"
    except UnicodeDecodeError:
        fault = "read.encoding", "bytes that are no text in UTF-8"
    except ValueError as error:
        fault = "read.malformed_line", f"{error}; every line must be one feature"
    return _Item(number, None, len(line), (fault[0], line.decode("utf-8", "backslashreplace"), fault[1]))


class _Text:
    """A document's text, of which no more is held than the value that is being read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = strict_json.decoder()
        self._text, self._place, self._ended = "", 0, False

    def next(self) -> str:
        """Give the next character that is no blank, without taking it, or nothing at the end."""
        while True:
            while self._place < len(self._text) and self._text[self._place] in BLANK:
                self._place += 1
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more():
                return ""

    def take(self, wanted: str) -> bool:
        """Take a character if it comes next."""
        found = self.next() == wanted
        self._place += found
        return found

    def expect(self, wanted: str) -> None:
        """Take a character that must come next."""
        if not self.take(wanted):
            raise ValueError(f"{wanted!r} expected, found {self.next() or 'the end'!r}")

    def value(self) -> tuple[Any, int]:
        """Take a value, and give it with its length.

        Raises
        ------
        ValueError
            If there is none, or it is longer than FEATURE_CHARACTERS.
        """
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
                if end < len(self._text) or self._ended:
                    size, self._place = end - self._place, end
                    return value, size
            except json.JSONDecodeError as error:
                if self._ended or (error.pos < len(self._text) - 16 and not error.msg.startswith("Unterminated")):
                    raise ValueError(error.msg) from error
            if len(self._text) - self._place > FEATURE_CHARACTERS:
                raise ValueError(f"a value of more than {FEATURE_CHARACTERS} characters")
            self._more()

    def _more(self) -> bool:
        """Read on, ever larger pieces while one value goes on."""
        if self._ended:
            return False
        left = self._text[self._place :]
        block = self._file.read(max(BLOCK_BYTES, len(left)))
        self._ended = not block
        self._text, self._place = left + self._utf8.decode(block, final=not block), 0
        return True


def _document(path: Path, outline: _Outline, report: Report) -> Iterator[_Item]:
    """Give the features of a document one by one, and note its other members."""
    _check_kind(path, report)
    number = 0
    try:
        with path.open("rb") as file:
            text = _Text(file)
            for item in _features(text, outline.document):
                number = item.number
                yield item
            if text.next():
                raise ValueError("more text behind the document")
        if outline.document.get("type") == "Feature":
            yield _Item(1, outline.document, 0)
    except RecursionError:
        found = f"feature {number + 1} is nested deeper than about {strict_json.DEPTH} levels"
        report.refuse("read.too_deep", found, HINT)
    except UnicodeDecodeError as error:
        report.refuse("read.encoding", f"behind feature {number}: {error}", "save the document as UTF-8")
    except ValueError as error:
        report.refuse("read.malformed", f"behind feature {number}: {error}", HINT)
    if outline.document.get("type") not in ("FeatureCollection", "Feature"):
        found = f"an object of type {outline.document.get('type')!r} with {sorted(outline.document)[:20]}"
        report.refuse("read.not_geojson", found, "deliver a FeatureCollection")


def _features(text: _Text, document: dict[str, Any]) -> Iterator[_Item]:
    text.expect("{")
    while not text.take("}"):
        if document:
            text.expect(",")
        name, _size = text.value()
        if not isinstance(name, str) or name in document:
            raise ValueError(f"{name!r} where the name of another member is expected")
        text.expect(":")
        if name == "features" and text.next() == "[":
            document[name] = None
            yield from _list(text)
        else:
            document[name], _size = text.value()


def _list(text: _Text) -> Iterator[_Item]:
    number = 0
    text.expect("[")
    while not text.take("]"):
        if number:
            text.expect(",")
        number += 1
        value, size = text.value()
        yield _Item(number, value, size)


def _check_crs(document: dict[str, Any], report: Report) -> None:
    """Give the report the CRS of the document; a linked one is refused, since nothing is fetched."""
    report.crs = CRS84
    if "crs" not in document:
        return
    crs = document["crs"]
    named = crs.get("properties") if isinstance(crs, dict) and crs.get("type") == "name" else None
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(name, str):
        hint = "name the coordinate system, or deliver WGS 84 without a `crs` member"
        report.refuse("read.crs_unknown", f"crs: {strict_json.text(crs)}", hint)
    report.crs = _authority(name)
    if report.crs != CRS84:
        hint = "an old `crs` member; the feed must declare this system"
        report.issue("read.crs_stated", f"{name} ({report.crs})", hint, severity="info")


def _check_complete(document: dict[str, Any], report: Report) -> None:
    """Tell when the service that wrote the document says that it holds only a part."""
    properties = document.get("properties")
    places = [document, properties if isinstance(properties, dict) else {}]
    if any(place.get("exceededTransferLimit") is True for place in places):
        hint = "the service cut its answer at its limit; fetch the layer page by page"
        report.issue("read.incomplete", "exceededTransferLimit: true", hint)


def _authority(name: str) -> str:
    """Give an authority code of a name.

    >>> _authority("urn:ogc:def:crs:EPSG::24378"), _authority("urn:ogc:def:crs:OGC:1.3:CRS84"), _authority("EPSG:4326")
    ('EPSG:24378', 'OGC:CRS84', 'EPSG:4326')
    """
    parts = name.split(":")
    return f"{parts[4]}:{parts[6]}" if len(parts) == 7 and name.lower().startswith("urn:ogc:def:crs:") else name


def _batches(items: Iterator[_Item], outline: _Outline, report: Report) -> Iterator[pa.RecordBatch]:
    taken = {name.casefold() for name in outline.names}
    ids = [("id" if "id" not in taken else "feature_id")] if outline.has_ids else []
    names = list(outline.names)
    schema = raw_schema(column_names([*ids, *names], report), geometry=True)
    yield empty(schema)
    tally = Tally()
    for chunk in _chunks(items):
        report.check()
        rows = [row for item in chunk if (row := _row(item, names, bool(ids), report))]
        if rows:
            yield tally.sound(_batch(rows, schema, report), report)
    if outline.foreign:
        found = ", ".join(f"{name!r} of {times} features" for name, times in outline.foreign.most_common(20))
        report.issue("read.foreign_members", found, "members beside `properties` are not read; ask what they are")
    tally.tell(report)


def _chunks(items: Iterator[_Item]) -> Iterator[list[_Item]]:
    chunk: list[_Item] = []
    size = 0
    for item in items:
        chunk.append(item)
        size += item.size
        if len(chunk) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


_Row = tuple[int, list[str | None], str | None]


def _row(item: _Item, names: list[str], with_id: bool, report: Report) -> _Row | None:
    """Give a feature's number, texts and geometry as JSON text, or reject it."""
    if item.fault:
        rule, found, hint = item.fault
        report.reject_row(rule, found, hint, row=item.number)
        return None
    feature = item.value if isinstance(item.value, dict) else {}
    geometry, properties = feature.get("geometry"), feature.get("properties") or {}
    drawn = geometry is None or (isinstance(geometry, dict) and geometry.get("type") in GEOMETRIES)
    if feature.get("type") != "Feature" or not isinstance(properties, dict) or not drawn:
        report.reject_row("read.not_a_feature", json.dumps(item.value, ensure_ascii=False), HINT, row=item.number)
        return None
    try:
        cells = [strict_json.text(properties.get(name)) for name in names]
        cells = [strict_json.text(feature.get("id")), *cells] if with_id else cells
        _check_text("".join(cell for cell in cells if cell))
    except ValueError as error:
        fault = "the text holds half of a character pair" if isinstance(error, UnicodeError) else str(error)
        report.reject_row("read.bad_value", json.dumps(feature), fault, row=item.number)
        return None
    return item.number, cells, None if geometry is None else json.dumps(geometry)


def _check_text(text: str) -> None:
    text.encode("utf-8")
    if "\x00" in text:
        raise ValueError("leave out the NUL character")


def _batch(rows: list[_Row], schema: pa.Schema, report: Report) -> pa.RecordBatch:
    """Make a batch of features; those whose geometry GEOS does not take are rejected with its reason."""
    import shapely  # GEOS: native code that only a reader of shapes loads

    texts = np.array([geometry for _number, _cells, geometry in rows], dtype=object)
    read = shapely.from_geojson(texts, on_invalid="ignore")
    for place in np.flatnonzero(shapely.is_missing(read) & (texts != None)):  # noqa: E711 - elementwise
        number, _cells, geometry = rows[place]
        report.reject_row("read.bad_shape", str(geometry), _reason(str(geometry)), row=number, column="geometry")
    good = [place for place in range(len(rows)) if texts[place] is None or not shapely.is_missing(read[place])]
    columns = list(zip(*(rows[place][1] for place in good), strict=True)) or [()] * (len(schema) - 2)
    numbers = [rows[place][0] for place in good]
    shapes = pa.array(shapely.to_wkb(read[good], output_dimension=3), pa.binary())
    return pa.record_batch([*(pa.array(each, pa.string()) for each in columns), shapes, numbers], schema=schema)


def _reason(geometry: str) -> str:
    import shapely

    try:
        shapely.from_geojson(geometry)
    except shapely.GEOSException as error:
        return f"the shape cannot be read: {str(error).splitlines()[0][:300]}"
    return "the shape cannot be read"
