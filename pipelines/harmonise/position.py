"""Places records: the partner's coordinates become OGC:CRS84, and nothing about them is lost."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from pipelines import chemistry, geodesy, units
from pipelines.contracts import Position
from pipelines.errors import RejectedError
from pipelines.harmonise.columns import Draft, repeat, reworded, text_of, tidy
from pipelines.harmonise.plausibility import find_implausible

Operations = dict[str, geodesy.Operation]

BEYOND_GRID = "_beyond_grid"
"""Draft's own column: rows that a datum grid does not cover, which went by the operation without it."""


def place(draft: Draft, position: Position, operations: Operations) -> None:
    """Fill the position columns of a draft from points, corner lists or shapes."""
    crs = _source_crs(draft, position)
    draft.columns["source_crs"] = crs
    draft.columns["crs_basis"] = repeat(position.crs_basis, draft.rows)
    points = None
    if position.x is not None:
        points = _place_points(draft, position, operations)
    elif position.corners is not None:
        _place_corners(draft, position, operations)
    else:
        points = _place_shapes(draft, position, operations)
    _fill_operation(draft, position, operations)
    _fill_height(draft, position)
    _find_outside(draft, position)
    find_implausible(draft, position, operations, points)


def crs_codes(position: Position) -> tuple[str, ...]:
    """List the coordinate reference systems that a feed's positions may be in."""
    return (position.crs,) if isinstance(position.crs, str) else tuple(sorted(set(position.crs.codes.values())))


def _source_crs(draft: Draft, position: Position) -> pa.Array:
    if isinstance(position.crs, str):
        return repeat(position.crs, draft.rows)
    raw = tidy(pc.dictionary_encode(text_of(draft.raw(position.crs.source))))
    known = [position.crs.codes.get(word) if word else None for word in raw.dictionary.to_pylist()]
    codes = reworded(raw, pa.array(known, pa.string()))
    hint = f"the feed knows {', '.join(position.crs.codes)}; add the system, or have the partner correct the row"
    draft.find("position.crs_unknown", "error", position.crs.source, pc.is_null(codes), raw, hint)
    return codes


def _place_points(draft: Draft, position: Position, operations: Operations) -> tuple[np.ndarray, np.ndarray]:
    """Place points, and give the coordinates that were transformed: the source's own, or corrected ones."""
    raw_x, raw_y = draft.raw(position.x or ""), draft.raw(position.y or "")
    x, bad_x = _numbers(raw_x, position.decimal)
    y, bad_y = _numbers(raw_y, position.decimal)
    draft.columns["source_x"], draft.columns["source_y"] = x, y
    unreadable = pc.or_(bad_x, bad_y)
    pair = _pair(raw_x, raw_y, ", ")
    missing = pc.and_(pc.or_(pc.is_null(x), pc.is_null(y)), pc.invert(unreadable))
    severity = "error" if position.required else "info"
    draft.find("position.missing", severity, "geometry", missing, pair, "give both coordinates")
    draft.find("position.unreadable", "error", "geometry", unreadable, pair, "coordinates must be plain numbers")
    points = _corrected(draft, position, *(each.to_numpy(zero_copy_only=False) for each in (x, y)))
    lon, lat = _to_crs84(draft, operations, *points)
    _set_points(draft, lon, lat)
    off_earth = pa.array(~np.isfinite(lon) | (np.abs(lat) > 90) | (np.abs(lon) > 180))
    given = pc.and_(pc.and_(pc.is_valid(x), pc.is_valid(y)), pc.is_valid(draft.columns["source_crs"]))
    lost = pc.and_(off_earth, given)
    hint = "the coordinates do not lie on the earth in the stated system: check axis order, zone and units"
    draft.find("position.not_transformable", "error", "geometry", lost, pair, hint)
    return points


CORRECTIONS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "swap_xy": lambda x, y: (y, x),
    "negate_x": lambda x, y: (-x, y),
    "negate_y": lambda x, y: (x, -y),
}


