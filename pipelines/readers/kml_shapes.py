"""Shapes of KML as WKB."""

from typing import Any

import numpy as np

GEOMETRIES = ("Point", "LineString", "LinearRing", "Polygon", "MultiGeometry", "Model", "Track", "MultiTrack")
"""What may be drawn of a placemark; models and tracks cannot be kept as a shape."""

Element = Any  # lxml's types are not told to the type checker


class ShapeError(Exception):
    """A shape that cannot be read, with the reason."""


def shape(drawn: list[Element]) -> bytes | None:
    """Give what is drawn of a placemark as WKB, or None where nothing is.

    Raises
    ------
    ShapeError
        If a corner is no number, has a height where another has none, or the shape is of a kind that is not kept.
    """
    import shapely  # GEOS: native code that only a reader of shapes loads

    if not drawn:
        return None
    try:
        made = [_made(element, shapely) for element in drawn]
    except shapely.GEOSException as error:
        raise ShapeError(str(error).splitlines()[0]) from error
    return bytes(shapely.to_wkb(made[0] if len(made) == 1 else shapely.GeometryCollection(made), output_dimension=3))


def _made(element: Element, shapely: Any) -> Any:  # noqa: ANN401 - a module, and one of its shapes
    name = str(element.tag).rpartition("}")[2]
    if name == "Point":
        corners = _corners(element)
        return shapely.Point(corners[0]) if len(corners) else shapely.Point()
    if name in ("LineString", "LinearRing"):
        return shapely.LineString(_corners(element))
    if name == "Polygon":
        outer = element.find("{*}outerBoundaryIs")
        holes = [_corners(each) for each in element.findall("{*}innerBoundaryIs")]
        return shapely.Polygon(_corners(element if outer is None else outer), holes)
    if name == "MultiGeometry":
        return _collected([_made(each, shapely) for each in element if _is_geometry(each)], shapely)
    raise ShapeError(f"a {name} is kept as no shape")


def _is_geometry(element: Element) -> bool:
    return str(element.tag).rpartition("}")[2] in GEOMETRIES


def _collected(parts: list[Any], shapely: Any) -> Any:  # noqa: ANN401 - a module, and one of its shapes
    """Give a multi-shape of parts that are of one kind, or a collection."""
    kinds = {part.geom_type for part in parts}
    makers = {"Point": "MultiPoint", "LineString": "MultiLineString", "Polygon": "MultiPolygon"}
    maker = makers.get(kinds.pop(), "GeometryCollection") if len(kinds) == 1 else "GeometryCollection"
    return getattr(shapely, maker)(parts)


def _corners(element: Element) -> np.ndarray:
    """Give the corners of a ring, a line or a point: two columns, or three with heights."""
    text = next((each.text or "" for each in element.iter("{*}coordinates")), "")
    rows = [corner.split(",") for corner in text.split()]
    widths = {len(row) for row in rows}
    if len(widths) > 1 or widths - {2, 3}:
        raise ShapeError(f"corners of {sorted(widths)} numbers in {text.strip()[:80]!r}")
    try:
        return np.array(rows, dtype=np.float64).reshape(len(rows), *widths or (2,))
    except ValueError as error:
        raise ShapeError(f"{error} in {text.strip()[:80]!r}") from error
