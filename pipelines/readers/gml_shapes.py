"""Shapes of GML as well-known binary with x before y, and what a srsName says about the order of its axes.

Source: OGC 07-036 (GML 3.2.1) and OGC 02-069 (GML 2.1.2) for the encodings; OGC 09-048 for URN and HTTP names of
coordinate systems, under which coordinates stand in the authority's order.
"""

import functools
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.readers.gml_features import Element, local

POINT, LINE, POLYGON, COLLECTION = 1, 2, 3, 7
MULTI = 3
"""What a code of a shape is raised by where there are several of it."""
ISO_Z = 1000
GATHERED = {
    "MultiPoint": POINT + MULTI,
    "MultiLineString": LINE + MULTI,
    "MultiCurve": LINE + MULTI,
    "MultiPolygon": POLYGON + MULTI,
    "MultiSurface": POLYGON + MULTI,
    "MultiGeometry": COLLECTION,
}
SURFACES = frozenset({"Surface", "CompositeSurface", "PolyhedralSurface"})
SHAPES = frozenset({"Point", "LineString", "LinearRing", "Polygon", "Curve", "CompositeCurve", *GATHERED, *SURFACES})
GML = re.compile(r"\{http://www\.opengis\.net/gml(/3\.\d)?\}")
CRS84 = re.compile(r"OGC:[\d.]*:?CRS84$|/OGC/[\d.]+/CRS84$", re.I)
AUTHORITY = re.compile(
    r"(urn:(x-)?ogc:def:crs:EPSG:[\d.]*:|https?://www\.opengis\.net/def/crs/EPSG/[\d.]+/)(\d+)$", re.I
)
CODE = re.compile(r"(?:EPSG:+|epsg\.xml#)(\d+)$", re.I)
POLE_DEG = 90.0


class ShapeError(ValueError):
    """A shape that cannot be read, in words for the partner."""


@dataclass(frozen=True)
class Axes:
    """What a srsName says.

    Parameters
    ----------
    crs : authority and code, or the name as it stands where it is not understood.
    is_yx : whether coordinates stand with north first.
    is_geographic : whether they are degrees.
    is_ambiguous : whether servers use this form for both orders.
    """

    crs: str
    is_yx: bool = False
    is_geographic: bool = False
    is_ambiguous: bool = False
    is_known: bool = True


@dataclass
class Shaped:
    """What was seen while shapes were made.

    Parameters
    ----------
    axis_order : `auto`, `xy` or `yx`, as the feed says.
    ambiguous : shapes whose srsName leaves the order open, by that name.
    unknown : shapes whose srsName is not understood, by that name.
    beyond : shapes with a latitude beyond the pole, and the feature and coordinates of the first.
    """

    axis_order: str = "auto"
    count: int = 0
    ambiguous: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    beyond: int = 0
    first_beyond: tuple[int, str] | None = None
    nameless: int = 0


@dataclass(frozen=True)
class _Frame:
    """What a shape's parts inherit: the order of axes and the number of dimensions."""

    is_yx: bool
    dimension: int | None = None


@functools.lru_cache(maxsize=4096)
def is_shape(tag: str) -> bool:
    """Tell whether a tag is a shape's.

    >>> is_shape("{http://www.opengis.net/gml/3.2}Point"), is_shape("{http://www.opengis.net/gml}pos")
    (True, False)
    """
    return tag.rpartition("}")[2] in SHAPES and GML.match(tag) is not None


@functools.lru_cache(maxsize=256)
def axes(name: str) -> Axes:
    """Read a srsName.

    >>> axes("urn:ogc:def:crs:EPSG::4326").is_yx, axes("EPSG:4326").is_ambiguous, axes("EPSG:28355").is_ambiguous
    (True, True, False)
    """
    if CRS84.search(name):
        return Axes("OGC:CRS84", is_geographic=True)
    by_authority, short = AUTHORITY.match(name), CODE.search(name)
    if not by_authority and not short:
        return Axes(name, is_known=False)
    import pyproj  # its data base is wanted only where a srsName is met

    code = by_authority[3] if by_authority else short[1] if short else ""
    try:
        crs = pyproj.CRS.from_epsg(int(code))
    except pyproj.exceptions.CRSError:
        return Axes(f"EPSG:{code}", is_known=False)
    north_first = bool(crs.axis_info) and crs.axis_info[0].direction.lower() in ("north", "south")
    is_open = not by_authority and north_first and "epsg.xml#" not in name
    return Axes(
        f"EPSG:{code}",
        is_yx=north_first and by_authority is not None,
        is_geographic=crs.is_geographic,
        is_ambiguous=is_open,
    )