def _corrected(draft: Draft, position: Position, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply the corrections that the feed declares, in their order, and note them on their rows."""
    applied = np.zeros(draft.rows, np.int64)
    for index, correction in enumerate(position.corrections):
        rows = np.ones(draft.rows, bool)
        if correction.where is not None:
            rows = pc.fill_null(draft.raw(f"_correct_{index}"), False).to_numpy(zero_copy_only=False)
        new_x, new_y = CORRECTIONS[correction.do](x, y)
        x, y = np.where(rows, new_x, x), np.where(rows, new_y, y)
        applied |= rows.astype(np.int64) << index
    if position.corrections:
        sets, at = np.unique(applied, return_inverse=True)
        notes = pa.array([_note(position, int(each)) for each in sets], pa.string())
        draft.columns["position_note"] = pc.dictionary_encode(notes.take(pa.array(at.reshape(-1))))
    return x, y


def _note(position: Position, applied: int) -> str | None:
    """Name the corrections whose bits are set."""
    done = [f"{one.do}: {one.reason}" for index, one in enumerate(position.corrections) if applied >> index & 1]
    return "; ".join(done) or None


def _numbers(raw: pa.Array, decimal: str) -> tuple[pa.Array, pa.Array]:
    if pa.types.is_floating(raw.type) or pa.types.is_integer(raw.type):
        return pc.cast(raw, pa.float64()), pa.array(np.zeros(len(raw), bool))
    return chemistry.read_numbers(text_of(raw), decimal)


def _pair(first: pa.Array, second: pa.Array, between: str) -> pa.Array:
    """Show two columns as one text; what is absent is empty."""
    texts = (pc.cast(values, pa.string()) for values in (first, second))
    return pc.binary_join_element_wise(*texts, between, null_handling="replace")


def _set_points(draft: Draft, lon: np.ndarray, lat: np.ndarray) -> None:
    valid = np.isfinite(lon) & np.isfinite(lat)
    draft.columns["geometry"] = geodesy.point_wkb(lon, lat)
    draft.columns["longitude"] = pa.array(lon, mask=~valid)
    draft.columns["latitude"] = pa.array(lat, mask=~valid)


def _to_crs84(draft: Draft, operations: Operations, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Transform each row by the operation of its own system, beyond a grid without it; rows that cannot be are NaN."""
    crs = draft.columns["source_crs"]
    lon, lat, beyond = np.full(len(x), np.nan), np.full(len(x), np.nan), np.zeros(len(x), bool)
    indices = pc.fill_null(crs.indices, -1).to_numpy(zero_copy_only=False)
    for index, code in enumerate(crs.dictionary.to_pylist()):
        rows = (indices == index) & np.isfinite(x) & np.isfinite(y)
        if code in operations and rows.any():
            lon[rows], lat[rows] = geodesy.transform(x[rows], y[rows], operations[code])
            plain = operations[code].without_grid
            lost = np.flatnonzero(rows & np.isnan(lon))
            if plain is not None and len(lost):
                lon[lost], lat[lost] = geodesy.transform(x[lost], y[lost], plain)
                beyond[lost] = np.isfinite(lon[lost])
    draft.columns[BEYOND_GRID] = pa.array(beyond)
    return lon, lat


def _place_corners(draft: Draft, position: Position, operations: Operations) -> None:
    corners = position.corners
    if corners is None or not isinstance(position.crs, str):
        raise RejectedError("corner lists need one coordinate reference system for the whole feed")
    raw_x, raw_y = draft.raw(corners.x), draft.raw(corners.y)
    parsed = geodesy.parse_corners(raw_y, raw_x)
    pair = _pair(raw_x, raw_y, " / ")
    missing = pc.or_(pc.is_null(tidy(raw_x)), pc.is_null(tidy(raw_y)))
    unreadable = pc.and_(parsed.unreadable, pc.invert(missing))
    draft.find(
        "position.missing", "error" if position.required else "info", "geometry", missing, pair, "give the corners"
    )
    hint = "give as many longitudes as latitudes, three or more, separated by commas"
    draft.find("position.unreadable", "error", "geometry", unreadable, pair, hint)
    hint = "the corners cross when joined in the order given; give them in order around the block"
    draft.find("position.corners_repaired", "warning", "geometry", parsed.repaired, pair, hint)
    draft.columns["source_position"] = pair
    _compare_corners(draft, position, parsed.geometry)
    _set_shapes(draft, parsed.geometry, operations)


def _compare_corners(draft: Draft, position: Position, wkb: pa.Array) -> None:
    """Compare decimal corners with the same corners in degrees, minutes and seconds, where both are given."""
    corners = position.corners
    if corners is None or corners.check_x is None or corners.check_y is None:
        return
    other = geodesy.parse_corners(draft.raw(corners.check_y), draft.raw(corners.check_x))
    given, check = shapely.from_wkb(_objects(wkb)), shapely.from_wkb(_objects(other.geometry))
    both = ~shapely.is_missing(given) & ~shapely.is_missing(check)
    apart = np.zeros(draft.rows, bool)
    apart[both] = shapely.hausdorff_distance(given[both], check[both]) > 0.001  # 0.001 degree: about 100 m
    hint = "decimal degrees and degrees-minutes-seconds differ by more than 0.001 degree; say which holds"
    pair = _pair(draft.raw(corners.check_x), draft.raw(corners.check_y), " / ")
    draft.find("position.corners_differ", "warning", "geometry", pa.array(apart), pair, hint)
    bad = pc.and_(other.unreadable, pc.is_valid(tidy(draft.raw(corners.check_x))))
    draft.find(
        "position.check_unreadable", "warning", "geometry", bad, pair, "the second list of corners is not readable"
    )


def _place_shapes(draft: Draft, position: Position, operations: Operations) -> tuple[np.ndarray, np.ndarray] | None:
    """Place a reader's shapes, and give the coordinates of points; None for lines and polygons."""
    raw = draft.raw(position.geometry or "")
    shapes = shapely.from_wkb(_objects(raw), on_invalid="ignore")
    missing = pc.is_null(raw)
    unreadable = pc.and_(pa.array(shapely.is_missing(shapes)), pc.invert(missing))
    empty = pa.array(shapely.is_empty(shapes))
    severity = "error" if position.required else "info"
    draft.find("position.missing", severity, "geometry", pc.or_(missing, empty), None, "give a geometry")
    draft.find("position.unreadable", "error", "geometry", unreadable, None, "the geometry is damaged")
    if (shapely.get_type_id(shapes) <= 0).all():
        x, y = shapely.get_x(shapes), shapely.get_y(shapes)
        draft.columns["source_x"], draft.columns["source_y"] = (pa.array(v, mask=np.isnan(v)) for v in (x, y))
        _set_points(draft, *_to_crs84(draft, operations, x, y))
        return x, y
    readable = pa.array(shapely.to_wkb(shapes), pa.binary())
    _set_shapes(draft, readable, operations)
    return None


def _set_shapes(draft: Draft, wkb: pa.Array, operations: Operations) -> None:
    """Set shapes that all stand in one system, as a file's geometries do; one that cannot be moved is said so."""
    code = draft.columns["source_crs"].dictionary[0].as_py()
    moved = geodesy.transform_wkb(wkb, operations[code])
    plain = operations[code].without_grid
    if plain is not None:
        left = pc.and_(pc.is_null(moved), pc.is_valid(wkb))
        moved = pc.coalesce(moved, geodesy.transform_wkb(pc.if_else(left, wkb, pa.scalar(None, wkb.type)), plain))
        draft.columns[BEYOND_GRID] = pc.and_(left, pc.is_valid(moved))
    lost = pc.and_(pc.is_null(moved), pc.is_valid(wkb))
    hint = "the shape does not lie on the earth in the stated system: check axis order, zone and units"
    draft.find("position.not_transformable", "error", "geometry", lost, None, hint)
    centre = shapely.centroid(shapely.from_wkb(_objects(moved)))
    draft.columns["geometry"] = moved
    for name, coordinate in (("longitude", shapely.get_x(centre)), ("latitude", shapely.get_y(centre))):
        draft.columns[name] = pa.array(coordinate, mask=np.isnan(coordinate))


def _objects(wkb: pa.Array) -> np.ndarray:
    return np.array(wkb.to_pylist(), dtype=object)


def _fill_operation(draft: Draft, position: Position, operations: Operations) -> None:
    accuracy = _per_row(draft, operations, lambda way: way.accuracy_m, pa.float64())
    draft.columns["crs_operation"] = _per_row(draft, operations, lambda way: way.name, pa.string())
    draft.columns["crs_accuracy_m"] = accuracy
    draft.columns["crs_grid_missing"] = _per_row(draft, operations, lambda way: way.grids_note, pa.string())
    draft.columns["frame"] = _per_row(draft, operations, lambda way: way.frame, pa.string())
    epochs = _per_row(draft, operations, lambda way: way.frame_epoch, pa.float64())
    draft.columns["frame_epoch"] = epochs if position.epoch is None else pc.fill_null(epochs, position.epoch)
    if position.uncertainty_from is not None:
        own, _ = _numbers(draft.raw(position.uncertainty_from), position.decimal)
    else:
        own = pa.repeat(pa.scalar(position.uncertainty_m, pa.float64()), draft.rows)
    squares = pc.add(pc.multiply(own, own), pc.multiply(accuracy, accuracy))
    draft.columns["position_uncertainty_m"] = pc.sqrt(squares)


def _per_row(
    draft: Draft, operations: Operations, give: Callable[[geodesy.Operation], object], kind: pa.DataType
) -> pa.Array:
    """Give what each row's operation says, for rows beyond a grid of the operation without it."""
    crs, beyond = draft.columns["source_crs"], draft.columns.get(BEYOND_GRID)
    gridded = _per_code(crs, lambda code: give(operations[code]), kind)
    if beyond is None or not beyond.true_count:
        return gridded
    plain = _per_code(crs, lambda code: give(operations[code].without_grid or operations[code]), kind)
    parts = [each.dictionary_decode() if isinstance(each, pa.DictionaryArray) else each for each in (plain, gridded)]
    return pc.if_else(beyond, *parts)


def _per_code(crs: pa.Array, give: Callable[[str], object], kind: pa.DataType) -> pa.Array:
    found = pa.array([give(code) if code else None for code in crs.dictionary.to_pylist()], kind)
    if pa.types.is_string(kind):
        return pa.DictionaryArray.from_arrays(crs.indices, found) if found.null_count == 0 else found.take(crs.indices)
    return found.take(crs.indices)


def _fill_height(draft: Draft, position: Position) -> None:
    if position.z is None:
        return
    raw = draft.raw(position.z)
    heights, unreadable = _numbers(raw, position.decimal)
    draft.columns["source_z"] = heights
    draft.find("position.height_unreadable", "warning", "source_z", unreadable, raw, "give the level as a number")
    datum = position.elevation_datum
    known = draft.vocabularies["vertical_datum"].more(datum, "kind") if datum else "unknown"
    kind = position.elevation_kind or known
    if datum:
        draft.columns["elevation_datum"] = repeat(datum, draft.rows)
    draft.columns["elevation_kind"] = repeat(kind, draft.rows)
    if kind == known and kind in ("orthometric", "ellipsoidal"):
        factor = units.factor(position.z_unit, "m") if position.z_unit else 1.0
        draft.columns["elevation_m"] = pc.multiply(heights, factor)


def _find_outside(draft: Draft, position: Position) -> None:
    if position.area is None:
        return
    lon = draft.columns["longitude"].to_numpy(zero_copy_only=False)
    lat = draft.columns["latitude"].to_numpy(zero_copy_only=False)
    outside = np.isfinite(lon) & ~geodesy.inside(lon, lat, position.area)
    pair = _pair(draft.columns["longitude"], draft.columns["latitude"], ", ") if outside.any() else None
    hint = f"the record lies outside the feed's area {list(position.area)}: check zone, sign and axis order"
    draft.find("position.outside_area", position.area_severity, "geometry", pa.array(outside), pair, hint)
