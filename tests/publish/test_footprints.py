"""Bounds and kinds read from WKB are those of the shapes."""

import numpy as np
import pyarrow as pa
import pytest
import shapely

from pipelines.errors import RejectedError
from pipelines.publish.footprints import NOTHING, covering, footprints, kind_name

SHAPES = [
    shapely.Point(77.2, 28.6),
    shapely.LineString([(1, 2), (3, -4)]),
    shapely.Polygon([(0, 0), (2, 0), (2, 3)]),
    shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(5, 5, 6, 6)]),
    shapely.Point(1, 2, 3),
]


def test_bounds_are_those_of_the_shapes() -> None:
    seen = footprints(pa.array(shapely.to_wkb(SHAPES), pa.binary()))
    assert np.array_equal(seen.bounds, shapely.bounds(SHAPES))
    assert [kind_name(kind) for kind in seen.kinds] == ["Point", "LineString", "Polygon", "MultiPolygon", "Point Z"]


def test_points_are_read_alike_with_and_without_objects() -> None:
    points = shapely.points(np.random.default_rng(1).uniform(-90, 90, (500, 2)))
    little = footprints(pa.array(shapely.to_wkb(points, byte_order=1), pa.binary()))
    big = footprints(pa.array(shapely.to_wkb(points, byte_order=0), pa.binary()))
    assert np.array_equal(little.bounds, shapely.bounds(points))
    assert np.array_equal(little.bounds, big.bounds)
    assert np.array_equal(little.kinds, big.kinds)


def test_a_slice_with_nulls_keeps_its_places() -> None:
    wkb = [*shapely.to_wkb([shapely.Point(place, place) for place in range(5)]), None]
    seen = footprints(pa.array([None, wkb[1], None, wkb[3], wkb[5], wkb[4]], pa.binary()).slice(1, 5))
    assert seen.kinds.tolist() == [0, NOTHING, 0, NOTHING, 0]
    assert seen.bounds[[0, 2, 4], 0].tolist() == [1, 3, 4]
    assert np.isnan(seen.bounds[[1, 3]]).all()


def test_an_empty_shape_is_no_place() -> None:
    seen = footprints(pa.array([shapely.to_wkb(shapely.Point()), shapely.to_wkb(shapely.Polygon())], pa.binary()))
    assert seen.kinds.tolist() == [NOTHING, NOTHING]
    assert covering(seen.bounds).null_count == 2


def test_bounds_in_single_precision_never_cut_anything_off() -> None:
    exact = np.random.default_rng(2).uniform(-180, 180, (2000, 2))
    sides = covering(np.concatenate([exact, exact], axis=1)).flatten()
    west, south, east, north = (side.to_numpy().astype(float) for side in sides)
    assert (west <= exact[:, 0]).all()
    assert (east >= exact[:, 0]).all()
    assert (south <= exact[:, 1]).all()
    assert (north >= exact[:, 1]).all()
    assert np.abs(east - west).max() < 1e-4


@pytest.mark.parametrize("wkb", [b"\x01", b"\x01\x01\x00\x00\x00", b"no shape at all"])
def test_what_is_not_wkb_is_refused(wkb: bytes) -> None:
    with pytest.raises(RejectedError, match="not WKB"):
        footprints(pa.array([wkb], pa.binary()))


def test_measures_are_refused() -> None:
    measured = shapely.to_wkb(shapely.from_wkt("POINT M (1 2 3)"), flavor="iso")
    with pytest.raises(RejectedError, match="measures"):
        footprints(pa.array([measured], pa.binary()))
