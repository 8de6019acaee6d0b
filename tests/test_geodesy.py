"""Geodesy: operations by stated accuracy, refusals, and coordinates as partners write them."""

import json
import threading

import numpy as np
import pyarrow as pa
import pytest
import shapely
from pyproj import CRS

from pipelines.errors import ContractError, RejectedError
from pipelines.geodesy import (
    inside,
    operation,
    parse_corners,
    parse_dms,
    point_wkb,
    transform,
    transform_wkb,
    uncertainty,
)


def metres(lon, lat, other_lon, other_lat):
    return np.hypot((lon - other_lon) * 111_320 * np.cos(np.radians(lat)), (lat - other_lat) * 110_574)


def at(crs, x, y, area=None):
    lon, lat = transform(np.array([float(x)]), np.array([float(y)]), operation(crs, area))
    return lon[0], lat[0]


def test_wgs_84_needs_no_operation_in_either_axis_order():
    for crs in ("EPSG:4326", "OGC:CRS84"):
        assert operation(crs).accuracy_m == 0
        assert at(crs, 77.1, 15.6) == (77.1, 15.6)


def test_gda94_reaches_gda2020_as_in_the_technical_manual():
    # ICSM, GDA2020 technical manual, Alice Springs: GDA94 to GDA2020 by the seven-parameter transformation
    lon, lat = at("EPSG:4283", 133 + 53 / 60 + 7.847844 / 3600, -(23 + 40 / 60 + 12.446019 / 3600))
    assert metres(lon, lat, 133 + 53 / 60 + 7.87779 / 3600, -(23 + 40 / 60 + 12.39650 / 3600)) < 0.001


def test_agd66_goes_by_way_of_gda94_and_not_by_the_capital_territorys_operation():
    way = operation("EPSG:4202", (128.99, -26.0, 138.0, -11.0))
    assert way.name.startswith("AGD66 to GDA94 (9) + GDA94 to GDA2020 (1)")
    lon, lat = at("EPSG:4202", 134, -25, (128.99, -26.0, 138.0, -11.0))
    assert 150 < metres(lon, lat, 134, -25) < 220  # a ballpark operation would not move the point


def test_the_most_accurate_operation_of_the_area_is_chosen():
    whole, victoria = operation("EPSG:4202"), operation("EPSG:4202", (144.0, -38.0, 149.0, -30.0))
    assert "AGD66 to GDA94 (12)" in whole.name and "AGD66 to GDA94 (4)" in victoria.name
    assert victoria.accuracy_m < whole.accuracy_m


def test_missing_grids_are_named_with_their_cost():
    way = operation("EPSG:27700")
    assert way.accuracy_m == 2.0 and way.name.endswith("OSGB36 to WGS 84 (6)")
    if way.grids_missing:
        assert way.grids_missing == ("uk_os_OSTN15_NTv2_OSGBtoETRS.tif",)
        assert way.cost_m == 1.0


def test_british_grid_is_within_the_stated_accuracy():
    # Ordnance Survey, A guide to coordinate systems, annex C: the Caister water tower, OSGB36 grid to ETRS89
    lon, lat = at("EPSG:27700", 651409.903, 313177.270)
    assert metres(lon, lat, 1 + 42 / 60 + 57.8663 / 3600, 52 + 39 / 60 + 28.8282 / 3600) < 5


@pytest.mark.parametrize("crs", ["EPSG:4243", "EPSG:24382"])
def test_kalianpur_1880_is_refused_with_an_explanation(crs):
    with pytest.raises(RejectedError, match=r"Kalianpur 1880 .* no published operation"):
        operation(crs)


def test_kalianpur_1975_is_good_to_22_metres():
    way = operation("EPSG:24378")
    assert way.accuracy_m == 22.0
    assert uncertainty(np.array([100.0, 0.0]), way) == pytest.approx([np.hypot(100, 22), 22.0])


def test_a_system_without_a_datum_is_refused():
    with pytest.raises(RejectedError, match="no operation of known accuracy"):
        operation("+proj=utm +zone=55 +south +ellps=GRS80")


def test_a_datum_of_a_continent_needs_the_area_of_the_data():
    with pytest.raises(ContractError, match="state the area"):
        operation("EPSG:4267")
    assert operation("EPSG:4267", (-120.0, 35.0, -110.0, 42.0)).accuracy_m == 7.0
    with pytest.raises(ContractError, match="no operation"):
        operation("EPSG:4202", (0.0, 40.0, 10.0, 50.0))


def test_an_unknown_system_is_a_contract_error():
    with pytest.raises(ContractError, match="'EPSG:99999' is unknown"):
        operation("EPSG:99999")


def test_well_known_text_of_a_shapefile_goes_the_way_of_its_code(shared):
    text = (shared / "data/ga-geochem-sites/geochem_sites.prj").read_text()  # names no authority
    assert operation(text) == operation("EPSG:4283")
    with pytest.raises(RejectedError, match="Kalianpur 1880"):
        operation(CRS("EPSG:24382").to_wkt("WKT1_ESRI"))


def test_points_outside_the_operations_area_and_missing_ones_are_not_numbers():
    x, y = np.array([147.2, 10.0, np.nan, 147.2]), np.array([-42.9, 10.0, -42.9, np.inf])
    lon, lat = transform(x, y, operation("EPSG:4202"))
    assert np.isfinite(lon).tolist() == np.isfinite(lat).tolist() == [True, False, False, False]


