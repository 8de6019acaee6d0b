"""KML and KMZ: the placemarks of a document in their order, by lxml.

GDAL makes a layer of every folder, leaves out what is no placemark without a word, and keeps no path of folders.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from pipelines.readers import archive, layers
from pipelines.readers.kml_shapes import GEOMETRIES, ShapeError, shape
from pipelines.readers.report import Report
from pipelines.readers.shapes import Tally
from pipelines.readers.tables import BATCH_ROWS, WKB, column_names, empty, raw_schema

OPTIONS: dict[str, tuple[type, ...]] = {"layer": (str,)}
CONTAINERS = ("Document", "Folder")
ROOTS = ("kml", *CONTAINERS, "Placemark")
OTHERS = ("NetworkLink", "GroundOverlay", "ScreenOverlay", "PhotoOverlay", "Tour")
"""What stands beside placemarks and holds no rows; a network link says that there are more elsewhere."""
DRAWING = frozenset(("Style", "StyleMap", "LookAt", "Camera", "Region", "styleUrl"))
DEPTH = 100
CRS84 = "OGC:CRS84"
HINT = "deliver KML as the standard has it, or declare the reader of this format"

Element = Any  # lxml's types are not told to the type checker


@dataclass
class _Document:
    """What was read of a document.

    Parameters
    ----------
    rows : number, texts by column, and shape as WKB.
    columns : names in the order in which they first appear.
    others : what is no placemark.
    """

    rows: list[tuple[int, dict[str, str], bytes | None]] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the placemarks of a KML document, their shapes as WKB in `_wkb`.

    Parameters
    ----------
    path : the document, or an archive (.kmz) that holds it, of no more bytes than the limits' `whole_file_bytes`.
    options : `layer`, the document's name, where an archive holds several and none is `doc.kml`.
    report : where findings go; its `crs` becomes OGC:CRS84, which KML always is.

    Notes
    -----
    A row's number is the placemark's place in the document, from 1. Columns are what placemarks have, and their
    extended data by name; `folder` is the way through documents and folders. Styles and views are left out. Shapes come
    with the heights that they have; several of different kinds become a collection. Links are never followed.
    """
    with ExitStack() as stack:
        source = _source(path, stack, options, report)
        document = _document(source, report)
    if document.others:
        found = ", ".join(f"{count} {name}" for name, count in document.others.items())
        severity = "warning" if "NetworkLink" in document.others else "info"
        report.issue("read.other_features", found, "not read; links are not followed", severity=severity)
    report.crs = CRS84
    yield from _batches(document, report)


def _source(path: Path, stack: ExitStack, options: dict[str, Any], report: Report) -> BinaryIO:
    """Open the document, in an archive or not, if it is not too large."""
    size = path.stat().st_size
    if archive.is_zip(path):
        opened = stack.enter_context(archive.opened(path, report))
        names = [each.filename for each in archive.members(opened) if each.filename.lower().endswith(".kml")]
        main = ["doc.kml"] if "doc.kml" in names and "layer" not in options else names
        name = layers.choose(main, options.get("layer"), report)
        size = opened.getinfo(name).file_size
        source = stack.enter_context(opened.open(name))
    else:
        source = stack.enter_context(path.open("rb"))  # type: ignore[assignment]
    if size > report.limits.whole_file_bytes:
        found = f"{size} bytes, at most {report.limits.whole_file_bytes} are read"
        report.refuse("read.too_large", found, "deliver the placemarks in parts, or as a GeoPackage")
    return source  # type: ignore[return-value]


def _document(source: BinaryIO, report: Report) -> _Document:
    document = _Document()
    for number, (placemark, folders) in enumerate(_placemarks(source, document.others, report), start=1):
        texts, drawn = _taken(placemark, folders)
        document.columns.update(dict.fromkeys(texts))
        try:
            document.rows.append((number, texts, shape(drawn)))
        except ShapeError as error:
            found = json.dumps(texts, ensure_ascii=False)
            report.reject_row("read.bad_shape", found, f"the shape cannot be read: {error}", row=number, column=WKB)
        report.check()
    return document