def srs_name(element: Element) -> str | None:
    """Give the name of the coordinate system that a shape or one of its parts states."""
    return next((each.get("srsName") for each in element.iter() if each.get("srsName")), None)


def shape(element: Element, name: str | None, number: int, shaped: Shaped) -> bytes:
    """Give a shape as well-known binary, east before north.

    Parameters
    ----------
    element : the shape.
    name : srsName that holds for it.
    number : its feature, for what is told.
    shaped : takes note of what is doubtful.

    Raises
    ------
    ShapeError
        If it cannot be read.
    """
    found = axes(name) if name else None
    if found and found.is_ambiguous and next(_named(element, "coordinates"), None) is not None:
        found = replace(found, is_ambiguous=False)  # GML 2 has x before y, whatever the authority says
    is_yx = shaped.axis_order == "yx" if shaped.axis_order != "auto" else bool(found and found.is_yx)
    numbers: list[np.ndarray] = []
    well_known = _shape(element, _Frame(is_yx, _dimension(element)), numbers)
    _note(name, found, numbers, number, shaped)
    return well_known


def _note(name: str | None, found: Axes | None, numbers: list[np.ndarray], number: int, shaped: Shaped) -> None:
    shaped.count += 1
    if found is None:
        shaped.nameless += 1
    elif not found.is_known:
        shaped.unknown[name or ""] = shaped.unknown.get(name or "", 0) + 1
    elif found.is_ambiguous and shaped.axis_order == "auto":
        shaped.ambiguous[name or ""] = shaped.ambiguous.get(name or "", 0) + 1
    if found and found.is_geographic and any((np.abs(each[:, 1]) > POLE_DEG).any() for each in numbers):
        shaped.beyond += 1
        shaped.first_beyond = shaped.first_beyond or (number, " ".join(f"{each:g}" for each in numbers[0][0]))


def _shape(element: Element, frame: _Frame, numbers: list[np.ndarray]) -> bytes:
    frame = replace(frame, dimension=_dimension(element) or frame.dimension)
    name = local(element)
    if name == "Point":
        return _coded(POINT, _place(element, frame, numbers), counted=False)
    if name in ("LineString", "LinearRing", "Curve", "CompositeCurve"):
        return _coded(LINE, _line(element, frame, numbers))
    if name in ("Polygon", "PolygonPatch", "Rectangle", "Triangle"):
        return _polygon(element, frame, numbers)
    if name in SURFACES:
        parts = [_shape(each, frame, numbers) for each in _parts(element)]
        if not parts:
            raise ShapeError(f"an empty {name}")
        return parts[0] if len(parts) == 1 else _gathered(POLYGON + MULTI, _flat(parts))
    if name in GATHERED:
        code = GATHERED[name]
        parts = [_shape(each, frame, numbers) for each in _parts(element)]
        return _gathered(code, parts if code == COLLECTION else _flat(parts))
    raise ShapeError(f"a shape of the kind {name}, which is not read")


def _parts(element: Element) -> Iterator[Element]:
    """Give the shapes within a shape's properties (members, patches, segments)."""
    for holder in element:
        if re.search(r"([mM]embers?|patches|polygonPatches|segments)$", local(holder)):
            yield from holder


def _polygon(element: Element, frame: _Frame, numbers: list[np.ndarray]) -> bytes:
    rings = [
        _line(ring, replace(frame, dimension=_dimension(ring) or frame.dimension), numbers)
        for holder in element
        if local(holder) in ("exterior", "interior", "outerBoundaryIs", "innerBoundaryIs")
        for ring in holder
    ]
    if not rings or not len(rings[0]):
        raise ShapeError("a polygon without an outer ring")
    if len({ring.shape[1] for ring in rings}) != 1:
        raise ShapeError("rings with different numbers of dimensions")
    code = POLYGON + ISO_Z * (rings[0].shape[1] == 3)
    body = b"".join(struct.pack("<I", len(ring)) + ring.tobytes() for ring in rings)
    return struct.pack("<BII", 1, code, len(rings)) + body


def _line(element: Element, frame: _Frame, numbers: list[np.ndarray]) -> np.ndarray:
    """Give the places of a line or ring, one after the other; curves of straight segments are joined."""
    name = local(element)
    if name in ("LineString", "LinearRing", "LineStringSegment"):
        return _place(element, frame, numbers)
    if name in ("Curve", "CompositeCurve", "Ring"):
        pieces = [_line(each, frame, numbers) for each in _parts(element)]
        if pieces:
            joined = [piece if not at else _without_first(pieces[at - 1], piece) for at, piece in enumerate(pieces)]
            return np.concatenate(joined)
    raise ShapeError(f"a line of the kind {name}, which is not read")


