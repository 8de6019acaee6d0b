"""Traces of drillholes from their downhole surveys, by minimum curvature in the collar's own grid."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pyproj import CRS, Proj

STEEP = 89.995
"""Dip, up or down, from which the azimuth does not matter: it moves a kilometre by less than 0.1 m."""
SMALL = 1e-4
"""Radians below which a bend's ratio factor is taken from its series, which is exact to 1e-17 there."""
BACKWARDS = np.radians(179.0)
"""Bend between two stations from which no arc between them can be told."""


@dataclass(frozen=True)
class Stations:
    """Stations of many holes, those of a hole side by side and by increasing depth.

    Parameters
    ----------
    hole : number of the hole, from 0, not decreasing.
    depth_m : m along the hole.
    dip_deg : degrees, negative down.
    azimuth_deg : degrees clockwise from grid north; nan where it is not known.
    """

    hole: np.ndarray
    depth_m: np.ndarray
    dip_deg: np.ndarray
    azimuth_deg: np.ndarray

    def taken(self, rows: np.ndarray) -> "Stations":
        """Give some of the stations, by place or mask."""
        return Stations(self.hole[rows], self.depth_m[rows], self.dip_deg[rows], self.azimuth_deg[rows])

    def joined(self, other: "Stations") -> "Stations":
        """Give these stations and others in one order."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _in_order(Stations(*(np.concatenate(pair) for pair in pairs)))


@dataclass(frozen=True)
class Path:
    """Where the stations of many holes are from their collars, m: east and north in the grid, and up."""

    east_m: np.ndarray
    north_m: np.ndarray
    up_m: np.ndarray


def minimum_curvature(stations: Stations) -> Path:
    """Give the place of every station from its collar, along circular arcs between stations.

    From the collar down to a first station below it the hole is straight. Between two stations the path is the arc
    that has both directions as tangents. Depths are taken as lengths in the grid: its scale, 0.4 m in a kilometre at
    most on UTM, is left out. Where two stations point against each other, the places from there on are nan.

    Source: minimum-curvature method, Taylor & Mason 1972 (SPE 3362); ratio factor 2/b tan(b/2) of Zaremba 1973.

    >>> straight = Stations(np.zeros(2, int), np.array([0.0, 100]), np.array([-30.0, -30]), np.array([90.0, 90]))
    >>> path = minimum_curvature(straight)
    >>> np.round([path.east_m[-1], path.north_m[-1], path.up_m[-1]], 3).tolist()
    [86.603, 0.0, -50.0]
    """
    if not len(stations.hole):
        return Path(*(np.zeros(0) for _ in range(3)))
    ahead = directions(stations.dip_deg, stations.azimuth_deg)
    first = _firsts(stations.hole)
    above = np.where(first[:, None], ahead, np.roll(ahead, 1, axis=0))
    length = np.where(first, stations.depth_m, stations.depth_m - np.roll(stations.depth_m, 1))
    bend = bends(above, ahead)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(bend < SMALL, 1 + bend**2 / 12, 2 / bend * np.tan(bend / 2))
    ratio = np.where(bend < BACKWARDS, ratio, np.nan)
    steps = (length / 2 * ratio)[:, None] * (above + ahead)
    return Path(*_summed_within(steps, first).T)


def directions(dip_deg: np.ndarray, azimuth_deg: np.ndarray) -> np.ndarray:
    """Give unit vectors (east, north, up); a vertical one needs no azimuth."""
    dip = np.radians(dip_deg)
    azimuth = np.radians(np.where(np.abs(dip_deg) >= STEEP, np.nan_to_num(azimuth_deg), azimuth_deg))
    return np.column_stack([np.cos(dip) * np.sin(azimuth), np.cos(dip) * np.cos(azimuth), np.sin(dip)])


def bends(above: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Give the angle between unit vectors, in radians, exactly for small angles too.

    >>> bends(np.array([[0.0, 0, 1]]), np.array([[0.0, 1, 0]])).round(6).tolist()
    [1.570796]
    """
    apart = np.linalg.norm(ahead - above, axis=1)
    return 2 * np.arcsin(np.minimum(apart / 2, 1.0))


def bend_rates(stations: Stations) -> np.ndarray:
    """Give how much each hole bends above each station, in degrees in 30 m; zero at its first.

    >>> told = Stations(np.zeros(2, int), np.array([0.0, 15]), np.array([-60.0, -57]), np.array([90.0, 90]))
    >>> bend_rates(told).round(6).tolist()
    [0.0, 6.0]
    """
    if not len(stations.hole):
        return np.zeros(0)
    ahead = directions(stations.dip_deg, stations.azimuth_deg)
    first = _firsts(stations.hole)
    bend = np.degrees(bends(np.roll(ahead, 1, axis=0), ahead))
    length = np.where(first, 1.0, stations.depth_m - np.roll(stations.depth_m, 1))
    return np.where(first, 0.0, bend * 30 / length)


