"""The GeoPackage twin holds the same rows, for programs that read no Parquet."""

import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyogrio
import pytest
import shapely

from pipelines.contracts import Dataset, Schemas
from pipelines.publish import Options
from pipelines.publish.geopackage import write_twin
from pipelines.publish.geoparquet import write
from tests.conftest import needs
from tests.shares import PLACES, ids, rows_of


@pytest.fixture
def dataset(schemas: Schemas) -> Dataset:
    return schemas.datasets["mineral_occurrence"]


def twin(dataset: Dataset, folder: Path, rows: pa.Table) -> Path:
    written = write(dataset, [rows], folder, Options())
    path = folder / f"{dataset.name}.gpkg"
    write_twin(dataset, [folder / part.path for part in written.parts], written, path)
    return path


def asked(path: Path, query: str) -> list:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_rows_and_positions_are_those_of_the_dataset(dataset: Dataset, tmp_path: Path) -> None:
    path = twin(dataset, tmp_path, rows_of(dataset, ids(*range(300)), commodities=[["Cu", "Au"]] * 300))
    frame = pyogrio.read_dataframe(path, layer="mineral_occurrence")
    assert frame["record_id"].tolist() == ids(*range(300))
    assert frame["commodities"].unique().tolist() == ["Cu; Au"]
    assert shapely.equals(frame.geometry.to_numpy(), PLACES[:300]).all()
    assert frame.crs.to_epsg() == 4326


def test_gdal_of_the_desktop_opens_it_without_a_warning(dataset: Dataset, tmp_path: Path) -> None:
    needs("ogrinfo")
    path = twin(dataset, tmp_path, rows_of(dataset, ids(*range(30))))
    told = subprocess.run(["ogrinfo", "-so", path, "mineral_occurrence"], capture_output=True, text=True, check=True)
    assert "Geometry: Point" in told.stdout
    assert "Feature Count: 30" in told.stdout
    assert "Warning" not in told.stdout + told.stderr


def test_shapes_of_many_kinds_share_a_layer(dataset: Dataset, tmp_path: Path) -> None:
    shapes = [shapely.box(0, 0, 2, 1), None, shapely.Point(5, 5)]
    path = twin(dataset, tmp_path, rows_of(dataset, ids(1, 2, 3), shapes))
    kinds = pyogrio.read_dataframe(path).geometry.geom_type.tolist()
    assert kinds[0] == "Polygon"
    assert kinds[2] == "Point"
    assert pyogrio.read_info(path)["geometry_type"] == "Unknown"


def test_a_dataset_without_positions_is_a_table_of_attributes(schemas: Schemas, tmp_path: Path) -> None:
    assay = schemas.datasets["assay"]
    path = twin(assay, tmp_path, rows_of(assay, ids(1, 2), value=[0.5, 7.0]))
    assert pyogrio.read_dataframe(path)["value"].tolist() == [0.5, 7.0]
    assert asked(path, "SELECT data_type FROM gpkg_contents") == [("attributes",)]


def test_columns_tell_their_meaning_and_unit(dataset: Dataset, tmp_path: Path) -> None:
    path = twin(dataset, tmp_path, rows_of(dataset, ids(1)))
    told = dict(asked(path, "SELECT column_name, description FROM gpkg_data_columns"))
    assert told["elevation_m"].endswith("[m]")
    assert set(told) == set(dataset.names()) - {"geometry"}


def test_the_same_rows_give_the_same_bytes_at_any_time(dataset: Dataset, tmp_path: Path) -> None:
    rows = rows_of(dataset, ids(*range(500)))
    first = twin(dataset, tmp_path / "first", rows).read_bytes()
    time.sleep(1.1)
    assert twin(dataset, tmp_path / "second", rows).read_bytes() == first


def test_an_array_and_a_second_shape_stand_beside_the_position(schemas: Schemas, tmp_path: Path) -> None:
    readings, tenements = schemas.datasets["geophysical_reading"], schemas.datasets["tenement"]
    path = twin(readings, tmp_path, rows_of(readings, ids(1), values=[[1.5, None, 3.0]]))
    assert asked(path, 'SELECT "values" FROM geophysical_reading') == [("1.5; ; 3",)]
    bowtie = shapely.to_wkb(shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)]))
    path = twin(tenements, tmp_path, rows_of(tenements, ids(1), [shapely.box(0, 0, 2, 1)], geometry_received=bowtie))
    assert asked(path, "SELECT geometry_received FROM tenement") == [(bowtie,)]
    assert pyogrio.read_dataframe(path).geometry.geom_type.tolist() == ["Polygon"]
