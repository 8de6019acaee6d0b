"""What landed is decoded and compared, so that a file which is whole but wrong is not committed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.contracts import Dataset, Schemas
from pipelines.errors import RejectedError
from pipelines.publish import LedgerRow, Options
from pipelines.publish.geoparquet import write
from pipelines.publish.manifest import DatasetEntry, Draft, file_entry
from pipelines.publish.verification import verify_landed
from pipelines.store import LocalStore
from tests.shares import ids, rows_of

FEED = "gsi_sites"


@pytest.fixture
def dataset(schemas: Schemas) -> Dataset:
    return schemas.datasets["mineral_occurrence"]


@pytest.fixture
def file(dataset: Dataset, tmp_path: Path) -> Path:
    """Give a sound file of 300 rows in a store."""
    part = write(
        dataset, [rows_of(dataset, ids(*range(300)), feed=FEED)], tmp_path / "home" / "draft", Options()
    ).parts[0]
    return tmp_path / "home" / "draft" / part.path


def verified(dataset: Dataset, file: Path, told: int = 300) -> None:
    """Verify a file of which the release tells the true size and SHA-256, and 300 rows."""
    folder = file.parents[1]
    entry = DatasetEntry(dataset, (file_entry(folder, str(file.relative_to(folder)), rows=300),), None, {}, "no rows")
    ledger = (LedgerRow(FEED, dataset.name, accepted=told, published=told, superseded=0),)
    draft = Draft(Options(), (), (entry,), ledger)
    verify_landed(LocalStore(folder.parent), folder.name, draft.manifest(1, None, ()), draft)


def rewritten(file: Path, rows: pa.Table) -> None:
    """Write other rows into the file, under the schema that it had."""
    pq.write_table(rows.cast(pq.read_schema(file)), file)


def test_a_sound_file_passes(dataset: Dataset, file: Path) -> None:
    verified(dataset, file)


def test_rows_that_are_missing_are_found(dataset: Dataset, file: Path) -> None:
    rewritten(file, pq.read_table(file).slice(1))
    with pytest.raises(RejectedError, match="299 rows, 300 were written"):
        verified(dataset, file)


def test_rows_of_another_feed_are_found(dataset: Dataset, file: Path) -> None:
    rows = pq.read_table(file)
    place = rows.schema.get_field_index("feed")
    others = pa.array(["bgs_sites"] + [FEED] * 299)
    rewritten(file, rows.set_column(place, rows.schema.field(place), others))
    with pytest.raises(RejectedError, match="rows by feed are .*'bgs_sites': 1"):
        verified(dataset, file)


def test_rows_that_the_ledger_does_not_have_are_found(dataset: Dataset, file: Path) -> None:
    with pytest.raises(RejectedError, match="the ledger has {'gsi_sites': 299}"):
        verified(dataset, file, told=299)


def test_a_record_that_stands_twice_is_found(dataset: Dataset, file: Path) -> None:
    rows = pq.read_table(file)
    rewritten(file, pa.concat_tables([rows.slice(0, 299), rows.slice(7, 1)]))
    with pytest.raises(RejectedError, match="gsi:register:7 stands 2 times"):
        verified(dataset, file)


def test_a_schema_without_units_is_found(dataset: Dataset, file: Path) -> None:
    rows = pq.read_table(file)
    bare = pa.schema([column.remove_metadata() for column in rows.schema], rows.schema.metadata)
    pq.write_table(rows.cast(bare), file)
    with pytest.raises(RejectedError, match="the schema is not the contract's"):
        verified(dataset, file)


def test_a_file_that_is_no_geoparquet_is_found(dataset: Dataset, file: Path) -> None:
    pq.write_table(pq.read_table(file).replace_schema_metadata(), file)
    with pytest.raises(RejectedError, match="is not GeoParquet"):
        verified(dataset, file)


def test_a_page_that_cannot_be_decoded_is_found(dataset: Dataset, file: Path) -> None:
    column = pq.read_metadata(file).row_group(0).column(0)
    content = bytearray(file.read_bytes())
    start = column.data_page_offset + 40
    content[start : start + 200] = bytes(200)
    file.write_bytes(content)
    with pytest.raises(RejectedError, match="cannot be decoded"):
        verified(dataset, file)
