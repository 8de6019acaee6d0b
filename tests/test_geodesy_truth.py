"""Geodesy against independent values, in metres: with the packaged grids, and without."""

import json
import os
import struct
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import ContractError, RejectedError
from pipelines.geodesy import installed, operation, transform
from pipelines.publish.manifest import versions
from pipelines.settings import PROJECT
from tests.conftest import missing
from tests.truth import truth

GRIDS = PROJECT / ".grids"
POINTS = truth("geodesy")
PLACES = {"EPSG:4202": [(134, -25), (121.5, -30.8), (146, -20.5), (147.2, -42.9), (115.9, -31.9)],
          "EPSG:4203": [(134, -30), (121.5, -30.8), (146, -20.5), (115.9, -31.9)]}  # fmt: skip
FILES = {"EPSG:4202": "A66_National_13_09_01.gsb", "EPSG:4203": "National_84_02_07_01.gsb"}
ASK = """
import json, sys
import numpy as np
from pipelines.geodesy import operation, transform, installed
asked = json.load(sys.stdin)
told = []
for crs, area, x, y in asked:
    way = operation(crs, tuple(area) if area else None)
    lon, lat = transform(np.array([x], float), np.array([y], float), way)
    told.append([lon[0], lat[0], way.name, way.accuracy_m, list(way.grids_missing), way.frame])
json.dump({"told": told, "installed": installed()}, sys.stdout)
"""


BEYOND = """
import json, sys
from pipelines.contracts import load_schemas
from pipelines.settings import PROJECT
from tests.test_harmonise import broken, made, values
schemas = load_schemas(PROJECT / "schemas")
position = {"x": "x", "y": "y", "crs": "EPSG:4202"}
points = made(schemas, "drillhole", {"position": position}, x=["134", "150"], y=["-25", "-46"])
position = {"corners": {"x": "x", "y": "y"}, "crs": "EPSG:4202"}
columns = {"x": ["134,134.1,134.1", "150,150.1,150.1"], "y": ["-25,-25,-25.1", "-46,-46,-46.1"]}
blocks = made(schemas, "exploration_activity", {"position": position}, **columns)
names = ["longitude", "crs_accuracy_m", "crs_grid_missing"]
json.dump([[[values(done, name) for name in names], broken(done)] for done in (points, blocks)], sys.stdout)
"""


