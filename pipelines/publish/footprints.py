"""The bounds and kinds of shapes, read from WKB; points are read by numpy and never become objects."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely

from pipelines.errors import RejectedError

POINT = np.dtype([("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
LITTLE_ENDIAN = 1
NAMES = {
    0: "Point",
    1: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}
HEIGHTS = 8
"""Added to a kind whose coordinates have heights."""
NOTHING = -1
"""Kind of a row without a shape, or with an empty one."""
CORNERS = ("xmin", "ymin", "xmax", "ymax")
BBOX = pa.struct([pa.field(corner, pa.float32()) for corner in CORNERS])


@dataclass(frozen=True)
class Footprints:
    """What is known of the shapes of some rows.

    Parameters
    ----------
    bounds : one row of west, south, east and north (degrees) per row; NaN where there is no shape.
    kinds : one kind per row (int8), see :func:`kind_name`; NOTHING where there is no shape.
    """

    bounds: np.ndarray
    kinds: np.ndarray

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the longitude and latitude of the middle of each shape's bounds (degrees)."""
        west, south, east, north = self.bounds.T
        return (west + east) / 2, (south + north) / 2


def footprints(shapes: pa.BinaryArray) -> Footprints:
    """Read the bounds and kinds of shapes.

    Parameters
    ----------
    shapes : WKB in longitude and latitude (degrees), null where there is none.

    Raises
    ------
    RejectedError
        If a shape is not WKB, or has measures, which GeoParquet does not know.
    """
    bounds = np.full((len(shapes), 4), np.nan)
    kinds = np.full(len(shapes), NOTHING, np.int8)
    here = shapes.is_valid().to_numpy(zero_copy_only=False)
    present = shapes.drop_null() if shapes.null_count else shapes
    points = _points(present)
    if points is None:
        bounds[here], kinds[here] = _shapes(present)
    else:
        bounds[here] = np.stack([points["x"], points["y"]] * 2, axis=1)
        kinds[here] = 0
    kinds[np.isnan(bounds[:, 0])] = NOTHING
    return Footprints(bounds, kinds)


def kind_name(kind: int) -> str:
    """Name a kind as GeoParquet does.

    >>> kind_name(11)
    'Polygon Z'
    """
    return NAMES[kind % HEIGHTS] + (" Z" if kind >= HEIGHTS else "")


def covering(bounds: np.ndarray) -> pa.StructArray:
    """Give bounds in single precision, rounded outwards; null where there is no shape.

    >>> covering(np.array([[0.1, 0.1, 0.1, 0.1]])).to_pylist()[0]["xmin"] < 0.1
    True
    """
    absent = np.isnan(bounds[:, 0])
    single = bounds.astype(np.float32)
    down, up = np.float32(-np.inf), np.float32(np.inf)
    lower = np.where(single > bounds, np.nextafter(single, down), single)
    upper = np.where(single < bounds, np.nextafter(single, up), single)
    sides = np.concatenate([lower[:, :2], upper[:, 2:]], axis=1)
    corners = [pa.array(side, pa.float32(), mask=absent) for side in sides.T]
    return pa.StructArray.from_arrays(corners, fields=list(BBOX), mask=pa.array(absent))


def _points(shapes: pa.BinaryArray) -> np.ndarray | None:
    """Read little-endian points without heights straight from the buffer; None if any shape is something else."""
    _, places, content = shapes.buffers()
    if content is None or not len(shapes):
        return np.zeros(0, POINT) if not len(shapes) else None
    offsets = np.frombuffer(places, np.int32)[shapes.offset : shapes.offset + len(shapes) + 1]
    if not (np.diff(offsets) == POINT.itemsize).all():
        return None
    points = np.frombuffer(content, POINT, count=len(shapes), offset=int(offsets[0]))
    plain = (points["order"] == LITTLE_ENDIAN) & (points["kind"] == 1)
    return points if plain.all() else None


def _shapes(shapes: pa.BinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Read the bounds and kinds of any shapes."""
    try:
        read = shapely.from_wkb(shapes.to_numpy(zero_copy_only=False))
    except shapely.GEOSException as error:
        raise RejectedError(f"a geometry is not WKB: {error}") from error
    if shapely.has_m(read).any():
        raise RejectedError("a geometry has measures (M), which GeoParquet cannot hold")
    kinds = shapely.get_type_id(read) + HEIGHTS * shapely.has_z(read)
    return shapely.bounds(read), kinds.astype(np.int8)
