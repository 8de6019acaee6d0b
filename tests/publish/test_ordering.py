"""The two passes give one order, whatever the buckets."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely

from pipelines.contracts import Dataset, Schemas
from pipelines.publish import hilbert
from pipelines.publish.footprints import footprints
from pipelines.publish.ordering import ordered
from pipelines.publish.statements import Standing, standing
from tests.shares import PLACES, ids, rows_of, share_of, stated

COUNT = 1500


@pytest.fixture
def dataset(schemas: Schemas) -> Dataset:
    return schemas.datasets["mineral_occurrence"]


def stands(dataset: Dataset, folder: Path, shapes: list, batch_rows: int = 100) -> Standing:
    rows = rows_of(dataset, ids(*range(len(shapes))), shapes)
    path = stated(folder / "run", dataset, rows, batch_rows)
    return standing(dataset, [share_of("gsi_sites", {dataset.name: [path]})], folder)


def records(tables: list[pa.Table]) -> list[str]:
    return [record for table in tables for record in table.column("record_id").to_pylist()]


@pytest.mark.parametrize("bucket_rows", [100, 700, 100_000])
def test_rows_come_along_the_curve(dataset: Dataset, tmp_path: Path, bucket_rows: int) -> None:
    shapes = list(PLACES[:COUNT])
    found = records(list(ordered(stands(dataset, tmp_path, shapes), tmp_path, bucket_rows)))
    keys = hilbert.keys(shapely.get_x(shapes), shapely.get_y(shapes))
    assert found == [ids(place)[0] for place in np.argsort(keys, kind="stable")]
    assert not list(tmp_path.glob("bucket-*"))


def test_rows_without_a_position_come_last_as_they_came(dataset: Dataset, tmp_path: Path) -> None:
    shapes = [None if place % 3 == 0 else shape for place, shape in enumerate(PLACES[:COUNT])]
    found = records(list(ordered(stands(dataset, tmp_path, shapes), tmp_path, 100)))
    assert found[-COUNT // 3 :] == ids(*range(0, COUNT, 3))
    assert sorted(found) == sorted(ids(*range(COUNT)))


def test_a_crowded_place_does_not_fill_the_memory(dataset: Dataset, tmp_path: Path) -> None:
    shapes = [PLACES[0] if place % 5 else PLACES[place] for place in range(COUNT)]
    tables = list(ordered(stands(dataset, tmp_path, shapes), tmp_path, 100))
    assert max(table.num_rows for table in tables) <= 200
    whole = pa.concat_tables(tables)
    keys = hilbert.keys(*footprints(whole.column("geometry").combine_chunks()).centres())
    assert (keys[1:] >= keys[:-1]).all()
    crowd = ids(*(place for place, shape in enumerate(shapes) if shape is PLACES[0]))
    assert [record for record in records(tables) if record in set(crowd)] == crowd
    assert sorted(records(tables)) == sorted(ids(*range(COUNT)))


def test_no_rows_give_no_tables(dataset: Dataset, tmp_path: Path) -> None:
    assert records(list(ordered(stands(dataset, tmp_path, []), tmp_path, 100))) == []
    assert records(list(ordered(standing(dataset, [], tmp_path), tmp_path, 100))) == []
