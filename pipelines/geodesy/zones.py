"""Zones of projected systems: how far a point lies from its zone's middle, and which zones lie beside it."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from pyproj import CRS
from pyproj.exceptions import CRSError

HALF_WIDTH = 3.5
"""Degrees from its meridian within which a six-degree zone is used: half of it, and half a degree of overlap."""

_NAMED = re.compile(r"^(?P<family>.*\bzone )(?P<number>\d{1,2})(?P<side>[NS]?)$")


@dataclass(frozen=True)
class Zone:
    """A six-degree zone of a system such as UTM or MGA94.

    Parameters
    ----------
    code : the projected system.
    number : the zone's number.
    meridian : its central meridian, degrees.
    """

    code: str
    number: int
    meridian: float

    def beyond(self, lon: np.ndarray) -> np.ndarray:
        """Tell which longitudes lie outside what the zone is used for."""
        away = (lon - self.meridian + 180.0) % 360.0 - 180.0
        return np.abs(away) > HALF_WIDTH

    def ground(self, lon: float) -> int:
        """Give the number of the zone in which a longitude lies."""
        return self.number + round(((lon - self.meridian + 180.0) % 360.0 - 180.0) / 6.0)


@lru_cache(maxsize=256)
def zone_of(code: str) -> Zone | None:
    """Give the zone that a system's name tells, or None where it has no six-degree zones.

    >>> zone_of("EPSG:28355").meridian
    147.0
    """
    try:
        crs = CRS.from_user_input(code)
    except CRSError:
        return None
    named = _NAMED.match(crs.name)
    operation = crs.coordinate_operation
    if not named or operation is None or operation.method_name != "Transverse Mercator":
        return None
    meridians = [float(one.value) for one in operation.params if one.name == "Longitude of natural origin"]
    number = int(named["number"])
    if meridians != [(number - 31) * 6.0 + 3.0]:
        return None
    return Zone(code, number, meridians[0])


@lru_cache(maxsize=256)
def neighbours(code: str) -> tuple[str, ...]:
    """Give the systems of the same family up to two zones away, nearest first.

    >>> neighbours("EPSG:28355")
    ('EPSG:28354', 'EPSG:28356', 'EPSG:28353', 'EPSG:28357')
    """
    zone = zone_of(code)
    authority, _, number = code.partition(":")
    if zone is None or not number.isdigit():
        return ()
    family = _family(code)
    near = [f"{authority}:{int(number) + step}" for step in (-1, 1, -2, 2)]
    return tuple(other for other in near if zone_of(other) is not None and _family(other) == family)


def utm_zones(west: float, east: float) -> tuple[str, ...]:
    """Give the UTM zones on WGS 84, north and south, of a stretch of longitudes, which may cross 180 degrees.

    >>> utm_zones(121.0, 127.0)
    ('EPSG:32651', 'EPSG:32751', 'EPSG:32652', 'EPSG:32752')
    """
    if west > east:
        return (*utm_zones(west, 180.0), *utm_zones(-180.0, east))
    first, last = (int((min(max(edge, -180.0), 179.999) + 180.0) // 6.0) + 1 for edge in (west, east))
    return tuple(f"EPSG:{side}{number:02d}" for number in range(first, last + 1) for side in (326, 327))


def _family(code: str) -> str:
    named = _NAMED.match(CRS.from_user_input(code).name)
    return named["family"] + named["side"] if named else ""
