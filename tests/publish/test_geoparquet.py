"""The published files are what each of the usual readers expects."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import duckdb
import geopandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.contracts import Dataset, Schemas
from pipelines.publish import Options
from pipelines.publish.geoparquet import Written, published_schema, write
from tests.conftest import needs
from tests.shares import PLACES, ids, rows_of

SMALL = Options(group_rows=100, part_rows=500)
GPIO = Path(__file__).parents[2] / ".venv-gpio" / "gpio"


@pytest.fixture
def dataset(schemas: Schemas) -> Dataset:
    return schemas.datasets["mineral_occurrence"]


def sites(dataset: Dataset, count: int, shapes: Sequence[object] | None = None) -> pa.Table:
    names = [f"Prospect {place % 7}" if place % 3 else None for place in range(count)]
    return rows_of(
        dataset, ids(*range(count)), shapes, map_sheet=names, commodities=[["Cu", "Au"][: p % 3] for p in range(count)]
    )


def written(dataset: Dataset, folder: Path, rows: pa.Table, options: Options = SMALL, batch_rows: int = 64) -> Written:
    pieces = (pa.Table.from_batches([batch]) for batch in rows.to_batches(batch_rows))
    return write(dataset, pieces, folder, options)


def only_file(folder: Path) -> Path:
    (file,) = folder.rglob("*.parquet")
    return file


def test_the_recorded_schema_is_the_contracts_with_units(dataset: Dataset, tmp_path: Path) -> None:
    written(dataset, tmp_path, sites(dataset, 50))
    schema = pq.read_schema(only_file(tmp_path))
    assert schema.equals(published_schema(dataset))
    assert schema.field("status").type == pa.string()
    assert schema.field("longitude").metadata[b"unit"] == b"deg"
    assert schema.field("name").metadata[b"description"].startswith(b"Preferred name")


def test_every_reader_gets_the_rows_back(dataset: Dataset, tmp_path: Path) -> None:
    rows = sites(dataset, 250)
    written(dataset, tmp_path, rows)
    file = only_file(tmp_path)
    plain = rows.cast(pa.schema([column.remove_metadata() for column in published_schema(dataset)][:-1]))
    assert pq.read_table(file).drop_columns(["bbox"]).replace_schema_metadata().equals(plain)
    assert polars.read_parquet(file).drop("bbox").to_dicts() == polars.from_arrow(plain).to_dicts()
    told = duckdb.read_parquet(str(file)).select("record_id", "map_sheet", "commodities").fetchall()
    assert told == list(
        zip(*(plain.column(name).to_pylist() for name in ("record_id", "map_sheet", "commodities")), strict=True)
    )
    frame = geopandas.read_parquet(file)
    assert frame["record_id"].tolist() == plain.column("record_id").to_pylist()
    assert shapely.equals(frame.geometry.to_numpy(), PLACES[:250]).all()


def test_positions_are_known_as_crs84(dataset: Dataset, tmp_path: Path) -> None:
    written(dataset, tmp_path, sites(dataset, 50))
    assert geopandas.read_parquet(only_file(tmp_path)).crs.to_string() == "OGC:CRS84"
    rows = duckdb.read_parquet(str(only_file(tmp_path)))
    assert str(rows.select("geometry").types[0]) == "GEOMETRY('OGC:CRS84')"


def test_a_window_gives_the_rows_inside_it(dataset: Dataset, tmp_path: Path) -> None:
    written(dataset, tmp_path, sites(dataset, 1200))
    window = (75.0, 15.0, 80.0, 22.0)
    inside = shapely.intersects(PLACES[:1200], shapely.box(*window)).sum()
    assert len(geopandas.read_parquet(tmp_path / dataset.name, bbox=window)) == inside
    rows = duckdb.read_parquet(f"{tmp_path}/*/*.parquet")
    assert len(rows.filter("bbox.xmin <= 80 AND bbox.xmax >= 75 AND bbox.ymin <= 22 AND bbox.ymax >= 15")) == inside


def test_files_and_row_groups_are_cut_as_asked(dataset: Dataset, tmp_path: Path) -> None:
    parts = written(dataset, tmp_path, sites(dataset, 1234)).parts
    assert [part.rows for part in parts] == [500, 500, 234]
    groups = [pq.read_metadata(tmp_path / part.path) for part in parts]
    assert [[one.row_group(place).num_rows for place in range(one.num_row_groups)] for one in groups] == [
        [100] * 5,
        [100] * 5,
        [100, 100, 34],
    ]
    column = groups[0].row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_offset_index
    assert column.has_column_index


def test_each_file_tells_its_own_extent(dataset: Dataset, tmp_path: Path) -> None:
    parts = written(dataset, tmp_path, sites(dataset, 700)).parts
    for part, places in zip(parts, (PLACES[:500], PLACES[500:700]), strict=True):
        geo = json.loads(pq.read_schema(tmp_path / part.path).metadata[b"geo"])
        assert geo["version"] == "1.1.0"
        assert geo["columns"]["geometry"]["bbox"] == shapely.total_bounds(places).tolist()
        assert geo["columns"]["geometry"]["geometry_types"] == ["Point"]
        assert geo["columns"]["geometry"]["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]


def test_shapes_of_many_kinds_and_none_share_a_file(dataset: Dataset, tmp_path: Path) -> None:
    shapes = [shapely.box(0, 0, 2, 1), None, shapely.Point(5, 5, 5), shapely.MultiPoint([(1, 1), (9, 9)])]
    written(dataset, tmp_path, sites(dataset, 4, shapes))
    geo = json.loads(pq.read_schema(only_file(tmp_path)).metadata[b"geo"])["columns"]["geometry"]
    assert geo["geometry_types"] == ["MultiPoint", "Point Z", "Polygon"]
    assert geo["bbox"] == [0, 0, 9, 9]
    assert pq.read_table(only_file(tmp_path)).column("bbox").to_pylist()[:2] == [
        {"xmin": 0.0, "ymin": 0.0, "xmax": 2.0, "ymax": 1.0},
        None,
    ]


def test_a_dataset_without_rows_is_an_empty_file(dataset: Dataset, tmp_path: Path) -> None:
    written(dataset, tmp_path, sites(dataset, 0))
    assert len(geopandas.read_parquet(only_file(tmp_path))) == 0
    assert "bbox" not in json.loads(pq.read_schema(only_file(tmp_path)).metadata[b"geo"])["columns"]["geometry"]


def test_a_dataset_without_positions_is_plain_parquet(schemas: Schemas, tmp_path: Path) -> None:
    assay = schemas.datasets["assay"]
    rows = rows_of(assay, ids(*range(30)))
    written(assay, tmp_path, rows)
    schema = pq.read_schema(only_file(tmp_path))
    assert b"geo" not in (schema.metadata or {})
    assert schema.names == list(assay.names())
    assert pq.read_table(only_file(tmp_path)).column("record_id").to_pylist() == ids(*range(30))


def test_feeds_share_a_row_group(schemas: Schemas, tmp_path: Path) -> None:
    assay = schemas.datasets["assay"]
    one = rows_of(assay, ids(1, 2), feed="gsi_assays", licence="CC-BY-4.0", laboratory=["A", None])
    two = rows_of(assay, ids(3, 4, 5), feed="bgs_assays", licence="OGL-UK-3.0", laboratory=["B", "A", "C"])
    done = write(assay, [one, two], tmp_path, SMALL)
    assert done.rows_by_origin == {("gsi_assays", "CC-BY-4.0"): 2, ("bgs_assays", "OGL-UK-3.0"): 3}
    assert done.feed_rows() == {"gsi_assays": 2, "bgs_assays": 3}
    assert pq.read_table(only_file(tmp_path)).column("laboratory").to_pylist() == ["A", None, "B", "A", "C"]


def test_the_bytes_do_not_tell_how_the_rows_came(dataset: Dataset, tmp_path: Path) -> None:
    rows = sites(dataset, 450)
    place = rows.schema.get_field_index("map_sheet")
    words = rows.column(place).to_pylist()
    backwards = pa.array(words[::-1]).dictionary_encode().take(pa.array(range(len(words) - 1, -1, -1)))
    other = rows.set_column(place, rows.schema.field(place), backwards)
    written(dataset, tmp_path / "one", rows, batch_rows=64)
    written(dataset, tmp_path / "other", other, batch_rows=450)
    assert only_file(tmp_path / "one").read_bytes() == only_file(tmp_path / "other").read_bytes()


def test_the_validator_of_the_format_finds_nothing(dataset: Dataset, tmp_path: Path) -> None:
    needs(str(GPIO))
    shapes = [None if place % 9 == 0 else shape for place, shape in enumerate(PLACES[:400])]
    written(dataset, tmp_path, sites(dataset, 400, shapes))
    told = subprocess.run([GPIO, "check", "spec", only_file(tmp_path)], capture_output=True, text=True)
    assert "0 warnings, 0 failed" in told.stdout, told.stdout + told.stderr
