"""Writes one dataset as GeoParquet 1.1, or as plain Parquet where a record has no position.

Texts that repeat are written from dictionaries, whose values are sorted and used, so that the bytes do not tell how the
rows were dealt out before. The schema that a file records for Arrow is the contract's, with texts as plain texts and
each column's description and unit; which columns were dictionaries is the writer's own business.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.contracts import Dataset
from pipelines.contracts.arrow import arrow_schema, working_schema
from pipelines.publish.footprints import BBOX, CORNERS, Footprints, covering, footprints, kind_name
from pipelines.publish.shares import Options

SHAPE = "geometry"
BOUNDS = "bbox"
VERSION = "1.1.0"
COMPRESSION_LEVEL = 1
"""Of zstd; higher levels take longer and save nothing worth it: after the encodings little is left to find."""
PAGE_ROWS = 16_384
"""Rows of a page, which are encoded at once: in smaller steps a dictionary's statistics are made over and over."""
DICTIONARY_SHARE = 0.25
"""A column with more distinct values, as a share of the values, is not written from a dictionary."""
BOUNDS_WORDS = {
    "description": "Bounds of the geometry, rounded outwards to single precision, for filtering",
    "unit": "deg",
}


@dataclass
class Extent:
    """The bounds (west, south, east, north, in degrees) and the kinds of all shapes seen."""

    bounds: np.ndarray = field(default_factory=lambda: np.array([np.inf, np.inf, -np.inf, -np.inf]))
    kinds: set[int] = field(default_factory=set)

    def add(self, seen: Footprints) -> None:
        """Widen the extent by some rows' shapes."""
        present = seen.kinds >= 0
        if present.any():
            shapes = seen.bounds[present]
            self.bounds[:2] = np.minimum(self.bounds[:2], shapes[:, :2].min(axis=0))
            self.bounds[2:] = np.maximum(self.bounds[2:], shapes[:, 2:].max(axis=0))
            self.kinds |= set(np.unique(seen.kinds[present]).tolist())

    def as_list(self) -> list[float] | None:
        """Give west, south, east and north; None if no shape was seen."""
        return self.bounds.tolist() if self.kinds else None


@dataclass
class Part:
    """One file of a dataset: its path below the release, and its rows."""

    path: str
    rows: int = 0
    extent: Extent = field(default_factory=Extent)


@dataclass
class Written:
    """What writing one dataset came to: its files, its extent, and its rows by feed and licence."""

    parts: list[Part] = field(default_factory=list)
    extent: Extent = field(default_factory=Extent)
    rows_by_origin: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows over all files."""
        return sum(part.rows for part in self.parts)

    def feed_rows(self) -> dict[str, int]:
        """Count the rows of every feed."""
        counts: dict[str, int] = {}
        for (feed, _), rows in self.rows_by_origin.items():
            counts[feed] = counts.get(feed, 0) + rows
        return counts


def published_schema(dataset: Dataset) -> pa.Schema:
    """Give the schema of a dataset's files: the contract's, and the bounds that readers filter by."""
    plain = arrow_schema(dataset)
    return plain.append(pa.field(BOUNDS, BBOX, metadata=BOUNDS_WORDS)) if dataset.geometry else plain


def write(dataset: Dataset, tables: Iterable[pa.Table], release: Path, options: Options) -> Written:
    """Write a dataset's rows, in the order in which they come, to ``<dataset>/part-00000.parquet`` and on.

    Parameters
    ----------
    tables : rows in the working schema.
    release : folder of the release being built.
    """
    written = Written()
    groups = _groups(tables, options.group_rows)
    group = next(groups, None)
    (release / dataset.name).mkdir(parents=True, exist_ok=True)
    while not written.parts or group is not None:
        part = Part(f"{dataset.name}/part-{len(written.parts):05d}.parquet")
        with ExitStack() as stack:
            writer = stack.enter_context(_open(dataset, release / part.path, group))
            while group is not None and part.rows < options.part_rows:
                _write_group(writer, dataset, group, part, written)
                group = next(groups, None)
            writer.add_key_value_metadata(_metadata(dataset, part.extent))
        written.parts.append(part)
    return written


def _groups(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Cut a stream of tables into tables of equal length, the last one shorter."""
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        held.append(table)
        count += table.num_rows
        if count >= rows:
            joined = pa.concat_tables(held)
            yield from (joined.slice(start, rows) for start in range(0, count - rows + 1, rows))
            held = [joined.slice(count - count % rows)]
            count %= rows
    if count:
        yield pa.concat_tables(held)


