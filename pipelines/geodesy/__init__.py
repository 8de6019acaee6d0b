"""Geodesy: operations between coordinate reference systems, coordinates as text, and where a point can be."""

from pipelines.geodesy.coordinates import Box, Corners, inside, parse_corners, parse_dms, point_wkb
from pipelines.geodesy.grids import installed
from pipelines.geodesy.operations import TARGET, Operation, operation, transform, transform_wkb, uncertainty
from pipelines.geodesy.outlines import Outlines, load_outlines, outlines_digest
from pipelines.geodesy.sheets import SHEETS
from pipelines.geodesy.zones import Zone, neighbours, utm_zones, zone_of

__all__ = [
    "SHEETS",
    "TARGET",
    "Box",
    "Corners",
    "Operation",
    "Outlines",
    "Zone",
    "inside",
    "installed",
    "load_outlines",
    "neighbours",
    "operation",
    "outlines_digest",
    "parse_corners",
    "parse_dms",
    "point_wkb",
    "transform",
    "transform_wkb",
    "uncertainty",
    "utm_zones",
    "zone_of",
]
