"""Coordinates as partners write them: degrees, minutes and seconds as text, lists of corners, points, boxes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees; west is greater than east where the box crosses 180 degrees."""


def point_wkb(lon: np.ndarray, lat: np.ndarray) -> pa.BinaryArray:
    """Give points as little-endian WKB; null where a coordinate is not finite."""
    good = np.isfinite(lon) & np.isfinite(lat)
    points = np.zeros(len(good), dtype=[("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
    points["order"] = points["type"] = 1
    points["x"], points["y"] = np.where(good, lon, 0.0), np.where(good, lat, 0.0)
    offsets = np.arange(len(good) + 1, dtype=np.int32) * points.itemsize
    present = None if good.all() else pa.py_buffer(np.packbits(good, bitorder="little"))
    buffers = [present, pa.py_buffer(offsets), pa.py_buffer(points)]
    return pa.Array.from_buffers(pa.binary(), len(good), buffers)


def inside(lon: np.ndarray, lat: np.ndarray, box: Box) -> np.ndarray:
    """Tell which points lie in a box of west, south, east, north, borders included."""
    west, south, east, north = box
    across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    return across & (lat >= south) & (lat <= north)


_DEGREES = r"(?P<degrees>\d{1,3}(?:\.\d*)?)\s*[°º˚:dD\s]?\s*"
_MINUTES = r"(?:(?P<minutes>\d{1,2}(?:\.\d*)?)\s*(?:['′’‘´:mM\s]\s*"
_SECONDS = r"(?:(?P<seconds>\d{1,2}(?:\.\d*)?)\s*)?)?(?:[\"″”“sS]|''|′′|’’)?)?\s*"
_DMS = rf"^\s*(?P<before>[NSEWnsew]?)\s*(?P<sign>[-+−]?)\s*{_DEGREES}{_MINUTES}{_SECONDS}(?P<after>[NSEWnsew]?)\s*$"


def parse_dms(column: pa.Array) -> tuple[pa.DoubleArray, pa.BooleanArray]:
    """Read degrees from ``23°10'50.69``, ``16 04 0 S``, ``W51:28.5`` or plain decimals.

    Returns
    -------
    Decimal degrees, and a mask of the texts that are present but unreadable: minutes or seconds of 60 and more, a sign
    beside a hemisphere letter, two letters, a fraction before a smaller part. These are null.
    """
    if isinstance(column, pa.DictionaryArray):
        degrees, unreadable = parse_dms(column.dictionary)
        return degrees.take(column.indices), pc.fill_null(unreadable.take(column.indices), False)
    parts = pc.extract_regex(column, _DMS)
    text = {name: pc.struct_field(parts, name) for name in ("before", "sign", "degrees", "minutes", "seconds", "after")}
    number = {name: _part(text[name]) for name in ("degrees", "minutes", "seconds")}
    letter = pc.utf8_upper(pc.binary_join_element_wise(text["before"], text["after"], ""))
    value = pc.add(pc.add(number["degrees"], pc.divide(number["minutes"], 60.0)), pc.divide(number["seconds"], 3600.0))
    negative = pc.or_(pc.is_in(text["sign"], pa.array(["-", "−"])), pc.is_in(letter, pa.array(["S", "W"])))
    wrong = pc.or_(pc.greater_equal(number["minutes"], 60.0), pc.greater_equal(number["seconds"], 60.0))
    wrong = pc.or_(wrong, pc.greater(pc.utf8_length(letter), 1))
    wrong = pc.or_(wrong, pc.and_(pc.not_equal(text["sign"], ""), pc.not_equal(letter, "")))
    wrong = pc.or_(wrong, _fraction_inside(text["degrees"], text["minutes"]))
    wrong = pc.or_(wrong, _fraction_inside(text["minutes"], text["seconds"]))
    wrong = pc.or_(wrong, pc.greater(value, pc.if_else(pc.is_in(letter, pa.array(["N", "S"])), 90.0, 360.0)))
    signed = pc.if_else(negative, pc.negate(value), value)
    degrees = pc.if_else(pc.fill_null(wrong, True), pa.scalar(None, pa.float64()), signed)
    present = pc.not_equal(pc.utf8_trim_whitespace(column), "")
    return degrees, pc.and_(pc.fill_null(present, False), pc.is_null(degrees))


def _part(text: pa.Array) -> pa.Array:
    """Read a number, 0 where the part is left out."""
    return pc.cast(pc.if_else(pc.equal(text, ""), "0", text), pa.float64())


def _fraction_inside(larger: pa.Array, smaller: pa.Array) -> pa.Array:
    return pc.and_(pc.match_substring(larger, "."), pc.not_equal(smaller, ""))


@dataclass(frozen=True)
class Corners:
    """Polygons made from lists of corners.

    Parameters
    ----------
    geometry : WKB polygons in the corners' own system, counter-clockwise; null where none could be made.
    unreadable : rows that have corners of which no polygon could be made.
    repaired : rows whose corners were listed so that the sides crossed; their order was mended.
    """

    geometry: pa.BinaryArray
    unreadable: pa.BooleanArray
    repaired: pa.BooleanArray


def parse_corners(latitudes: pa.Array, longitudes: pa.Array, separator: str = ",") -> Corners:
    """Make polygons of parallel lists of latitudes and longitudes, in decimals or in degrees, minutes and seconds.

    Parameters
    ----------
    latitudes, longitudes : text such as ``23.2088229 ,23.2226604``, with stray blanks and tabs; a trailing separator is
        nothing, an empty place between two is unreadable.
    separator : between the corners.
    """
    key = pc.dictionary_encode(pc.binary_join_element_wise(latitudes, longitudes, "\x1f"))
    pairs = [text.split("\x1f") for text in key.dictionary.to_pylist()]
    lat = _degree_lists([pair[0] for pair in pairs], separator)
    lon = _degree_lists([pair[1] for pair in pairs], separator)
    made = [_polygon(x, y) for x, y in zip(lon, lat, strict=True)]
    blank = [not "".join(pair).strip(f"{separator} \t\r\n") for pair in pairs]
    wkb = pa.array([polygon.wkb if polygon else None for polygon, _ in made], pa.binary()).take(key.indices)
    failed = [not polygon and not empty for (polygon, _), empty in zip(made, blank, strict=True)]
    half = pc.xor(pc.is_valid(latitudes), pc.is_valid(longitudes))
    unreadable = pc.or_(pc.fill_null(pa.array(failed, pa.bool_()).take(key.indices), False), half)
    repaired = pa.array([mended for _, mended in made], pa.bool_()).take(key.indices)
    return Corners(wkb, unreadable, pc.fill_null(repaired, False))


def _degree_lists(texts: list[str], separator: str) -> list[np.ndarray]:
    """Read each text's parts, all of them at once; not-a-number where one is unreadable or empty."""
    lists = [text.strip().rstrip(separator + " \t").split(separator) for text in texts]
    degrees, _ = parse_dms(pa.array([part for parts in lists for part in parts], pa.string()))
    ends = np.cumsum([len(parts) for parts in lists])
    return np.split(degrees.to_numpy(zero_copy_only=False).astype(np.float64), ends[:-1]) if lists else []


def _polygon(x: np.ndarray, y: np.ndarray) -> tuple[shapely.Polygon | None, bool]:
    """Give the polygon of corners, and whether their order had to be mended."""
    if len(x) != len(y) or len(x) < 3 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None, False
    if (np.abs(y) > 90).any() or (np.abs(x) > 180).any():
        return None, False
    polygon = shapely.Polygon(np.column_stack([x, y]))
    mended = not polygon.is_valid
    if mended:
        hull = shapely.convex_hull(polygon.exterior)
        corners = {tuple(vertex) for vertex in polygon.exterior.coords}
        convex = corners == set(getattr(hull, "exterior", hull).coords)
        polygon = hull if convex else shapely.make_valid(polygon, method="structure")
    if polygon.is_empty or polygon.area == 0 or polygon.geom_type not in ("Polygon", "MultiPolygon"):
        return None, False
    return shapely.orient_polygons(polygon), mended