def _open(dataset: Dataset, path: Path, first: pa.Table | None) -> pq.ParquetWriter:
    schema = working_schema(dataset)
    if dataset.geometry:
        schema = schema.append(pa.field(BOUNDS, BBOX))
    measured = [leaf for column in working_schema(dataset) if column.name != SHAPE for leaf in _leaves(column)]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=[] if first is None else [leaf for column in first.schema for leaf in _repeating(first, column)],
        write_statistics=measured + ([f"{BOUNDS}.{corner}" for corner in CORNERS] if dataset.geometry else []),
        write_page_index=True,
        write_batch_size=PAGE_ROWS,
        max_rows_per_page=PAGE_ROWS,
        store_schema=False,
    )


def _repeating(first: pa.Table, column: pa.Field) -> list[str]:
    """Name a column's leaf if its values repeat in the first row group so often that a dictionary pays."""
    plain = not pa.types.is_dictionary(column.type) and not pa.types.is_list(column.type)
    if plain and (column.name == SHAPE or _distinct_share(first.column(column.name)) > DICTIONARY_SHARE):
        return []
    return _leaves(column)


def _distinct_share(values: pa.ChunkedArray) -> float:
    return pc.count_distinct(values, mode="only_valid").as_py() / max(len(values) - values.null_count, 1)


def _leaves(column: pa.Field) -> list[str]:
    return [f"{column.name}.list.element"] if pa.types.is_list(column.type) else [column.name]


def _write_group(writer: pq.ParquetWriter, dataset: Dataset, group: pa.Table, part: Part, written: Written) -> None:
    """Write one row group, and count what is in it."""
    whole = group.unify_dictionaries().combine_chunks()  # copies only the columns that lie in several pieces
    columns = [column.chunk(0) for column in whole.columns]
    columns = [_settled(column) if pa.types.is_dictionary(column.type) else column for column in columns]
    if dataset.geometry:
        seen = footprints(columns[group.schema.get_field_index(SHAPE)])
        part.extent.add(seen)
        written.extent.add(seen)
        columns.append(covering(seen.bounds))
    settled = pa.Table.from_arrays(columns, schema=writer.schema)
    writer.write_table(settled, row_group_size=group.num_rows)
    part.rows += group.num_rows
    for origin, rows in _origins(settled):
        written.rows_by_origin[origin] = written.rows_by_origin.get(origin, 0) + rows


def _settled(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Leave in a column's dictionary the used values, in their order."""
    if column.dictionary.null_count:
        column = column.cast(pa.string()).dictionary_encode()
    size = len(column.dictionary)
    codes = column.indices.fill_null(size).to_numpy()
    used = np.flatnonzero(np.bincount(codes, minlength=size + 1)[:size])
    values = column.dictionary.take(pa.array(used))
    order = pc.sort_indices(values).to_numpy()
    ranks = np.zeros(size, np.int32)
    ranks[used[order]] = np.arange(len(used), dtype=np.int32)
    indices = pc.take(pa.array(ranks), column.indices, boundscheck=False)
    return pa.DictionaryArray.from_arrays(indices, values.take(pa.array(order)))


def _origins(settled: pa.Table) -> Iterator[tuple[tuple[str, str], int]]:
    """Count rows by feed and licence; a computed row has many of both, and counts under its members."""
    if not {"feed", "licence"} <= set(settled.schema.names):
        return
    counts = settled.select(["feed", "licence"]).group_by(["feed", "licence"]).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        yield (row["feed"], row["licence"]), row["count_all"]


def _metadata(dataset: Dataset, extent: Extent) -> dict[str, str]:
    """Give a file's own words: what GeoParquet asks for, and the schema for Arrow, which repeats them."""
    words = {"geo": json.dumps(geo_metadata(extent), sort_keys=True)} if dataset.geometry else {}
    schema = published_schema(dataset).with_metadata(words)
    return words | {"ARROW:schema": base64.b64encode(schema.serialize()).decode()}


def geo_metadata(extent: Extent) -> dict[str, Any]:
    """Describe the geometry column; no ``crs`` is GeoParquet's way to say OGC:CRS84."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(kind_name(kind) for kind in extent.kinds),
        "covering": {BOUNDS: {corner: [BOUNDS, corner] for corner in CORNERS}},
    }
    bounds = extent.as_list()
    if bounds is not None:
        column["bbox"] = bounds
    return {"version": VERSION, "primary_column": SHAPE, "columns": {SHAPE: column}}
