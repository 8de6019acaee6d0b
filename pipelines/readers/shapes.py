"""Shapes as WKB: whether each can be read, and what kinds there are."""

import struct
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipelines.readers.report import Report
from pipelines.readers.tables import WKB, without

KINDS = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
    8: "CircularString",
    9: "CompoundCurve",
    10: "CurvePolygon",
    11: "MultiCurve",
    12: "MultiSurface",
    15: "PolyhedralSurface",
    16: "TIN",
    17: "Triangle",
}
POINT, LINES, POLYGONS = 1, (2, 8), (3, 17)
ORDERS = {0: ">I", 1: "<I"}
SAFE_BYTES = 4096
"""Shapes up to this size cannot be nested so deep that GEOS fails: a level takes nine bytes."""
DEPTH = 16
FAULT = "the shape cannot be read, or has a coordinate that is no number; correct it or leave it out"


@dataclass
class Tally:
    """What shapes a file holds, batch by batch.

    Parameters
    ----------
    kinds : count by kind, as "Polygon Z".
    missing, empty : rows without a shape, and with one that has no coordinates.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    empty: int = 0

    def sound(self, batch: pa.RecordBatch, report: Report) -> pa.RecordBatch:
        """Give a batch without the rows whose shape cannot be read; those are rejected with their values."""
        import shapely  # GEOS: native code that only a reader of shapes loads

        shapes = batch.column(WKB)
        values = shapes.to_numpy(zero_copy_only=False)
        for code, count in zip(*np.unique(_codes(shapes), return_counts=True), strict=True):
            self.kinds[_kind(int(code))] += int(count)
        deep = [place for place, value in enumerate(values) if _is_deep(value)]
        values[deep] = None
        read = shapely.from_wkb(values, on_invalid="ignore")
        finite = np.isfinite(shapely.bounds(read)).all(axis=1) | shapely.is_empty(read)
        present = shapes.is_valid().to_numpy(zero_copy_only=False)
        self.missing += int((~present).sum())
        self.empty += int(shapely.is_empty(read).sum())
        bad = present & ~(finite & shapely.is_geometry(read))
        return without(batch, pa.array(bad), "read.bad_shape", FAULT, report, column=WKB) if bad.any() else batch

    def tell(self, report: Report) -> None:
        """Tell what shapes there were, where they are not all of one plain kind."""
        plain = len(self.kinds) <= 1 and all(kind.isalpha() for kind in self.kinds)
        if plain and not self.missing and not self.empty:
            return
        parts = [f"{count} {kind}" for kind, count in self.kinds.most_common()]
        parts += [f"{self.missing} without a shape"] if self.missing else []
        parts += [f"{self.empty} empty"] if self.empty else []
        hint = "shapes come as they are, with Z and M; a row without one has none in `_wkb`"
        report.issue("read.shapes", ", ".join(parts), hint, severity="info")


def _codes(shapes: pa.Array) -> np.ndarray:
    """Give the type code of each shape that is there and long enough to have one."""
    shapes = shapes.drop_null()
    if not len(shapes):
        return np.empty(0, dtype=np.uint32)
    _valid, offsets, data = shapes.buffers()
    ends = np.frombuffer(offsets, np.int32)[shapes.offset : shapes.offset + len(shapes) + 1]
    starts = ends[:-1][np.diff(ends) >= 5]
    if not len(starts):
        return np.empty(0, dtype=np.uint32)
    octets = np.frombuffer(data, np.uint8)
    heads = octets[starts[:, None] + np.arange(1, 5)]
    big = octets[starts] == 0
    heads[big] = heads[big][:, ::-1]
    return np.ascontiguousarray(heads).view("<u4").ravel()


def _kind(code: int) -> str:
    """Name a type code of ISO or of extended WKB.

    >>> _kind(1003), _kind(0xC0000001)
    ('Polygon Z', 'Point ZM')
    """
    flags, base = code >> 28, code & 0x0FFFFFFF
    measures = {0: "", 1: "Z", 2: "M", 3: "ZM"}.get(base // 1000, "?")
    if flags & 0xC:
        measures = ("Z" if flags & 0x8 else "") + ("M" if flags & 0x4 else "")
    return f"{KINDS.get(base % 1000, 'unknown kind')} {measures}".strip()


def _is_deep(value: bytes | None) -> bool:
    """Tell whether parts are nested too deep for GEOS, which ends its process then; short shapes cannot be."""
    return value is not None and len(value) > SAFE_BYTES and not _is_shallow(value)


def _is_shallow(value: bytes) -> bool:
    """Walk the heads of a shape's parts, and tell whether they make sense and are nested no deeper than DEPTH."""
    place, left = 0, [1]
    try:
        while left:
            if left[-1] == 0:
                left.pop()
                continue
            left[-1] -= 1
            kind, dimensions, order, place = _head(value, place)
            if kind == POINT:
                place += 8 * dimensions
                continue
            (count,) = struct.unpack_from(order, value, place)
            place += 4
            if kind in LINES:
                place += 8 * dimensions * count
            elif kind in POLYGONS:
                place = _after_rings(value, place, count, dimensions=dimensions, order=order)
            else:
                left.append(count)
            if len(left) > DEPTH:
                return False
    except (struct.error, KeyError, IndexError):
        return False
    return True


def _head(value: bytes, place: int) -> tuple[int, int, str, int]:
    """Give a part's kind, dimensions, byte order and the place behind its head, as GEOS reads them."""
    order = ORDERS[value[place]]
    (code,) = struct.unpack_from(order, value, place + 1)
    kind, span = (code & 0xFFFF) % 1000, (code & 0xFFFF) // 1000
    if kind not in KINDS:
        raise KeyError(kind)
    has_z = bool(code & 0x80000000) or span in (1, 3)
    has_m = bool(code & 0x40000000) or span in (2, 3)
    return kind, 2 + has_z + has_m, order, place + (9 if code & 0x20000000 else 5)


def _after_rings(value: bytes, place: int, count: int, *, dimensions: int, order: str) -> int:
    for _ring in range(count):
        (points,) = struct.unpack_from(order, value, place)
        place += 4 + 8 * dimensions * points
    return place
