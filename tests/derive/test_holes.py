"""Traces of holes as a computed dataset."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely

from pipelines.contracts import Schemas
from pipelines.contracts.arrow import arrow_schema
from pipelines.derive import Members, derive
from pipelines.publish.geoparquet import write
from pipelines.publish.shares import Options
from tests.conftest import PROJECT

VOCABULARIES = PROJECT / "schemas" / "vocabularies"


def members(schemas: Schemas, folder: Path, **rows: list[dict[str, Any]]) -> Members:
    """Publish rows of datasets; a column that is not given is null."""
    files = {}
    for name, given in rows.items():
        dataset = schemas.datasets[name]
        said = {"feed": "norland_holes", "licence": "CC-BY-4.0", "tier": "open"}
        table = pa.Table.from_pylist([{**said, **row} for row in given], schema=arrow_schema(dataset))
        files[name] = [folder / part.path for part in write(dataset, [table], folder, Options()).parts]
    return Members(files, VOCABULARIES, folder / "scratch")


def computed(schemas: Schemas, name: str, of: Members, folder: Path) -> list[dict[str, Any]]:
    path = folder / f"{name}.arrow"
    derive(schemas.datasets[name], of, path)
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_all().to_pylist()


def test_every_hole_is_a_row_with_its_trace_or_its_reason_and_the_rights_of_all_it_came_from(
    schemas: Schemas, tmp_path: Path
) -> None:
    place = {"longitude": 145.8, "latitude": -20.3, "source_crs": "EPSG:4326", "depth_m": 100.0}
    station = {"depth_m": 0.0, "dip_deg": -60.0, "azimuth_deg": 90.0, "dip_convention": "positive-down"}
    high = {"elevation_m": 383.0, "elevation_datum": "ahd", "elevation_kind": "orthometric"}
    wedge = {"parent_id": "gsq:h:1", "kickoff_m": 50.0}
    holes = [
        {"record_id": "gsq:h:1", "name": "TH1", **place, **high},
        {"record_id": "gsq:h:2", "name": "TH2", **place},
        {"record_id": "gsq:h:3", "name": "TH1W1", **place, **wedge},
    ]
    stations = [
        {"azimuth_reference": "true", "tier": "partner"},
        {"azimuth_reference": "unknown"},
        {"azimuth_reference": "true", "depth_m": 60.0, "licence": "OGL-UK-3.0"},
    ]
    named = [
        {"record_id": f"gsq:s:{number}", "drillhole_id": f"gsq:h:{number}", **station, **own}
        for number, own in enumerate(stations, 1)
    ]
    of = members(schemas, tmp_path, drillhole=holes, drillhole_survey=named)
    first, second, third = computed(schemas, "drillhole_trace", of, tmp_path)
    assert first["record_id"] == "derived:drillhole-trace:gsq:h:1"
    assert (first["trace_status"], first["name"], first["elevation_datum"]) == ("extended", "TH1", "ahd")
    assert shapely.from_wkb(first["geometry"]).coords[0] == (145.8, -20.3, 383.0)
    assert (first["tier"], first["members"]) == ("partner", ["gsq:h:1", "gsq:s:1"])
    assert (second["trace_status"], second["geometry"], second["depths_m"]) == ("azimuth-reference-unknown", None, None)
    assert (second["tier"], second["member_count"]) == ("open", 2)
    assert third["depths_m"] == [0.0, 60.0, 100.0]
    assert (third["tier"], third["licences"]) == ("partner", ["CC-BY-4.0", "OGL-UK-3.0"])
    assert third["members"] == ["gsq:h:1", "gsq:h:3", "gsq:s:1", "gsq:s:3"]


def test_without_holes_there_are_no_traces(schemas: Schemas, tmp_path: Path) -> None:
    of = members(schemas, tmp_path, drillhole=[], drillhole_survey=[])
    assert computed(schemas, "drillhole_trace", of, tmp_path) == []
