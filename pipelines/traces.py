"""Traces every hole that can be traced, and says of every other why it cannot."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import Transformer

from pipelines import geodesy
from pipelines.desurvey import (
    STEEP,
    Path,
    Stations,
    bend_rates,
    convergence,
    grid_azimuth,
    is_plane,
    metres_per_unit,
    minimum_curvature,
    reaching,
    utm_zones,
)

TRACED = ("surveyed", "extended", "straight")
"""Statuses of a hole that has a trace; every other is a reason why there is none."""
_COLLAR_NUMBERS = (
    "longitude",
    "latitude",
    "elevation_m",
    "depth_m",
    "collar_dip_deg",
    "collar_azimuth_deg",
    "declination_deg",
    "kickoff_m",
)
COLLAR_COLUMNS = ("record_id", "source_crs", "azimuth_reference", "parent_id", *_COLLAR_NUMBERS)
STATION_COLUMNS = (
    "drillhole_id",
    "depth_m",
    "dip_deg",
    "dip_convention",
    "azimuth_deg",
    "azimuth_reference",
    "declination_deg",
)
"""Columns of drillhole and drillhole_survey that the traces are made from."""
NOWHERE = 1e-8
"""Degrees, about a millimetre, within which a hole has not left its collar in plan."""
MARGIN = 0.01
"""Degrees around collars within which their holes stay."""
SCHEMA = pa.schema(
    [
        ("drillhole_id", pa.string()),
        ("trace_status", pa.string()),
        ("geometry", pa.binary()),
        ("depths_m", pa.list_(pa.float64())),
        ("rises_m", pa.list_(pa.float64())),
        ("stations", pa.int64()),
        ("extended_m", pa.float64()),
        ("sharpest_bend_deg", pa.float64()),
        ("trace_crs", pa.string()),
        ("convergence_deg", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Holes:
    """Collars as arrays, one entry per hole; numbers that are not known are nan, texts empty."""

    ids: pa.Array
    lon: np.ndarray
    lat: np.ndarray
    elevation_m: np.ndarray
    depth_m: np.ndarray
    dip_deg: np.ndarray
    azimuth_deg: np.ndarray
    reference: np.ndarray
    declination_deg: np.ndarray
    kickoff_m: np.ndarray
    parent: np.ndarray
    """Number of the hole that it branches from; -1 where it does not."""
    own_plane: np.ndarray
    """Whether its own system is projected."""
    plane: np.ndarray
    """The projected system in which it is traced; empty where it has no position."""
    convergence_deg: np.ndarray


@dataclass(frozen=True)
class Surveyed:
    """Stations with azimuths on grid north, and what keeps each from being used: a status, or nothing."""

    stations: Stations
    wrong: np.ndarray

    def taken(self, rows: np.ndarray) -> "Surveyed":
        """Give some of the stations."""
        return Surveyed(self.stations.taken(rows), self.wrong[rows])


@dataclass(frozen=True)
class Line:
    """The vertices of many holes: depth along the hole, height over the collar, and position in OGC:CRS84.

    Parameters
    ----------
    bend_deg : of the hole above each vertex, degrees in 30 m.
    """

    hole: np.ndarray
    depth_m: np.ndarray
    rise_m: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    bend_deg: np.ndarray

    def taken(self, rows: np.ndarray) -> "Line":
        """Give some of the vertices."""
        return Line(*(values[rows] for values in vars(self).values()))


def traces(collars: pa.Table, stations: pa.Table) -> pa.Table:
    """Give one row per hole, with its trace or the reason why it has none.

    Parameters
    ----------
    collars : columns of the dataset drillhole; stations : columns of the dataset drillhole_survey.

    Returns
    -------
    Table in SCHEMA, in the collars' order. ``geometry`` is a line in OGC:CRS84 that starts at the collar, with z (m)
    where the collar's elevation is known; ``depths_m`` and ``rises_m`` (height over the collar, negative below) have
    one number per vertex.
    """
    holes = _holes(collars)
    own = _surveyed(stations, holes)
    count = np.bincount(own.stations.hole, minlength=len(holes.ids))
    bare = (count == 0) & (holes.parent < 0)
    told = _told_once(_joined(_with_parents(own, holes), _from_collars(holes, bare)))
    deepest = np.zeros(len(holes.ids))
    np.maximum.at(deepest, told.stations.hole, told.stations.depth_m)
    extended = np.where(count > 0, np.fmax(holes.depth_m - deepest, 0.0), 0.0)
    status = _status(holes, told, count, np.fmax(holes.depth_m, deepest), extended)
    line = _line(holes, told.stations.taken(np.isin(status, TRACED)[told.stations.hole]))
    status[np.unique(line.hole[np.isnan(line.rise_m)])] = "doubles-back"
    status[np.unique(line.hole[np.isnan(line.lon) & ~np.isnan(line.rise_m)])] = "outside-system"
    traced = np.isin(status, TRACED)
    return _table(holes, status, line.taken(traced[line.hole]), np.where(traced, extended, np.nan), count)


def _holes(collars: pa.Table) -> Holes:
    number = {name: _numbers(collars, name) for name in _COLLAR_NUMBERS}
    reference, crs = _texts(collars, "azimuth_reference"), _texts(collars, "source_crs")
    ids = _plain(collars, "record_id")
    placed = np.isfinite(number["longitude"]) & np.isfinite(number["latitude"])
    own = np.isin(crs, [one for one in np.unique(crs[placed]) if one and is_plane(one)])
    plane = np.where(placed & own, crs, "").astype(object)
    plane[placed & ~own] = utm_zones(*(number[name][placed & ~own] for name in ("longitude", "latitude")))
    turn = np.full(len(ids), np.nan)
    for name, here in _groups(plane):
        turn[here] = convergence(number["longitude"][here], number["latitude"][here], name)
    parent = pc.fill_null(pc.index_in(_plain(collars, "parent_id"), value_set=ids), -1)
    return Holes(
        ids=ids,
        lon=number["longitude"],
        lat=number["latitude"],
        elevation_m=number["elevation_m"],
        depth_m=number["depth_m"],
        dip_deg=number["collar_dip_deg"],
        azimuth_deg=number["collar_azimuth_deg"],
        reference=reference,
        declination_deg=number["declination_deg"],
        kickoff_m=number["kickoff_m"],
        parent=parent.to_numpy(zero_copy_only=False).astype(np.int64),
        own_plane=own,
        plane=plane,
        convergence_deg=turn,
    )


def _surveyed(stations: pa.Table, holes: Holes) -> Surveyed:
    """Put stations in order, on grid north."""
    found = pc.index_in(_plain(stations, "drillhole_id"), value_set=holes.ids)
    mine = stations.filter(pc.is_valid(found))
    hole = found.drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
    told = Stations(hole, *(_numbers(mine, name) for name in ("depth_m", "dip_deg", "azimuth_deg")))
    known = _texts(mine, "dip_convention") != "unknown"
    return _on_grid(told, _texts(mine, "azimuth_reference"), _numbers(mine, "declination_deg"), holes, known)


def _from_collars(holes: Holes, bare: np.ndarray) -> Surveyed:
    """Make a station of the direction at the collar, for holes without a survey."""
    hole = np.flatnonzero(bare & np.isfinite(holes.dip_deg))
    told = Stations(hole, np.zeros(len(hole)), holes.dip_deg[hole], holes.azimuth_deg[hole])
    known = np.ones(len(hole), dtype=bool)
    return _on_grid(told, holes.reference[hole], holes.declination_deg[hole], holes, known)


def _on_grid(
    told: Stations, reference: np.ndarray, declination: np.ndarray, holes: Holes, known: np.ndarray
) -> Surveyed:
    azimuth = grid_azimuth(told.azimuth_deg, reference, declination, holes.convergence_deg[told.hole])
    wrong = np.full(len(told.hole), "", dtype=object)
    slanted = ~(np.abs(told.dip_deg) >= STEEP)
    wrong[slanted & (reference == "magnetic") & np.isnan(declination)] = "declination-missing"
    wrong[slanted & (reference == "grid") & ~holes.own_plane[told.hole]] = "grid-missing"
    wrong[slanted & (reference == "local")] = "azimuth-reference-local"
    wrong[slanted & np.isin(reference, ["unknown", ""])] = "azimuth-reference-unknown"
    wrong[np.isnan(told.dip_deg) | (slanted & np.isnan(told.azimuth_deg))] = "no-direction"
    wrong[~known] = "dip-convention-unknown"
    order = np.lexsort((told.depth_m, told.hole))
    return Surveyed(Stations(told.hole, told.depth_m, told.dip_deg, azimuth), wrong).taken(order)


def _joined(one: Surveyed, other: Surveyed) -> Surveyed:
    pairs = zip(vars(one.stations).values(), vars(other.stations).values(), strict=True)
    together = Stations(*(np.concatenate(pair) for pair in pairs))
    order = np.lexsort((together.depth_m, together.hole))
    return Surveyed(together, np.concatenate([one.wrong, other.wrong])).taken(order)


def _with_parents(surveyed: Surveyed, holes: Holes) -> Surveyed:
    """Give wedges the stations of their parents above the kick-off, where they have none there themselves.

    A wedge without any station of its own gets none: it leaves its parent in a direction that nobody states.
    """
    told = surveyed.stations
    shallowest = np.full(len(holes.ids), np.inf)
    np.minimum.at(shallowest, told.hole, told.depth_m)
    wedges = np.flatnonzero((holes.parent >= 0) & np.isfinite(shallowest) & (shallowest >= holes.kickoff_m))
    begin = np.searchsorted(told.hole, holes.parent[wedges], "left")
    sizes = np.searchsorted(told.hole, holes.parent[wedges], "right") - begin
    rows = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes) + np.arange(sizes.sum())
    heirs = np.repeat(wedges, sizes)
    above = told.depth_m[rows] < holes.kickoff_m[heirs]
    borrowed = surveyed.taken(rows[above])
    mine = Stations(heirs[above], *(vars(borrowed.stations)[name] for name in ("depth_m", "dip_deg", "azimuth_deg")))
    return _joined(surveyed, Surveyed(mine, borrowed.wrong))


def _told_once(surveyed: Surveyed) -> Surveyed:
    """Leave out stations that are told again, and mark those that contradict another at their depth."""
    told = surveyed.stations
    if not len(told.hole):
        return surveyed
    again = np.zeros(len(told.hole), dtype=bool)
    again[1:] = (told.hole[1:] == told.hole[:-1]) & (told.depth_m[1:] == told.depth_m[:-1])
    pairs = [(np.roll(values, 1), values) for values in (told.dip_deg, told.azimuth_deg)]
    same = np.all([(one == other) | (np.isnan(one) & np.isnan(other)) for one, other in pairs], axis=0)
    wrong = surveyed.wrong.copy()
    wrong[again & ~same] = "stations-contradict"
    return Surveyed(told, wrong).taken(~(again & same))


def _status(
    holes: Holes, told: Surveyed, count: np.ndarray, length_m: np.ndarray, extended_m: np.ndarray
) -> np.ndarray:
    """Say of every hole how it is traced, or the gravest reason why it is not."""
    status = np.where(count == 0, "straight", np.where(extended_m > 0, "extended", "surveyed")).astype(object)
    status[~(length_m > 0)] = "length-unknown"
    for reason in _REASONS:
        status[np.unique(told.stations.hole[told.wrong == reason])] = reason
    status[np.bincount(told.stations.hole, minlength=len(status)) == 0] = "no-direction"
    status[holes.plane == ""] = "no-position"
    return status


_REASONS = (
    "stations-contradict",
    "declination-missing",
    "grid-missing",
    "azimuth-reference-local",
    "azimuth-reference-unknown",
    "no-direction",
    "dip-convention-unknown",
)


def _line(holes: Holes, stations: Stations) -> Line:
    """Give the vertices of the holes that these stations are of."""
    whole = reaching(stations, holes.depth_m)
    path = minimum_curvature(whole)
    lon, lat = _placed(holes, whole, path)
    return Line(whole.hole, whole.depth_m, path.up_m, lon, lat, bend_rates(whole))


def _table(holes: Holes, status: np.ndarray, line: Line, extended_m: np.ndarray, count: np.ndarray) -> pa.Table:
    sizes = np.bincount(line.hole, minlength=len(status))
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    without = pa.array(sizes == 0)
    sharpest = np.where(sizes > 0, 0.0, np.nan)
    np.maximum.at(sharpest, line.hole, line.bend_deg)
    columns = {
        "drillhole_id": holes.ids,
        "trace_status": pa.array(status, pa.string()),
        "geometry": _wkb(holes, line),
        "depths_m": pa.ListArray.from_arrays(offsets, pa.array(line.depth_m), mask=without),
        "rises_m": pa.ListArray.from_arrays(offsets, pa.array(line.rise_m), mask=without),
        "stations": pa.array(count),
        "extended_m": pa.array(extended_m, from_pandas=True),
        "sharpest_bend_deg": pa.array(sharpest, from_pandas=True),
        "trace_crs": pa.array([name or None for name in holes.plane], pa.string()),
        "convergence_deg": pa.array(holes.convergence_deg, from_pandas=True),
    }
    return pa.table(columns).cast(SCHEMA)


def _wkb(holes: Holes, line: Line) -> pa.Array:
    """Write the traces as lines, with heights where the collar's is known; null for a hole that has none.

    A line without heights that does not leave its collar is no valid line: a vertical hole is a point in plan.
    """
    heights = holes.elevation_m[line.hole] + line.rise_m
    shapes = np.full(len(holes.ids), None, dtype=object)
    high = np.isfinite(heights)
    for mask, coordinates in ((high, (line.lon, line.lat, heights)), (~high, (line.lon, line.lat))):
        numbers, indices = np.unique(line.hole[mask], return_inverse=True)
        shapes[numbers] = shapely.linestrings(np.column_stack([each[mask] for each in coordinates]), indices=indices)
    flat = ~high & (np.hypot(line.lon - holes.lon[line.hole], line.lat - holes.lat[line.hole]) < NOWHERE)
    upright = np.setdiff1d(line.hole[flat], line.hole[~flat])
    shapes[upright] = shapely.points(holes.lon[upright], holes.lat[upright])
    return pa.array(shapely.to_wkb(shapes, flavor="iso"), pa.binary())


def _placed(holes: Holes, whole: Stations, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Give longitude and latitude of every vertex; the first of a hole is its collar's, as it was published."""
    lon, lat = np.full(len(whole.hole), np.nan), np.full(len(whole.hole), np.nan)
    for plane, here in _groups(holes.plane[whole.hole]):
        hole = whole.hole[here]
        scale = metres_per_unit(plane)
        # The shift between datums moves the collar by metres, which turns the grid by nothing.
        x, y = Transformer.from_crs("OGC:CRS84", plane, always_xy=True).transform(holes.lon[hole], holes.lat[hole])
        how = geodesy.operation(plane, _around(holes.lon[hole], holes.lat[hole]))
        end = geodesy.transform(x + path.east_m[here] / scale, y + path.north_m[here] / scale, how)
        top = geodesy.transform(x, y, how)
        lon[here] = holes.lon[hole] + end[0] - top[0]
        lat[here] = holes.lat[hole] + end[1] - top[1]
    return lon, lat


def _around(lon: np.ndarray, lat: np.ndarray) -> geodesy.Box:
    west, south, east, north = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
    return west - MARGIN, south - MARGIN, east + MARGIN, north + MARGIN


def _groups(names: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for name in sorted(set(names.tolist()) - {""}):
        yield name, np.flatnonzero(names == name)


def _plain(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).cast(pa.string()).combine_chunks()


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)


def _texts(table: pa.Table, name: str) -> np.ndarray:
    return np.array(pc.fill_null(_plain(table, name), "").to_pylist(), dtype=object)