def reaching(stations: Stations, ends_m: np.ndarray) -> Stations:
    """Add to every hole its collar, and its end where that lies below the last station.

    The hole is straight up to the first station and from the last one on.

    Parameters
    ----------
    ends_m : depth of each hole, by its number; nan where it is not known.
    """
    first = _firsts(stations.hole)
    last = np.roll(first, -1)
    collars = stations.taken(first & (stations.depth_m > 0))
    ends = stations.taken(last & (stations.depth_m < ends_m[stations.hole]))
    tops = Stations(collars.hole, np.zeros(len(collars.hole)), collars.dip_deg, collars.azimuth_deg)
    bases = Stations(ends.hole, ends_m[ends.hole], ends.dip_deg, ends.azimuth_deg)
    return stations.joined(tops).joined(bases)


def grid_azimuth(
    azimuth_deg: np.ndarray, reference: np.ndarray, declination_deg: np.ndarray, convergence_deg: np.ndarray
) -> np.ndarray:
    """Turn azimuths to grid north; nan where their reference does not allow it.

    Parameters
    ----------
    reference : true, grid, magnetic, local or unknown.
    declination_deg : of magnetic north from true north, positive east; only for magnetic azimuths, nan if not stated.
    convergence_deg : of grid north from true north, positive east.

    >>> one = np.array([10.0])
    >>> grid_azimuth(one, np.array(["magnetic"]), np.array([7.5]), np.array([0.5])).tolist()
    [17.0]
    """
    turn = np.full(len(azimuth_deg), np.nan)
    turn[reference == "grid"] = 0.0
    turn[reference == "true"] = -convergence_deg[reference == "true"]
    magnetic = reference == "magnetic"
    turn[magnetic] = declination_deg[magnetic] - convergence_deg[magnetic]
    return (azimuth_deg + turn) % 360


def convergence(lon: np.ndarray, lat: np.ndarray, crs: str) -> np.ndarray:
    """Give the convergence of a projected system's grid at points, in degrees, positive where grid north lies east.

    >>> convergence(np.array([145.8]), np.array([-20.3]), "EPSG:28355").round(4).tolist()
    [0.4164]
    """
    factors = Proj(CRS(crs)).get_factors(np.asarray(lon), np.asarray(lat))
    return np.atleast_1d(np.asarray(factors.meridian_convergence, dtype=np.float64))


def utm_zones(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Give the UTM zone of positions in degrees, as EPSG codes; for holes whose own system is no plane.

    >>> utm_zones(np.array([145.8, 180.0]), np.array([-20.3, 60.0])).tolist()
    ['EPSG:32755', 'EPSG:32660']
    """
    zones = np.minimum(np.floor((lon + 180) / 6) + 1, 60) + np.where(lat >= 0, 32600, 32700)
    return np.char.add("EPSG:", zones.astype(np.int64).astype(str)).astype(object)


@lru_cache(maxsize=256)
def is_plane(crs: str) -> bool:
    """Tell whether a system is projected, with axes that point east and north."""
    known = CRS(crs)
    return known.is_projected and {axis.direction for axis in known.axis_info[:2]} == {"east", "north"}


@lru_cache(maxsize=256)
def metres_per_unit(crs: str) -> float:
    """Give the length of a projected system's unit, in metres."""
    return float(CRS(crs).axis_info[0].unit_conversion_factor)


def _firsts(hole: np.ndarray) -> np.ndarray:
    return np.concatenate([[True], hole[1:] != hole[:-1]]) if len(hole) else np.zeros(0, dtype=bool)


def _in_order(stations: Stations) -> Stations:
    return stations.taken(np.lexsort((stations.depth_m, stations.hole)))


def _summed_within(steps: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Add steps up from the first row of each hole; what is nan stays within its hole."""
    start = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    lost = np.isnan(steps).any(axis=1)
    total = np.cumsum(np.where(lost[:, None], 0.0, steps), axis=0)
    before = total[start] - np.where(lost[start][:, None], 0.0, steps[start])
    gone = np.cumsum(lost)
    broken = gone - (gone[start] - lost[start]) > 0
    return np.where(broken[:, None], np.nan, total - before)