def _placemarks(source: BinaryIO, others: Counter[str], report: Report) -> Iterator[tuple[Element, str]]:
    """Give each placemark with the names of its folders; it is emptied before the next one comes."""
    from lxml import etree  # native code that only a reader of XML loads

    settings = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False}
    events = etree.iterparse(source, events=("start", "end"), remove_comments=True, remove_pis=True, **settings)
    folders: list[str] = []
    depth = inside = 0
    try:
        for event, element in events:
            name = _local(element)
            if event == "start":
                depth += 1
                _check(element, depth, report)
                folders += [""] * (name in CONTAINERS)
                inside += name == "Placemark"
                continue
            depth -= 1
            if name == "Placemark":
                inside -= 1
                yield element, "/".join(filter(None, folders))
            elif name == "name" and folders and not inside and _local(element.getparent()) in CONTAINERS:
                folders[-1] = (element.text or "").strip()
            elif name in CONTAINERS:
                folders.pop()
            others.update([name] if name in OTHERS else [])
            if not inside:
                _forget(element)
    except etree.XMLSyntaxError as error:
        report.refuse("read.malformed", f"line {error.lineno}: {error.msg}", "ask for the document again")


def _check(element: Element, depth: int, report: Report) -> None:
    if depth > DEPTH:
        report.refuse("read.too_deep", f"more than {DEPTH} elements within each other", HINT)
    if depth == 1 and element.getroottree().docinfo.internalDTD is not None:
        report.refuse("read.refused", "the document declares a document type", "deliver KML without a document type")
    if depth == 1 and _local(element) not in ROOTS:
        report.refuse("read.not_kml", f"an XML document that begins with {_local(element)}", HINT)


def _forget(element: Element) -> None:
    """Empty an element that is done with, and take away those before it."""
    element.clear(keep_tail=False)
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _taken(placemark: Element, folders: str) -> tuple[dict[str, str], list[Element]]:
    """Give a placemark's texts by column, and the elements that are its shape."""
    texts = {"id": placemark.get("id", ""), "folder": folders}
    drawn = []
    for child in placemark:
        name = _local(child)
        if name in GEOMETRIES:
            drawn.append(child)
            texts["altitudeMode"] = next((each.text or "" for each in child.iter("{*}altitudeMode")), "")
        elif name == "ExtendedData":
            for key, value in _extended(child):
                texts[key if key not in texts else f"ExtendedData.{key}"] = value
        elif name in ("TimeStamp", "TimeSpan"):
            texts.update({_local(each): each.text or "" for each in child})
        elif name not in DRAWING:
            texts[name] = "".join(child.itertext()).strip()
    return {name: text for name, text in texts.items() if text}, drawn


def _extended(element: Element) -> Iterator[tuple[str, str]]:
    """Give names and values of extended data: `Data`, `SimpleData`, and lists as JSON."""
    for each in element.iter("{*}Data", "{*}SimpleData", "{*}SimpleArrayData"):
        key = each.get("name") or "unnamed"
        if _local(each) == "SimpleArrayData":
            yield key, json.dumps([value.text for value in each], ensure_ascii=False)
        elif _local(each) == "Data":
            yield key, "".join(value.text or "" for value in each.iter("{*}value")).strip()
        else:
            yield key, (each.text or "").strip()


def _local(element: Element) -> str:
    """Give an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _batches(document: _Document, report: Report) -> Iterator[pa.RecordBatch]:
    names = list(document.columns)
    schema = raw_schema(column_names(names, report), geometry=True)
    yield empty(schema)
    tally = Tally()
    for start in range(0, len(document.rows), BATCH_ROWS):
        rows = document.rows[start : start + BATCH_ROWS]
        texts = [pa.array([row[1].get(name) for row in rows], pa.string()) for name in names]
        shapes = pa.array([row[2] for row in rows], pa.binary())
        batch = pa.record_batch([*texts, shapes, pa.array([row[0] for row in rows], pa.int64())], schema=schema)
        yield tally.sound(batch, report)
    tally.tell(report)
