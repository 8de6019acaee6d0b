"""Geodesy: one operation per source system and area, by stated accuracy; coordinates as text, points and corners."""

import math
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from pyproj.transformer import TransformerGroup

from pipelines.errors import ContractError, RejectedError

TARGET = "OGC:CRS84"
Box = tuple[float, float, float, float]
"""West, south, east, north in degrees; west is greater than east where the box crosses 180 degrees."""

CHAINS = {"EPSG:4202": ("EPSG:4283", "EPSG:7844"), "EPSG:4203": ("EPSG:4283", "EPSG:7844"), "EPSG:4283": ("EPSG:7844",)}
"""Datums that go by way of others, so that AGD66, AGD84, GDA94 and GDA2020 agree and do not lie 1.8 m apart.

AGD66 straight to GDA2020 is 200 m wrong (no shift) or 4 to 9 m wrong (an operation of the Capital Territory)."""

NO_OPERATION = {
    "EPSG:4243": "Kalianpur 1880 (EPSG:4243, 24370 to 24374, 24382) has no published operation to WGS 84, and without "
    "one it is more than 100 m wrong; ask the partner for Kalianpur 1975 (EPSG:24378 to 24381, 24383) or WGS 84",
}

_COVERAGE = 0.5
"""Where no area is given, the share of the system's own area that an operation must cover at least."""

_SURE = 70
"""Confidence with which PROJ must recognise well-known text, which in shapefiles names no authority."""

_POINT = 1e-6
"""Degrees that an area of no width is taken to have."""


@dataclass(frozen=True)
class Operation:
    """How coordinates of one system become longitude and latitude on WGS 84.

    Parameters
    ----------
    source_crs : the system, as an authority's code where it has one, else as it was given.
    name : names of the steps, joined by ``+``.
    accuracy_m : stated accuracy of the steps together, in metres; never unknown.
    area : where the operation holds; points outside become not-a-number.
    grids_missing : grids that would have given a better operation.
    best_accuracy_m : what that operation states, equal to ``accuracy_m`` where nothing is missing.
    steps : PROJ pipelines, in order.
    """

    source_crs: str
    name: str
    accuracy_m: float
    area: Box
    grids_missing: tuple[str, ...]
    best_accuracy_m: float
    steps: tuple[str, ...]

    @property
    def cost_m(self) -> float:
        """What the missing grids cost, in metres of accuracy."""
        return round(self.accuracy_m - self.best_accuracy_m, 3)


@lru_cache(maxsize=256)
def operation(source_crs: str, area: Box | None = None) -> Operation:
    """Choose the operation from a system to WGS 84 (OGC:CRS84) by its stated accuracy.

    Parameters
    ----------
    source_crs : authority code (``EPSG:28355``) or well-known text; heights are left alone.
    area : where the data lie; the operation must hold everywhere in it. Without one it must hold in most of the
        system's own area.

    Raises
    ------
    ContractError
        If the system is unknown, or no operation holds in the area so that the feed has to state a smaller one.
    RejectedError
        If there is no operation of known accuracy at all; one without a shift ("ballpark") is refused.
    """
    crs = _system(source_crs)
    datum = _authority(_known(crs.geodetic_crs or crs))
    if datum in NO_OPERATION:
        raise RejectedError(f"{source_crs}: {NO_OPERATION[datum]}")
    hops = [crs, *(CRS(hop) for hop in CHAINS.get(datum, ())), CRS(TARGET)]
    steps = [_step(have, want, area) for have, want in zip(hops, hops[1:], strict=False)]
    named = [step.name for step in steps if step.name]
    return Operation(
        source_crs=source_crs if _authority(crs) == crs.name else _authority(crs),
        name=" + ".join(named) or "none: already WGS 84",
        accuracy_m=_together([step.accuracy_m for step in steps]),
        area=steps[0].area,
        grids_missing=tuple(grid for step in steps for grid in step.grids_missing),
        best_accuracy_m=_together([step.best_accuracy_m for step in steps]),
        steps=tuple(pipeline for step in steps for pipeline in step.steps),
    )


def transform(x: np.ndarray, y: np.ndarray, operation: Operation) -> tuple[np.ndarray, np.ndarray]:
    """Give longitude and latitude (degrees, OGC:CRS84) of coordinates in the operation's source system.

    Parameters
    ----------
    x, y : easting and northing, or longitude and latitude, in this order whatever the authority says, in its unit.

    Returns
    -------
    Two float64 arrays; not-a-number where a coordinate is missing, cannot be transformed, or lies outside the
    operation's area.
    """
    lon, lat = np.asarray(x, np.float64), np.asarray(y, np.float64)
    for pipeline in operation.steps:
        lon, lat = _transformer(pipeline).transform(lon, lat)
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(lon) & np.isfinite(lat)
    good &= inside(lon, lat, operation.area)
    return np.where(good, lon, np.nan), np.where(good, lat, np.nan)


def transform_wkb(geometry: pa.Array, operation: Operation) -> pa.BinaryArray:
    """Give geometries of the operation's source system in OGC:CRS84, without heights.

    For lines and polygons; points go through `transform` and `point_wkb`. A geometry with a vertex that cannot be
    transformed is null, as is one that is no well-known binary.
    """
    shapes = shapely.force_2d(shapely.from_wkb(geometry.to_numpy(zero_copy_only=False), on_invalid="ignore"))
    vertices, owner = shapely.get_coordinates(shapes, return_index=True)
    lon, lat = transform(vertices[:, 0], vertices[:, 1], operation)
    lost = np.isnan(lon)
    moved = shapely.set_coordinates(shapes, np.column_stack([np.where(lost, 0.0, lon), np.where(lost, 0.0, lat)]))
    moved[np.unique(owner[lost])] = None
    return pa.array(shapely.to_wkb(moved), pa.binary())


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


