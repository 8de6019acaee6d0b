"""Where holes go: minimum curvature against worked examples and circles, azimuths on grid north, traces."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from pyproj import Geod, Transformer

from pipelines.contracts import load_datasets
from pipelines.contracts.arrow import arrow_schema
from pipelines.desurvey import Stations, convergence, grid_azimuth, minimum_curvature
from pipelines.terms import load_vocabulary
from pipelines.traces import TRACED, traces
from tests.planted import SCHEMAS

DATASETS = load_datasets(SCHEMAS)


def one_hole(*told: tuple[float, float, float]) -> Stations:
    depth, dip, azimuth = (np.array(column, dtype=np.float64) for column in zip(*told, strict=True))
    return Stations(np.zeros(len(told), dtype=np.int64), depth, dip, azimuth)


def places(stations: Stations) -> np.ndarray:
    path = minimum_curvature(stations)
    return np.column_stack([path.east_m, path.north_m, path.up_m])


TRUTH = [
    # (stations, east, north, up of the last one from the first, tolerance in m, source)
    (one_hole((0, -90, 0), (100, -90, 0)), (0, 0, -100), 1e-9, "vertical: the depth itself"),
    (one_hole((0, -90, 10), (50, -90, 200), (100, -90, 359)), (0, 0, -100), 1e-9, "vertical: an azimuth means nothing"),
    (one_hole((0, -30, 90), (100, -30, 90)), (86.602540, 0, -50), 1e-6, "straight: 100 cos 30, 100 sin 30"),
    (one_hole((0, 60, 180), (10, 60, 180)), (0, -5, 8.660254), 1e-6, "an up-hole: 10 cos 60 south, 10 sin 60 up"),
    (one_hole((0, 0, 45), (100, 0, 45)), (70.710678, 70.710678, 0), 1e-6, "flat: 100 / sqrt 2 each"),
    (
        one_hole((0, -90, 90), (100 * np.pi / 2, 0, 90)),
        (100, 0, -100),
        1e-9,
        "a quarter of a circle of radius 100 m in a vertical plane ends one radius away and one radius down",
    ),
    (
        one_hole(*((100 * np.radians(angle), angle - 90, 90) for angle in (0, 7, 31, 32, 90))),
        (100, 0, -100),
        1e-9,
        "the same circle through uneven stations: arcs are exact on a circle",
    ),
    (
        one_hole(*((50 * np.radians(turn), 0, turn) for turn in (0, 90, 180))),
        (100, 0, 0),
        1e-9,
        "half a circle of radius 50 m in the horizontal plane ends two radii to the right",
    ),
    (
        one_hole((3500, -75, 20), (3600, -65, 45)),
        (19.45, 27.22, -94.01),
        0.005,
        "drillingformulas.com, Minimum Curvature Method: 3500 to 3600 ft, inclination 15 and 25, azimuth 20 and 45: "
        "north 27.22, east 19.45, true vertical depth 94.01 ft",
    ),
]


@pytest.mark.parametrize(
    ("stations", "expected", "tolerance", "source"), TRUTH, ids=[str(n) for n in range(len(TRUTH))]
)
def test_the_last_station_is_where_the_source_has_it(
    stations: Stations, expected: tuple[float, float, float], tolerance: float, source: str
) -> None:
    found = places(stations)
    assert found[-1] - found[0] == pytest.approx(expected, abs=tolerance), source


def test_many_holes_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(5)
    hole = np.repeat([0, 3, 7], [4, 1, 300])
    depth = np.concatenate([np.sort(rng.uniform(0, 500, n)) for n in (4, 1, 300)])
    many = Stations(hole, depth, rng.uniform(-80, -40, len(hole)), rng.uniform(0, 360, len(hole)))
    together = places(many)
    for number in (0, 3, 7):
        assert together[hole == number] == pytest.approx(places(many.taken(hole == number)), abs=1e-9)


def test_where_two_stations_point_against_each_other_only_their_own_hole_is_lost() -> None:
    hole = np.array([0, 0, 1, 1])
    path = minimum_curvature(Stations(hole, np.array([0.0, 10, 0, 10]), np.array([-90.0, 90, -90, -90]), np.zeros(4)))
    assert np.isnan(path.up_m).tolist() == [False, True, False, False]
    assert path.up_m[3] == -10


@pytest.mark.parametrize(
    ("reference", "declination", "expected"),
    [
        ("grid", np.nan, 90.0),
        ("true", np.nan, 88.5),
        ("magnetic", 7.0, 95.5),
        ("magnetic", np.nan, None),
        ("local", 7.0, None),
        ("unknown", 7.0, None),
        ("", np.nan, None),
    ],
)
def test_an_azimuth_is_turned_to_grid_north_by_its_reference_or_not_at_all(
    reference: str, declination: float, expected: float | None
) -> None:
    found = grid_azimuth(np.array([90.0]), np.array([reference]), np.array([declination]), np.array([1.5]))[0]
    assert (None if np.isnan(found) else found) == expected


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [("EPSG:28355", 145.8, -20.3), ("EPSG:32644", 79.0, 22.0), ("EPSG:27700", -3.0, 56.0), ("EPSG:2225", -121.0, 39.8)],
)
def test_the_convergence_is_the_angle_between_two_points_one_north_of_the_other(
    crs: str, lon: float, lat: float
) -> None:
    across = Transformer.from_crs(Transformer.from_crs(crs, crs).source_crs.geodetic_crs, crs, always_xy=True)
    x, y = across.transform([lon, lon], [lat, lat + 1e-4])
    bearing_of_true_north = np.degrees(np.arctan2(x[1] - x[0], y[1] - y[0]))
    assert convergence(np.array([lon]), np.array([lat]), crs)[0] == pytest.approx(-bearing_of_true_north, abs=1e-4)


def collars(*rows: dict[str, Any]) -> pa.Table:
    sound = {"longitude": 145.8, "latitude": -20.3, "source_crs": "EPSG:4326", "depth_m": 100.0}
    return pa.Table.from_pylist([{**sound, **row} for row in rows], schema=arrow_schema(DATASETS["drillhole"]))


def survey(*rows: dict[str, Any]) -> pa.Table:
    sound = {"depth_m": 0.0, "dip_deg": -60.0, "azimuth_deg": 90.0}
    sound |= {"azimuth_reference": "true", "dip_convention": "positive-down"}
    return pa.Table.from_pylist([{**sound, **row} for row in rows], schema=arrow_schema(DATASETS["drillhole_survey"]))


def traced(holes: pa.Table, stations: pa.Table) -> list[dict[str, Any]]:
    return traces(holes, stations).to_pylist()


def test_a_hole_that_goes_east_by_true_north_ends_due_east_of_its_collar() -> None:
    (found,) = traced(collars({"record_id": "h"}), survey({"drillhole_id": "h"}))
    line = shapely.from_wkb(found["geometry"])
    bearing, _, length = Geod(ellps="WGS84").inv(*line.coords[0], *line.coords[-1])
    assert found["trace_status"] == "extended"
    assert bearing == pytest.approx(90, abs=0.001)
    assert length == pytest.approx(50, abs=0.05)
    assert (found["depths_m"], found["extended_m"], found["stations"]) == ([0.0, 100.0], 100.0, 1)
    assert found["rises_m"] == pytest.approx([0, -86.602540], abs=1e-6)


def test_a_grid_azimuth_is_taken_in_the_collars_own_grid_and_unit() -> None:
    x, y = 371427.0, 7750416.0
    lon, lat = Transformer.from_crs("EPSG:28355", "OGC:CRS84", always_xy=True).transform(x, y)
    own = {
        "record_id": "h",
        "source_crs": "EPSG:28355",
        "source_x": x,
        "source_y": y,
        "longitude": lon,
        "latitude": lat,
    }
    (found,) = traced(collars(own), survey({"drillhole_id": "h", "azimuth_reference": "grid", "dip_deg": 0.0}))
    back = Transformer.from_crs("OGC:CRS84", "EPSG:28355", always_xy=True)
    end = back.transform(*shapely.from_wkb(found["geometry"]).coords[-1])
    assert end == pytest.approx((x + 100, y), abs=0.001)
    assert found["trace_crs"] == "EPSG:28355"
    feet = {"record_id": "f", "source_crs": "EPSG:2225", "source_x": 6500000.0, "source_y": 2000000.0}
    lon, lat = Transformer.from_crs("EPSG:2225", "EPSG:4269", always_xy=True).transform(6500000.0, 2000000.0)
    feet |= {"longitude": lon, "latitude": lat}
    (found,) = traced(collars(feet), survey({"drillhole_id": "f", "dip_deg": 0.0}))
    length = Geod(ellps="WGS84").geometry_length(shapely.from_wkb(found["geometry"]))
    assert length == pytest.approx(100, abs=0.05)


def test_a_line_has_heights_only_where_the_collars_elevation_is_known() -> None:
    holes = collars({"record_id": "high", "elevation_m": 383.0}, {"record_id": "flat"})
    found = traced(holes, survey({"drillhole_id": "high", "dip_deg": -90.0}, {"drillhole_id": "flat"}))
    high, flat = (shapely.from_wkb(row["geometry"]) for row in found)
    assert (high.has_z, flat.has_z) == (True, False)
    assert [vertex[2] for vertex in high.coords] == pytest.approx([383.0, 283.0])


def test_a_vertical_hole_without_heights_is_a_point_in_plan() -> None:
    holes = collars({"record_id": "upright"}, {"record_id": "bent"})
    upright, bent = {"drillhole_id": "upright", "dip_deg": -90.0}, {"drillhole_id": "bent", "dip_deg": -90.0}
    found = traced(holes, survey(upright, bent, {**bent, "depth_m": 50.0, "dip_deg": -80.0}))
    shapes = [shapely.from_wkb(row["geometry"]) for row in found]
    assert [shape.geom_type for shape in shapes] == ["Point", "LineString"]
    assert all(shape.is_valid for shape in shapes)
    assert found[0]["rises_m"] == pytest.approx([0.0, -100.0])


@pytest.mark.parametrize(
    ("hole", "stations", "status"),
    [
        ({}, [{}, {"depth_m": 100.0}], "surveyed"),
        ({}, [{"depth_m": 20.0}, {"depth_m": 60.0}], "extended"),
        ({"collar_dip_deg": -60.0, "collar_azimuth_deg": 10.0, "azimuth_reference": "true"}, [], "straight"),
        ({"collar_dip_deg": -90.0}, [], "straight"),
        ({"collar_dip_deg": -60.0, "collar_azimuth_deg": 10.0}, [], "azimuth-reference-unknown"),
        ({}, [], "no-direction"),
        ({"longitude": None}, [{}], "no-position"),
        ({"depth_m": None}, [{}], "length-unknown"),
        ({"depth_m": None}, [{}, {"depth_m": 30.0}], "surveyed"),
        ({}, [{"azimuth_reference": "unknown"}], "azimuth-reference-unknown"),
        ({}, [{"azimuth_reference": "unknown", "dip_deg": -90.0}], "extended"),
        ({}, [{}, {"depth_m": 30.0, "azimuth_reference": "local"}], "azimuth-reference-local"),
        ({}, [{"azimuth_reference": "magnetic"}], "declination-missing"),
        ({}, [{"azimuth_reference": "magnetic", "declination_deg": 7.5}], "extended"),
        ({}, [{"azimuth_reference": "grid"}], "grid-missing"),
        ({}, [{"dip_convention": "unknown"}], "dip-convention-unknown"),
        ({}, [{}, {"dip_deg": -61.0}], "stations-contradict"),
        ({}, [{}, {}], "extended"),
        ({}, [{"dip_deg": -90.0}, {"depth_m": 10.0, "dip_deg": 90.0}], "doubles-back"),
    ],
)
def test_every_hole_has_a_row_that_says_how_it_was_traced_or_why_not(
    hole: dict[str, Any], stations: list[dict[str, Any]], status: str
) -> None:
    others = {"record_id": "other"}, {"drillhole_id": "other"}
    holes = collars({"record_id": "h", **hole}, others[0])
    found = traced(holes, survey(*({"drillhole_id": "h", **station} for station in stations), others[1]))
    assert [row["trace_status"] for row in found] == [status, "extended"]
    assert (found[0]["geometry"] is not None) == (status in TRACED)
    assert status in load_vocabulary(SCHEMAS / "vocabularies" / "trace_status.csv").codes


def test_a_wedge_follows_its_parent_down_to_the_kick_off() -> None:
    holes = collars(
        {"record_id": "parent", "depth_m": 300.0},
        {"record_id": "wedge", "depth_m": 150.0, "parent_id": "parent", "kickoff_m": 100.0},
        {"record_id": "bare", "depth_m": 150.0, "parent_id": "parent", "kickoff_m": 100.0, "collar_dip_deg": -90.0},
    )
    stations = survey(
        {"drillhole_id": "parent"},
        {"drillhole_id": "parent", "depth_m": 50.0},
        {"drillhole_id": "parent", "depth_m": 200.0, "dip_deg": -80.0},
        {"drillhole_id": "wedge", "depth_m": 100.0},
        {"drillhole_id": "wedge", "depth_m": 150.0, "dip_deg": -50.0},
    )
    parent, wedge, bare = traced(holes, stations)
    assert parent["depths_m"] == [0.0, 50.0, 200.0, 300.0]
    assert wedge["depths_m"] == [0.0, 50.0, 100.0, 150.0]
    assert (parent["stations"], wedge["stations"]) == (3, 2)
    assert (bare["trace_status"], bare["geometry"]) == ("no-direction", None)
    assert parent["sharpest_bend_deg"] == pytest.approx(20 * 30 / 150)
    assert wedge["sharpest_bend_deg"] == pytest.approx(10 * 30 / 50)
    assert wedge["rises_m"][1] == pytest.approx(parent["rises_m"][1], abs=1e-9)


def test_no_holes_give_no_traces() -> None:
    assert traced(collars(), survey()) == []