def test_results_are_the_same_bits_in_any_batch_and_thread():
    random = np.random.default_rng(7)
    x, y = random.uniform(3e5, 7e5, 5000), random.uniform(7e6, 8e6, 5000)
    way = operation("EPSG:28355")
    lon, lat = transform(x, y, way)
    parts = {}

    def work(start):
        parts[start] = transform(x[start : start + 1000], y[start : start + 1000], way)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 5000, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.concatenate([parts[start][0] for start in sorted(parts)]).tobytes() == lon.tobytes()
    assert np.concatenate([parts[start][1] for start in sorted(parts)]).tobytes() == lat.tobytes()


def test_points_are_well_known_binary_and_null_where_a_coordinate_is_missing():
    points = point_wkb(np.array([1.5, np.nan, 3.0]), np.array([2.5, 1.0, np.inf]))
    points.validate(full=True)
    assert points.is_valid().to_pylist() == [True, False, False]
    assert shapely.from_wkb(points[0].as_py()) == shapely.Point(1.5, 2.5)
    assert len(point_wkb(np.array([]), np.array([]))) == 0


def test_polygons_are_transformed_and_lost_ones_are_null():
    square = shapely.box(370_000, 7_750_000, 380_000, 7_760_000)
    moved = transform_wkb(pa.array([square.wkb, None, shapely.box(0, 0, 1, 1).wkb, b"?"]), operation("EPSG:28355"))
    assert moved.is_valid().to_pylist() == [True, False, False, False]
    assert shapely.from_wkb(moved[0].as_py()).centroid.distance(shapely.Point(145.80, -20.30)) < 0.01


def test_boxes_may_cross_the_antimeridian():
    lon, lat = np.array([179.0, -179.0, 0.0, np.nan]), np.array([-17.0, -17.0, -17.0, -17.0])
    assert inside(lon, lat, (177.0, -20.0, -178.0, -10.0)).tolist() == [True, True, False, False]


def test_degrees_minutes_and_seconds_are_read():
    texts = ["23°10'50.69", "16°04'0", "S 16 04 30", "-16:04:30", "8°28'29.00\"N", "51:28.5W", "23.5", "71° 10′ 48″ E"]
    degrees, unreadable = parse_dms(pa.array(texts))
    expected = [
        23 + 10 / 60 + 50.69 / 3600,
        16 + 4 / 60,
        -16.075,
        -16.075,
        8 + 28 / 60 + 29 / 3600,
        -51.475,
        23.5,
        71.18,
    ]
    assert degrees.to_pylist() == pytest.approx(expected, abs=1e-12)
    assert not any(unreadable.to_pylist())


def test_degrees_that_cannot_be_right_are_unreadable():
    texts = ["16°60'0", "16°4'60", "-23 S", "N 23 N", "23.5°10'", "95 N", "abc", "", None]
    degrees, unreadable = parse_dms(pa.array(texts))
    assert degrees.null_count == len(texts)
    assert unreadable.to_pylist() == [True] * 7 + [False] * 2


def test_corners_with_stray_tabs_make_a_polygon():
    corners = parse_corners(  # GSI export, block with tabs after the first numbers
        pa.array(["23.2088229\t,23.2226604\t,23.2416941\t,23.2298752\t"]),
        pa.array(["69.8201674\t,69.8126176,69.8304624,69.8539404\t"]),
    )
    polygon = shapely.from_wkb(corners.geometry[0].as_py())
    assert polygon.is_valid and polygon.exterior.is_ccw and len(polygon.exterior.coords) == 5
    assert (corners.unreadable.to_pylist(), corners.repaired.to_pylist()) == ([False], [False])


def test_corners_listed_crosswise_are_put_in_order_and_marked():
    corners = parse_corners(pa.array(["0,1,0,1"]), pa.array(["0,1,1,0"]))
    assert shapely.from_wkb(corners.geometry[0].as_py()).area == 1.0
    assert corners.repaired.to_pylist() == [True]


def test_corners_that_make_no_polygon_are_unreadable():
    latitudes = pa.array(["0,0", "0,,1,1", "x,1,2", "0,0,0", "1,2,3", "0,1,95", None, "", "0,1,1,0,"])
    longitudes = pa.array(["0,1", "0,1,1,0", "0,1,2", "0,1,2", None, "0,1,2", None, "", "0,0,1,1,"])
    corners = parse_corners(latitudes, longitudes)
    assert corners.unreadable.to_pylist() == [True, True, True, True, True, True, False, False, False]
    assert corners.geometry.is_valid().to_pylist() == [False] * 8 + [True]


def test_decimal_and_sexagesimal_corners_of_the_indian_export_agree(shared):
    blocks = json.loads((shared / "data/gsi-ngdr-export/Export_subset.json").read_text(encoding="utf-8"))
    made = {
        kind: parse_corners(
            pa.array([block[f"exp_{kind}_latitude"] for block in blocks], pa.string()),
            pa.array([block[f"exp_{kind}_longitude"] for block in blocks], pa.string()),
        )
        for kind in ("dd", "dms")
    }
    assert made["dd"].geometry.null_count == 0 and not any(made["dms"].unreadable.to_pylist())
    both = zip(made["dd"].geometry.to_pylist(), made["dms"].geometry.to_pylist(), strict=True)
    apart = [shapely.from_wkb(one).hausdorff_distance(shapely.from_wkb(other)) for one, other in both if other]
    assert len(apart) == 12 and max(apart) < 1e-5
