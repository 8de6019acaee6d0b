"""One operation per source system and area, by stated accuracy; those without a shift are refused."""

import math
import re
import threading
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from pyproj.transformer import TransformerGroup

from pipelines.errors import ContractError, RejectedError
from pipelines.geodesy import grids
from pipelines.geodesy.coordinates import Box, inside

TARGET = "OGC:CRS84"

CHAINS = {"EPSG:4202": ("EPSG:4283", "EPSG:7844"), "EPSG:4203": ("EPSG:4283", "EPSG:7844"), "EPSG:4283": ("EPSG:7844",)}
"""Datums that go by way of others, so that AGD66, AGD84, GDA94 and GDA2020 agree and do not lie 1.8 m apart.

AGD66 straight to GDA2020 is 200 m wrong (no shift) or 4 to 9 m wrong (an operation of the Capital Territory)."""

FRAME_EPOCHS = {"EPSG:4283": 1994.0, "EPSG:7844": 2020.0, "EPSG:4258": 1989.0}
"""GDA94 and GDA2020 (ICSM technical manuals), ETRS89 (EUREF): frames that move with their plate, by definition."""

BRITISH = "EPSG:4277"
"""OSGB36, of which the national grid (EPSG:27700) is what OSTN15 shifts."""

_OSTN15_ACCURACY = 0.03
_OSTN15_AREA: Box = (-9.01, 49.75, 2.01, 61.01)
"""EPSG operation 7953, OSGB36 to ETRS89 (2)."""

_GRID_ON_ETRS89 = (
    "+proj=pipeline +step +inv +proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=GRS80 "
    "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
)
"""The national grid's projection on the ellipsoid of ETRS89, which OSTN15 shifts to."""

_GRID_NAMES = re.compile(r"\bgrids=(\S+)")

_SHIFTS = ("helmert", "gridshift", "molodensky", "molobadekas", "affine", "geogoffset", "tinshift", "deformation")
"""Methods by which PROJ moves a point from one datum to another."""

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

_WHOLE = 1.0 - 1e-6
"""Share from which an area counts as covered; sums of degrees are not exact."""


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
    steps : PROJ pipelines, and names of grids that PROJ does not have, in order.
    frame : the frame that the result is strictly in: the last one before a step to WGS 84 that shifts nothing.
    without_grid : the operation for points that a grid does not cover; None where no grid is used.
    """

    source_crs: str
    name: str
    accuracy_m: float
    area: Box
    grids_missing: tuple[str, ...]
    best_accuracy_m: float
    steps: tuple[str, ...]
    frame: str = TARGET
    without_grid: "Operation | None" = None

    @property
    def frame_epoch(self) -> float | None:
        """Year that the frame's coordinates hold for, where it is fixed to a plate; None where that is not known."""
        return FRAME_EPOCHS.get(self.frame)

    @property
    def grids_note(self) -> str | None:
        """Say which grids are missing and what that costs, or None where none is."""
        if not self.grids_missing:
            return None
        grids_named = ", ".join(self.grids_missing)
        return f"without {grids_named}: {self.accuracy_m:g} m in place of {self.best_accuracy_m:g} m"

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
    grids.use()
    crs = _system(source_crs)
    datum = _authority(_known(crs.geodetic_crs or crs))
    if datum in NO_OPERATION:
        raise RejectedError(f"{source_crs}: {NO_OPERATION[datum]}")
    best = _chosen(source_crs, crs, datum, area=area, gridded=True)
    used = [grid for step in best.steps for grid in _grids_in(step)]
    if not used:
        return best
    plain = _chosen(source_crs, crs, datum, area=area, gridded=False)
    beyond = replace(
        plain, grids_missing=tuple(f"{grid} (beyond it)" for grid in used), best_accuracy_m=best.accuracy_m
    )
    return replace(best, without_grid=beyond)