def _without_first(before: np.ndarray, piece: np.ndarray) -> np.ndarray:
    return piece[1:] if len(before) and len(piece) and (before[-1] == piece[0]).all() else piece


def _place(element: Element, frame: _Frame, numbers: list[np.ndarray]) -> np.ndarray:
    found = _coordinates(element, frame)
    if not len(found):
        raise ShapeError(f"a {local(element)} without coordinates")
    if not np.isfinite(found).all():
        raise ShapeError("coordinates that are no numbers")
    if frame.is_yx:
        found[:, [0, 1]] = found[:, [1, 0]]
    numbers.append(found)
    return found


def _coordinates(element: Element, frame: _Frame) -> np.ndarray:
    """Give coordinates as they stand, one row a place."""
    for each in element:
        name = local(each)
        if name == "posList":
            return _numbers(each.text, _dimension(each) or frame.dimension or 2)
        if name == "coordinates":
            return _gml2(each)
    places = [_numbers(each.text, None) for each in _named(element, "pos")]
    places += [_xyz(each) for each in _named(element, "coord")]
    if len({place.shape[1] for place in places}) > 1:
        raise ShapeError("places with different numbers of dimensions")
    return np.concatenate(places) if places else np.empty((0, 2))


def _numbers(text: str | None, dimension: int | None) -> np.ndarray:
    try:
        flat = np.array((text or "").split(), dtype=np.float64)
    except ValueError as error:
        raise ShapeError(str(error)) from error
    width = dimension or len(flat)
    if width not in (2, 3) or len(flat) % width:
        raise ShapeError(f"{len(flat)} coordinates, which is no multiple of {width} dimensions")
    return flat.reshape(-1, width)


def _gml2(element: Element) -> np.ndarray:
    decimal, comma, blank = (element.get(key, usual) for key, usual in (("decimal", "."), ("cs", ","), ("ts", " ")))
    places = (element.text or "").split(blank if blank.strip() else None)
    width = len(places[0].split(comma)) if places else 2
    text = (element.text or "").replace(comma, " ") if comma.strip() else element.text
    if decimal != ".":
        text = (text or "").replace(decimal, ".")
    if blank.strip():
        text = (text or "").replace(blank, " ")
    return _numbers(text, width)


def _xyz(element: Element) -> np.ndarray:
    return _numbers(" ".join(each.text or "" for each in element), None)


def _named(element: Element, name: str) -> Iterator[Element]:
    return (each for each in element.iter() if local(each) == name)


def _dimension(element: Element) -> int | None:
    said = element.get("srsDimension") or element.get("dimension") or ""
    return int(said) if said in ("2", "3") else None


def _coded(code: int, places: np.ndarray, *, counted: bool = True) -> bytes:
    head = struct.pack("<BI", 1, code + ISO_Z * (places.shape[1] == 3))
    return head + (struct.pack("<I", len(places)) if counted else b"") + places.tobytes()


def _gathered(code: int, parts: list[bytes]) -> bytes:
    deep = any(_code(part) > ISO_Z for part in parts)
    return struct.pack("<BII", 1, code + ISO_Z * deep, len(parts)) + b"".join(parts)


def _flat(parts: list[bytes]) -> list[bytes]:
    """Take apart what is itself several, since a shape of several kinds cannot hold it."""
    flat: list[bytes] = []
    for part in parts:
        if MULTI < _code(part) % ISO_Z < COLLECTION:
            raise ShapeError("a surface of several within another")
        flat.append(part)
    return flat


def _code(part: bytes) -> int:
    return int(struct.unpack("<I", part[1:5])[0])


def problems(shaped: Shaped) -> Iterator[tuple[str, str, str, int | None]]:
    """Give what is doubtful about the shapes of a file: rule, what was found, hint, and a feature."""
    for name, count in shaped.ambiguous.items():
        hint = (
            "servers use this name for both orders; x first was taken, say axis_order xy or yx in the table's options"
        )
        yield "read.axis_order", f"{count} shapes under {name}", hint, None
    for name, count in shaped.unknown.items():
        hint = "x first was taken; say axis_order in the table's options, and the crs in the feed"
        yield "read.crs_unknown", f"{count} shapes under {name}", hint, None
    if shaped.nameless:
        hint = (
            "ask which coordinate system it is, and declare it in the feed; x first was taken unless axis_order says yx"
        )
        yield "read.crs_missing", f"{shaped.nameless} of {shaped.count} shapes without a srsName", hint, None
    if shaped.first_beyond:
        number, place = shaped.first_beyond
        hint = "north perhaps stands first: compare with the area, and say axis_order in the table's options"
        found = f"{shaped.beyond} of {shaped.count} shapes with a latitude beyond {POLE_DEG:g} degrees, first {place}"
        yield "read.latitude_impossible", found, hint, number
