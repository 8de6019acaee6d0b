"""What is wrong with the positions of partners' real files is found, with the counts that are known."""

import csv
import json
from pathlib import Path

import pyogrio

from pipelines.contracts import Schemas
from tests.test_harmonise import broken, made


def columns_of(path: Path, *names: str) -> dict[str, list[str]]:
    """Give some columns of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in names}


def test_the_sign_that_the_regolith_chemistry_lost_is_found_on_every_row(schemas: Schemas, shared: Path) -> None:
    _, table = pyogrio.read_arrow(shared / "data/ga-geochem-sites/geochem_sites.shp")
    position = {"x": "x", "y": "y", "crs": "EPSG:4283", "country": "au", "sheet": "sheet"}
    position["sheet_series"] = "australia-250k"
    sites = {"x": table["DLong"].to_pylist(), "sheet": table["QMAPID"].to_pylist()}
    wrong = made(schemas, "drillhole", {"position": position}, y=table["DLat"].to_pylist(), **sites)
    lost = broken(wrong)["drillhole.position.lost_sign"]
    assert len(lost) == table.num_rows == 1026
    right = made(schemas, "drillhole", {"position": position}, y=table["Dlats"].to_pylist(), **sites)
    assert broken(right) == {}


def test_latitudes_that_were_copied_into_longitudes_are_found_on_every_row(schemas: Schemas, shared: Path) -> None:
    sites = columns_of(shared / "data/usgs-mrdata-sites/usmin_Ga.csv", "longitude", "latitude")
    position = {"x": "longitude", "y": "latitude", "crs": "EPSG:4326", "country": "us"}
    found = broken(made(schemas, "drillhole", {"position": position}, **sites))
    assert found["drillhole.position.copied"] == [0, 1, 2, 3, 4, 5]


def test_alaskan_sites_at_zero_are_found(schemas: Schemas, shared: Path) -> None:
    sites = columns_of(shared / "data/usgs-mrdata-sites/ardf.csv", "longitude", "latitude")
    position = {"x": "longitude", "y": "latitude", "crs": "EPSG:4326", "country": "us"}
    found = broken(made(schemas, "drillhole", {"position": position}, **sites))
    assert len(found["drillhole.position.zero"]) == 3


def test_the_easting_of_948_kilometres_is_asked_about(schemas: Schemas, shared: Path) -> None:
    lines = (shared / "data/ga-aseg-gdf2/Mugrave_WB_MGA52.dat").read_text(encoding="ascii").splitlines()
    east, north = ([line.split()[place] for line in lines] for place in (5, 6))
    position = {"x": "east", "y": "north", "crs": "EPSG:28352", "country": "au"}
    done = made(schemas, "drillhole", {"position": position}, east=east, north=north)
    assert east[0] == "948001.60" and broken(done)["drillhole.position.beyond_zone"][0] == 0
    told = next(finding for finding in done.findings if finding.rule == "drillhole.position.beyond_zone")
    assert "zone 52" in told.hint and "[53]" in told.hint


def test_blocks_of_the_indian_export_lie_on_their_toposheets(schemas: Schemas, shared: Path) -> None:
    blocks = json.loads((shared / "data/gsi-ngdr-export/Export_subset.json").read_text(encoding="utf-8"))
    position = {"corners": {"x": "lon", "y": "lat"}, "crs": "EPSG:4326", "country": "in", "sheet": "sheet"}
    position["sheet_series"] = "india-and-adjacent-countries"
    names = {"lat": "exp_dd_latitude", "lon": "exp_dd_longitude", "sheet": "toposheet_number"}
    columns = {name: [block[field] for block in blocks] for name, field in names.items()}
    found = broken(made(schemas, "exploration_activity", {"position": position}, **columns))
    assert not [rule for rule in found if "sheet" in rule or "country" in rule]