def _chosen(source_crs: str, crs: CRS, datum: str, *, area: Box | None, gridded: bool) -> Operation:
    """Put the steps from a system to WGS 84 together, with grids or without."""
    steps = _british(crs, area) if gridded and datum == BRITISH else None
    if steps is None:
        hops = [crs, *(CRS(hop) for hop in CHAINS.get(datum, ())), CRS(TARGET)]
        steps = [_step(have, want, area, gridded=gridded) for have, want in zip(hops, hops[1:], strict=False)]
    named = [step.name for step in steps if step.name]
    moved = [
        step for step in steps if any(method in text for text in step.steps for method in (*_SHIFTS, grids.OSTN15))
    ]
    return Operation(
        source_crs=source_crs if _authority(crs) == crs.name else _authority(crs),
        name=" + ".join(named) or "none: already WGS 84",
        accuracy_m=_together([step.accuracy_m for step in steps]),
        area=steps[0].area,
        grids_missing=tuple(grid for step in steps for grid in step.grids_missing),
        best_accuracy_m=_together([step.best_accuracy_m for step in steps]),
        steps=tuple(pipeline for step in steps for pipeline in step.steps),
        frame=TARGET if datum == "EPSG:4326" else moved[-1].frame if moved else datum,
    )


def _grids_in(step: str) -> list[str]:
    """Name the grids that a step uses."""
    return [grids.OSTN15] if step == grids.OSTN15 else _GRID_NAMES.findall(step)


def _british(crs: CRS, area: Box | None) -> list[Operation] | None:
    """Go by way of OSTN15 where its library is installed and the area lies in Great Britain."""
    if grids.ostn15() is None or (area is not None and _overlap(_OSTN15_AREA, area) < _WHOLE):
        return None
    grid, etrs89 = CRS("EPSG:27700"), CRS("EPSG:4258")
    there = [] if crs == grid else [_step(crs, grid, area)]
    shift = Operation(
        source_crs="EPSG:27700",
        name="OSGB36 to ETRS89 (2), OSTN15",
        accuracy_m=_OSTN15_ACCURACY,
        area=_OSTN15_AREA,
        grids_missing=(),
        best_accuracy_m=_OSTN15_ACCURACY,
        steps=(grids.OSTN15, _GRID_ON_ETRS89),
        frame="EPSG:4258",
    )
    return [*there, shift, _step(etrs89, CRS(TARGET), area)]


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
    for step in operation.steps:
        lon, lat = _apply(step, lon, lat)
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(lon) & np.isfinite(lat)
    good &= inside(lon, lat, operation.area)
    return np.where(good, lon, np.nan), np.where(good, lat, np.nan)


def _apply(step: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Apply one step: a grid by its name, anything else as a PROJ pipeline."""
    if step != grids.OSTN15:
        return _transformer(step).transform(x, y)
    shift = grids.ostn15()
    if shift is None:
        raise ContractError("OSTN15 was there when the operation was chosen and is gone; see MINERALS_GRIDS")
    good = np.isfinite(x) & np.isfinite(y)
    east, north = np.full(len(x), np.nan), np.full(len(y), np.nan)
    east[good], north[good] = shift(x[good], y[good])
    return east, north


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


def uncertainty(source_m: np.ndarray, operation: Operation) -> np.ndarray:
    """Combine the source's own uncertainty of position with the operation's accuracy, in metres."""
    return np.sqrt(np.square(source_m) + operation.accuracy_m**2)


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


def _step(have: CRS, want: CRS, area: Box | None, *, gridded: bool = True) -> Operation:
    """Choose the most accurate operation between two systems that holds in the area."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            group = TransformerGroup(have, want, always_xy=True, allow_ballpark=False)
        except ProjError as error:
            raise RejectedError(f"{_authority(have)}: no operation to {_authority(want)}") from error
    known_well = [known for known in group.transformers if known.accuracy is not None and known.accuracy >= 0]
    usable = [known for known in known_well if gridded or not _grids_in(known.definition)]
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
        frame=_authority(want),
    )


def _holds(known: object, have: CRS, area: Box | None) -> bool:
    box = _box(known)
    if area is not None:
        return _overlap(box, area) >= _WHOLE
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
        grids.use()
        _PER_THREAD.transformers[pipeline] = Transformer.from_pipeline(pipeline)
    return _PER_THREAD.transformers[pipeline]
