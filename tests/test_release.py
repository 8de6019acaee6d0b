"""The release of all bundled samples, opened with tools other than the one that wrote it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import geopandas
import polars
import pyarrow.parquet as pq
import pyogrio
import pytest

from pipelines import flow
from pipelines.contracts import Schemas
from pipelines.contracts.arrow import arrow_schema
from pipelines.flow.installation import catalogue_of
from pipelines.query import query
from pipelines.settings import PROJECT, Settings
from tests.conftest import missing, needs

GPIO = PROJECT / ".venv-gpio" / "gpio"


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("release")
    url = f"sqlite:///{home / 'catalogue.db'}"
    return Settings(home=home, drop=PROJECT / "samples", schemas=PROJECT / "schemas", catalogue_url=url)


@pytest.fixture(scope="module")
def told(sampled: Settings) -> dict[str, Any]:
    for path in sorted((PROJECT / "schemas" / "feeds").glob("*.yml")):
        flow.ingest(path.stem, sampled)
    return flow.release(sampled)


@pytest.fixture(scope="module")
def folder(told: dict[str, Any]) -> Path:
    return Path(told["folder"])


def spatial(schemas: Schemas, folder: Path) -> Iterator[tuple[str, Path]]:
    for name, dataset in schemas.datasets.items():
        files = sorted((folder / name).glob("*.parquet"))
        if dataset.geometry and sum(pq.read_metadata(file).num_rows for file in files):
            yield name, files[0]


def test_every_feed_is_in_the_release(told: dict[str, Any], schemas: Schemas) -> None:
    assert told["feeds"] == dict.fromkeys(schemas.feeds, "fresh")
    filled = {name for feed in schemas.feeds.values() for name in feed.datasets}
    assert all(told["rows"][name] > 0 for name in filled)
    assert told["rows"].keys() == schemas.datasets.keys()


def test_published_superseded_and_withheld_make_up_what_was_accepted(sampled: Settings, told: dict[str, Any]) -> None:
    for one in catalogue_of(sampled).release_ledger(told["number"]):
        assert one.accepted == one.published + one.superseded + one.withheld


def test_geopandas_reads_positions_in_the_published_system(
    schemas: Schemas, folder: Path, told: dict[str, Any]
) -> None:
    for name, file in spatial(schemas, folder):
        frame = geopandas.read_parquet(file)
        assert len(frame) == told["rows"][name]
        assert frame.crs is not None and frame.crs.to_string() in ("OGC:CRS84", "EPSG:4326")
        assert frame.geometry[frame.geometry.notna()].is_valid.all()


def test_mountain_pass_lies_where_it_lies(folder: Path) -> None:
    frame = geopandas.read_parquet(folder / "mineral_occurrence")
    site = frame[frame["name"] == "Mountain Pass"].iloc[0]
    assert (site.geometry.x, site.geometry.y) == pytest.approx((-115.53, 35.48), abs=0.05)  # USGS: 35.478 N, 115.53 W


def test_duckdb_reads_geometry_without_an_extension(folder: Path, told: dict[str, Any]) -> None:
    sql = f"SELECT count(*), any_value(typeof(geometry)) FROM '{folder}/mineral_occurrence/*.parquet'"  # noqa: S608
    ((rows, kind),) = duckdb.sql(sql).fetchall()
    assert rows == told["rows"]["mineral_occurrence"]
    assert kind.startswith("GEOMETRY")


def test_pyarrow_sees_the_contract_with_units(schemas: Schemas, folder: Path) -> None:
    for name, dataset in schemas.datasets.items():
        for file in (folder / name).glob("*.parquet"):
            schema = pq.read_schema(file)
            wanted = arrow_schema(dataset)
            assert [field for field in schema if field.name != "bbox"] == list(wanted)
            assert [schema.field(one.name).metadata for one in wanted] == [one.metadata for one in wanted]


def test_polars_reads_every_dataset(folder: Path, told: dict[str, Any]) -> None:
    for name, rows in told["rows"].items():
        assert polars.read_parquet(folder / name / "*.parquet").height == rows


def test_gdal_reads_the_geopackage_twins(folder: Path, told: dict[str, Any]) -> None:
    needs("ogrinfo")
    for name, rows in told["rows"].items():
        if not rows:
            assert not (folder / f"{name}.gpkg").exists()
            continue
        seen = subprocess.run(
            ["ogrinfo", "-so", folder / f"{name}.gpkg", name], capture_output=True, text=True, check=True
        )
        assert f"Feature Count: {rows}" in seen.stdout, seen.stdout


def test_the_twins_hold_the_same_positions(schemas: Schemas, folder: Path) -> None:
    for name, file in spatial(schemas, folder):
        twin = pyogrio.read_dataframe(folder / f"{name}.gpkg").sort_values("record_id")
        frame = geopandas.read_parquet(file).sort_values("record_id")
        assert twin["record_id"].tolist() == frame["record_id"].tolist()
        assert twin.geometry.to_wkb().tolist() == frame.geometry.to_wkb().tolist()


def test_gpio_finds_nothing_to_mend(schemas: Schemas, folder: Path) -> None:
    if not GPIO.is_file():
        missing("gpio (geoparquet-io in .venv-gpio)")
    for name, file in spatial(schemas, folder):
        seen = subprocess.run([GPIO, "check", "all", file], capture_output=True, text=True, check=False)
        assert seen.returncode == 0, f"{name}: {seen.stdout}{seen.stderr}"
        assert "✗" not in seen.stdout and "❌" not in seen.stdout, f"{name}: {seen.stdout}"


def test_the_manifest_names_every_file_with_its_checksum(folder: Path) -> None:
    manifest = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    named = {file["path"] for one in manifest["datasets"].values() for file in one["files"]}
    named |= {one["geopackage"]["path"] for one in manifest["datasets"].values() if "path" in one["geopackage"]}
    named |= {file["path"] for file in manifest["files"]} | {"release.json"}
    assert named == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"python", "proj", "geos", "gdal", "pyarrow"} <= set(manifest["code"])


def test_every_record_leads_back_to_a_row_of_a_delivered_file(
    folder: Path, sampled: Settings, schemas: Schemas
) -> None:
    receipts = {path.parent.name: json.loads(path.read_text("utf-8")) for path in sampled.landing.rglob("receipt.json")}
    files = {(delivery, file["name"]) for delivery, receipt in receipts.items() for file in receipt["files"]}
    for name, dataset in schemas.datasets.items():
        if not dataset.derived:
            sql = f"SELECT DISTINCT delivery, source_file FROM {name} WHERE source_row >= 1"  # noqa: S608
            rows = query(sql, folder).to_pylist()
            assert {(row["delivery"], row["source_file"]) for row in rows} <= files


def test_every_member_of_a_computed_row_is_a_published_record(folder: Path, schemas: Schemas) -> None:
    for name, dataset in schemas.datasets.items():
        if dataset.derived_from:
            known = " UNION ALL ".join(f"SELECT record_id FROM {one}" for one in dataset.derived_from)  # noqa: S608
            sql = f"SELECT unnest(members) AS record_id FROM {name} EXCEPT ({known})"  # noqa: S608
            assert query(sql, folder).num_rows == 0, name


def test_no_trace_is_promised_where_the_azimuth_has_no_reference(folder: Path) -> None:
    seen = query("SELECT DISTINCT azimuth_reference FROM drillhole_survey", folder).to_pylist()
    assert seen == [{"azimuth_reference": "unknown"}]


def test_totals_say_what_they_include(folder: Path) -> None:
    rows = query("SELECT category, is_total_of FROM estimate_quantity WHERE len(is_total_of) > 0", folder).to_pylist()
    assert rows
    assert all(row["category"] not in row["is_total_of"] for row in rows)