def metres(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Distance on a sphere, good to a thousandth of itself."""
    return float(np.hypot((lon - other_lon) * 111_320 * np.cos(np.radians(lat)), (lat - other_lat) * 110_900))


def box(text: str) -> tuple[float, ...] | None:
    return tuple(float(part) for part in text.split()) or None


def ask(program: str, asked: object) -> Any:
    """Run a program in a process that has the packaged grids."""
    if not (GRIDS / "proj").is_dir():
        missing("the folder of datum grids (make grids)")
    environment = {**os.environ, "MINERALS_GRIDS": str(GRIDS), "PYTHONPATH": str(PROJECT)}
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, input=json.dumps(asked), env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@lru_cache(maxsize=1)
def with_grids() -> dict[str, object]:
    """Ask a process that has the packaged grids for every point; PROJ's folders are a process's own."""
    asked = [[row["crs"], box(row["area"]), float(row["x"]), float(row["y"])] for row in POINTS]
    asked += [[crs, None, *place] for crs, places in PLACES.items() for place in places]
    told = ask(ASK, asked)
    keys = [(crs, x, y) for crs, _, x, y in asked]
    return {**dict(zip(keys, told["told"], strict=True)), "installed": told["installed"]}


@pytest.mark.parametrize("row", POINTS, ids=lambda row: f"{row['case']}, {row['grids']} grids")
def test_a_point_lies_where_an_independent_source_puts_it(row):
    x, y = float(row["x"]), float(row["y"])
    if row["grids"] == "none":
        way = operation(row["crs"], box(row["area"]))
        lon, lat = (values[0] for values in transform(np.array([x]), np.array([y]), way))
        name, accuracy = way.name, way.accuracy_m
    else:
        lon, lat, name, accuracy, _, _ = with_grids()[row["crs"], x, y]
    assert metres(lon, lat, float(row["lon"]), float(row["lat"])) < float(row["tolerance_m"])
    assert row["operation"] in name and accuracy == float(row["accuracy_m"])


@pytest.mark.parametrize("row", truth("operations"), ids=lambda row: f"{row['crs']} in {row['area'] or 'its own area'}")
def test_the_operation_of_a_system_is_the_one_stated_or_refused(row):
    if row["refused"]:
        with pytest.raises((ContractError, RejectedError), match=row["refused"]):
            operation(row["crs"], box(row["area"]))
        return
    way = operation(row["crs"], box(row["area"]))
    assert row["operation"] in way.name
    assert (way.accuracy_m, way.best_accuracy_m) == (float(row["accuracy_m"]), float(row["best_accuracy_m"]))
    assert ", ".join(way.grids_missing) == row["grids_missing"]
    assert (way.grids_note is None) == (row["grids_missing"] == "")


def shifted(file: Path, lon: float, lat: float) -> tuple[float, float]:
    """Shift a point by an NTv2 grid, read here by hand: bilinear in the first sub-grid that holds it."""
    data, at = file.read_bytes(), 176
    while at < len(data) and data[at : at + 8] == b"SUB_NAME":
        south, north, east, west, down, across = (
            struct.unpack_from("<d", data, at + 16 * n + 8)[0] for n in range(4, 10)
        )
        count = struct.unpack_from("<i", data, at + 16 * 10 + 8)[0]
        if south <= lat * 3600 <= north and east <= -lon * 3600 <= west:
            columns = round((west - east) / across) + 1
            values = np.frombuffer(data, "<f4", count * 4, at + 176).reshape(-1, columns, 4)[:, :, :2].astype(float)
            row, column = (lat * 3600 - south) / down, (-lon * 3600 - east) / across
            i, j = int(row), int(column)
            p, q = row - i, column - j
            cell = values[i : i + 2, j : j + 2]
            d_lat, d_lon = np.einsum("ij,ijk->k", np.outer([1 - p, p], [1 - q, q]), cell)
            return lon - d_lon / 3600, lat + d_lat / 3600
        at += 176 + 16 * count
    raise ValueError(f"{file.name} has no shift at {lon}, {lat}")


@pytest.mark.parametrize(
    ("crs", "place"), [(crs, place) for crs, places in PLACES.items() for place in places], ids=str
)
def test_australias_older_datums_agree_with_their_grids(crs, place):
    told = with_grids()[crs, *place]
    there = shifted(GRIDS / "proj" / FILES[crs], *place)  # on GDA94, which has a point of its own in the table
    expected = [values[0] for values in transform(*(np.array([each]) for each in there), operation("EPSG:4283"))]
    assert metres(told[0], told[1], *expected) < 0.001
    assert not told[4] and told[5] == "EPSG:7844"
    lon, lat = (values[0] for values in transform(*(np.array([float(each)]) for each in place), operation(crs)))
    assert metres(lon, lat, *expected) < 3.2  # 0.11 to 3.06 m for AGD66, 0.17 to 0.81 m for AGD84 without the grid
    assert 150 < metres(lon, lat, *place) < 220  # and not where no shift would leave it


def test_the_capital_territorys_operation_is_never_taken_elsewhere():
    for place in PLACES["EPSG:4202"]:
        assert "AGD66 to GDA2020" not in operation("EPSG:4202", (*place, *place)).name


def test_gda94_and_gda2020_are_not_taken_for_each_other():
    here = np.array([133.88]), np.array([-23.67])
    older, newer = transform(*here, operation("EPSG:4283")), transform(*here, operation("EPSG:7844"))
    assert metres(older[0][0], older[1][0], newer[0][0], newer[1][0]) == pytest.approx(1.736, abs=0.05)
    assert operation("EPSG:4283").frame == operation("EPSG:7844").frame == "EPSG:7844"
    assert operation("EPSG:28352").frame_epoch == 2020.0


def test_north_american_datums_lie_35_metres_apart_in_the_plains():
    area = (-104.0, 36.0, -96.0, 44.0)
    lon, lat = transform(np.array([-100.0]), np.array([40.0]), operation("EPSG:4267", area))
    assert metres(lon[0], lat[0], -100.0, 40.0) == pytest.approx(
        35, abs=8
    )  # NADCON: 35 m; the operation's 7 m beside it


def test_grids_are_used_where_they_are_set_and_named_in_the_run_and_nowhere_else():
    assert installed() == {} and versions()["grids"] == "none"
    told = with_grids()["installed"]
    assert sorted(told) == ["A66_National_13_09_01.gsb", "National_84_02_07_01.gsb", "OSTN15"]
    assert told["OSTN15"].startswith("convertbng ") and len(told["A66_National_13_09_01.gsb"]) == 64


def test_a_folder_of_grids_that_is_not_there_is_a_contract_error(monkeypatch, tmp_path):
    monkeypatch.setenv("MINERALS_GRIDS", str(tmp_path / "nothing"))
    with pytest.raises(ContractError, match="MINERALS_GRIDS: there is no folder"):
        operation("EPSG:28351", (120.0, -31.0, 121.0, -30.0))


def test_points_and_shapes_beyond_a_grid_go_without_it_and_say_so():
    for (longitudes, accuracies, notes), broken in ask(BEYOND, None):
        assert all(longitudes) and broken == {}
        assert accuracies == [3.041, 4.243]
        assert notes == [None, "without au_icsm_A66_National_13_09_01.tif (beyond it): 4.243 m in place of 3.041 m"]