def uncertainty(source_m: np.ndarray, operation: Operation) -> np.ndarray:
    """Combine the source's own uncertainty of position with the operation's accuracy, in metres."""
    return np.sqrt(np.square(source_m) + operation.accuracy_m**2)


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


def _system(text: str) -> CRS:
    """Give the horizontal system that a code or well-known text means."""
    try:
        crs = CRS.from_user_input(text)
    except CRSError as error:
        raise ContractError(f"coordinate reference system {text!r} is unknown") from error
    crs = next(iter(crs.sub_crs_list), crs) if crs.is_compound else crs
    return _known(crs.to_2d() if len(crs.axis_info) > 2 else crs)


def _known(crs: CRS) -> CRS:
    """Give the authority's own definition of a system that PROJ recognises."""
    known = crs.to_authority(min_confidence=_SURE)
    found = CRS.from_authority(*known) if known else crs
    return found if _same_datum(crs, found) else crs


def _same_datum(crs: CRS, found: CRS) -> bool:
    """Tell whether PROJ recognised the datum by name; it takes an unknown one on the same ellipsoid for any."""
    return bool(crs.datum and found.datum and found.datum.name.startswith(crs.datum.name))


def _authority(crs: CRS) -> str:
    """Give a system's code where it is an authority's own, else its name."""
    known = crs.to_authority()
    return ":".join(known) if known and _same_datum(crs, CRS.from_authority(*known)) else crs.name


def _step(have: CRS, want: CRS, area: Box | None) -> Operation:
    """Choose the most accurate operation between two systems that holds in the area."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            group = TransformerGroup(have, want, always_xy=True, allow_ballpark=False)
        except ProjError as error:
            raise RejectedError(f"{_authority(have)}: no operation to {_authority(want)}") from error
    usable = [known for known in group.transformers if known.accuracy is not None and known.accuracy >= 0]
    if not usable:
        raise RejectedError(f"{_authority(have)} to {_authority(want)}: no operation of known accuracy; none is used")
    best = min((known for known in usable if _holds(known, have, area)), key=lambda known: known.accuracy, default=None)
    if best is None:
        choices = "; ".join(f"{_plain_name(known.description)} in {_box(known)}" for known in usable[:6])
        where = f"in all of {area}" if area else "in most of its own area: state the area of the feed's data"
        raise ContractError(
            f"{_authority(have)}: no operation to {_authority(want)} holds {where}; there are {choices}"
        )
    better = [o for o in group.unavailable_operations if _holds(o, have, area) and 0 <= o.accuracy < best.accuracy]
    better.sort(key=lambda o: o.accuracy)
    missing = tuple(grid.short_name for o in better[:1] for grid in o.grids if not grid.available)
    return Operation(
        source_crs=_authority(have),
        name=_plain_name(best.description),
        accuracy_m=float(best.accuracy),
        area=_box(best),
        grids_missing=missing,
        best_accuracy_m=float(better[0].accuracy if better else best.accuracy),
        steps=() if best.definition.startswith("proj=noop") else (best.definition,),
    )


def _holds(known: object, have: CRS, area: Box | None) -> bool:
    box = _box(known)
    if area is not None:
        return _overlap(box, area) >= 1.0 - 1e-9
    own = have.area_of_use.bounds if have.area_of_use else box
    return _overlap(box, own) >= _COVERAGE


def _overlap(box: Box, area: Box) -> float:
    """Give the share of an area, in square degrees, that a box covers."""
    width = 360.0 if area[2] - area[0] == 360.0 else max((area[2] - area[0]) % 360.0, _POINT)
    height = max(area[3] - area[1], _POINT)
    if box[2] - box[0] == 360.0:
        across = width
    else:
        start, reach = (box[0] - area[0]) % 360.0, (box[2] - box[0]) % 360.0
        across = max(0.0, min(width, start + reach) - start) + max(0.0, min(width, start + reach - 360.0))
    along = max(0.0, min(area[1] + height, box[3]) - max(area[1], box[1]))
    return (across / width) * (along / height)


def _box(known: object) -> Box:
    use = getattr(known, "area_of_use", None)
    return use.bounds if use else (-180.0, -90.0, 180.0, 90.0)


def _plain_name(description: str) -> str:
    formal = ("axis order change", "Null geographic offset")
    return " + ".join(part for part in description.split(" + ") if not part.startswith(formal))


def _together(accuracies: list[float]) -> float:
    return round(math.sqrt(sum(accuracy**2 for accuracy in accuracies)), 3)


_PER_THREAD = threading.local()


def _transformer(pipeline: str) -> Transformer:
    """One transformer per thread and pipeline: PROJ's contexts are not shared."""
    if not hasattr(_PER_THREAD, "transformers"):
        _PER_THREAD.transformers = {}
    if pipeline not in _PER_THREAD.transformers:
        _PER_THREAD.transformers[pipeline] = Transformer.from_pipeline(pipeline)
    return _PER_THREAD.transformers[pipeline]
