"""Writes the GeoPackage twin of a dataset's Parquet files, for desktop GIS that reads no Parquet.

The twin says nothing that the Parquet files do not. Its bytes depend on the GDAL and SQLite that wrote it, and a new
GDAL is no new content: that is why a release's content hash leaves the twin out, though the same GDAL gives the same
bytes twice.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contracts import Dataset, Field
from pipelines.contracts.arrow import arrow_schema
from pipelines.errors import RejectedError
from pipelines.findings import as_text
from pipelines.publish.footprints import kind_name
from pipelines.publish.geoparquet import SHAPE, Written

BATCH_ROWS = 16_384
CRS = "EPSG:4326"
UNCHANGING = "1970-01-01T00:00:00.000Z"
"""Stands where a GeoPackage tells when it was last changed; a release has no times."""
VERSION = "1.3"
"""Of GeoPackage: the newest that GDAL 3.6, which many desktops have, opens without a warning."""
DATA_COLUMNS = """
    CREATE TABLE gpkg_data_columns (
        table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT,
        constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
        CONSTRAINT gdc_tn UNIQUE (table_name, name))
"""
EXTENSIONS = """
    CREATE TABLE IF NOT EXISTS gpkg_extensions (
        table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
        CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))
"""
SCHEMA_EXTENSION = (
    "gpkg_data_columns",
    None,
    "gpkg_schema",
    "http://www.geopackage.org/spec121/#extension_schema",
    "read-write",
)


def write_twin(dataset: Dataset, files: Sequence[Path], written: Written, path: Path) -> None:
    """Write a dataset's Parquet files as one layer of a GeoPackage, in EPSG:4326 with longitude first.

    Lists become texts joined by a semicolon; a dataset without positions becomes a table of attributes.

    Parameters
    ----------
    written : what the files hold; a layer of one kind of shape is declared as that kind.

    Raises
    ------
    RejectedError
        If GDAL refuses.
    """
    import pyogrio  # loads GDAL, which nothing else of publishing needs

    schema = _flat(arrow_schema(dataset))
    rows = pa.RecordBatchReader.from_batches(schema, _batches(files, schema))
    options = {"IDENTIFIER": dataset.title, "DESCRIPTION": dataset.description}
    shape = {"geometry_name": SHAPE, "geometry_type": _layer_kind(written.extent.kinds), "crs": CRS}
    try:
        pyogrio.write_arrow(
            rows,
            path,
            layer=dataset.name,
            driver="GPKG",
            dataset_options={"VERSION": VERSION},
            layer_options=options | ({} if dataset.geometry else {"ASPATIAL_VARIANT": "GPKG_ATTRIBUTES"}),
            **(shape if dataset.geometry else {}),
        )
    except pyogrio.errors.DataSourceError as error:
        raise RejectedError(f"{dataset.name}: the GeoPackage cannot be written: {error}") from error
    _finish(dataset, path)


def _layer_kind(kinds: set[int]) -> str:
    return kind_name(next(iter(kinds))) if len(kinds) == 1 else "Unknown"


def _flat(schema: pa.Schema) -> pa.Schema:
    fields = [column.with_type(pa.string()) if pa.types.is_list(column.type) else column for column in schema]
    return pa.schema([column.remove_metadata() for column in fields])


def _batches(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=schema.names):
            columns = [
                as_text(column) if pa.types.is_list(column.type) else column
                for column in (batch.column(name) for name in schema.names)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _finish(dataset: Dataset, path: Path) -> None:
    """Take the time out of the GeoPackage, and put each column's meaning and unit in."""
    with closing(sqlite3.connect(path)) as database, database:
        present = {row[1] for row in database.execute(f'PRAGMA table_info("{dataset.name}")')}
        words = [(dataset.name, column.name, _words(column)) for column in dataset.fields if column.name in present]
        database.execute("UPDATE gpkg_contents SET last_change = ?", (UNCHANGING,))
        database.execute(DATA_COLUMNS)
        database.executemany(
            "INSERT INTO gpkg_data_columns (table_name, column_name, description) VALUES (?, ?, ?)", words
        )
        database.execute(EXTENSIONS)
        database.execute("INSERT INTO gpkg_extensions VALUES (?, ?, ?, ?, ?)", SCHEMA_EXTENSION)


def _words(column: Field) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description
