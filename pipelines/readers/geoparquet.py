"""GeoParquet and plain Parquet, by Arrow: GDAL as it is packaged for Python has no driver for it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.readers import columns
from pipelines.readers.report import Report
from pipelines.readers.shapes import Tally
from pipelines.readers.tables import column_names, empty, raw_schema, without
from pipelines.readers.transcode import MARKED, decoded, show

OPTIONS: dict[str, tuple[type, ...]] = {}
MAGIC = b"PAR1"
BATCH_ROWS = 16_384
BATCH_BYTES = 32 << 20
"""Text that is made of one batch at most; a dictionary may hold little and stand for very much."""
ROW_BYTES = 12
"""What a row takes at least, in its number and one empty text."""
CRS84 = "OGC:CRS84"
AGAIN = "ask for the file again"
KNOW = "ask which coordinate system it is, and declare it in the feed"


@dataclass(frozen=True)
class _Shape:
    """The column of shapes: its name, its CRS if it states one, and the column that repeats its bounds."""

    name: str
    crs: str | None
    bounds: str | None = None


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of a Parquet file, the primary shapes as WKB in `_wkb` and the rest as text.

    Parameters
    ----------
    path : the file; GeoParquet 1.0 and 1.1 with shapes as WKB, Parquet's own GEOMETRY, or no shapes at all.
    options : none.
    report : where findings go; its `crs` becomes what the metadata state.

    Notes
    -----
    A row's number is its place, from 1. The column of bounding boxes, which only repeats the shapes, is left out. Rows
    whose text or shape cannot be read are rejected. What dictionaries stand for is counted before it is written out.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            report.refuse("read.not_parquet", "the file does not begin like one", "deliver a Parquet file")
    try:
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            _check_footer(file, report)
            shape = _shape(file, report)
            strings = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False, read_dictionary=strings) as file:
            yield from _batches(file, shape, report)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        report.refuse("read.malformed", str(error).splitlines()[0].replace(str(path), report.file), AGAIN)


def _check_footer(file: pq.ParquetFile, report: Report) -> None:
    """Refuse what is too much by the file's own account, before any of it is read."""
    rows, limits = file.metadata.num_rows, report.limits
    if rows > limits.rows or rows * ROW_BYTES > limits.output_bytes:
        report.refuse("read.too_large", f"{rows} rows", "deliver the file in parts")
    if len(file.schema_arrow) > limits.columns:
        found = f"{len(file.schema_arrow)} columns"
        report.refuse("read.too_many_columns", found, f"at most {limits.columns} columns are read")


def _shape(file: pq.ParquetFile, report: Report) -> _Shape | None:
    """Find the column of shapes, or None; tell what the metadata leave open."""
    metadata = (file.schema_arrow.metadata or {}).get(b"geo")
    shape = _native(file) if metadata is None else _primary(metadata, file, report)
    if shape and shape.crs is None:
        report.issue("read.crs_missing", f"the column {shape.name!r} states none", KNOW)
    report.crs = shape.crs if shape else None
    return shape


def _primary(metadata: bytes, file: pq.ParquetFile, report: Report) -> _Shape:
    try:
        geo = json.loads(metadata)
        name = geo["primary_column"]
        column = geo["columns"][name]
        encoding, crs, covering = column["encoding"], column.get("crs", CRS84), column.get("covering") or {}
        bounds = covering["bbox"]["xmin"][0] if "bbox" in covering else None
        if name not in file.schema_arrow.names:
            raise KeyError(name)
    except (ValueError, KeyError, TypeError, RecursionError, IndexError) as error:
        found = f"metadata `geo` cannot be used: {type(error).__name__} {error}"
        report.refuse("read.malformed", found, "write the file with a program that knows GeoParquet")
    if encoding != "WKB":
        report.refuse("read.malformed", f"shapes encoded as {encoding!r}", "deliver shapes as WKB")
    if column.get("epoch") is not None:
        report.issue("read.crs_epoch", f"epoch {column['epoch']}", "coordinates are of this year", severity="info")
    return _Shape(str(name), _code(crs), bounds if isinstance(bounds, str) else None)


def _native(file: pq.ParquetFile) -> _Shape | None:
    """Find a column of Parquet's own type for shapes, whose CRS is longitude and latitude where it states none."""
    for place in range(len(file.schema)):
        column = file.schema.column(place)
        if column.logical_type.type in ("GEOMETRY", "GEOGRAPHY"):
            stated = json.loads(column.logical_type.to_json()).get("crs") or CRS84
            kept = (file.metadata.metadata or {}).get(stated.removeprefix("projjson:").encode())
            text = kept.decode("utf-8") if kept and stated.startswith("projjson:") else stated
            return _Shape(column.path, _code(json.loads(text) if text.startswith("{") else text))
    return None


def _code(crs: Any) -> str | None:  # noqa: ANN401 - whatever stands there
    """Give the authority code of a PROJJSON object, or itself as text where it has none."""
    if crs is None or isinstance(crs, str):
        return crs
    known = crs.get("id") if isinstance(crs, dict) else None
    if isinstance(known, dict) and "authority" in known and "code" in known:
        return f"{known['authority']}:{known['code']}"
    return json.dumps(crs)


def _batches(file: pq.ParquetFile, shape: _Shape | None, report: Report) -> Iterator[pa.RecordBatch]:
    left_out = {shape.name, shape.bounds} if shape else set()
    given = [name for name in file.schema_arrow.names if name not in left_out]
    schema = raw_schema(column_names(given, report), geometry=shape is not None)
    yield empty(schema)
    rows = size = 0
    tally = Tally()
    wanted = [*given, shape.name] if shape else given
    for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
        for part in _parts(batch):
            report.check()
            size += _bytes(part)
            if size > report.limits.output_bytes:
                found = f"more than {report.limits.output_bytes} bytes when written out"
                report.refuse("read.too_large", found, "deliver the file in parts")
            texts = [_text(part.column(name)) for name in given]
            shapes = [columns.plain(part.column(shape.name)).cast(pa.binary())] if shape else []
            numbers = pa.array(np.arange(rows + 1, rows + 1 + part.num_rows))
            rows += part.num_rows
            whole = _sound(pa.record_batch([*texts, *shapes, numbers], schema=schema), given, report)
            yield tally.sound(whole, report) if shape else whole
    tally.tell(report)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch until no part stands for more than BATCH_BYTES."""
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        if part.num_rows <= 1 or _bytes(part) <= BATCH_BYTES:
            yield part
        else:
            half = part.num_rows // 2
            waiting += [part.slice(half), part.slice(0, half)]


def _bytes(batch: pa.RecordBatch) -> int:
    """Count the bytes that a batch has when its dictionaries are written out."""
    size = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            lengths = pc.binary_length(column.dictionary).take(column.indices)
            size += int(pc.sum(lengths, min_count=0).as_py())
        else:
            size += column.nbytes
    return size


def _text(column: pa.Array) -> pa.Array:
    """Give a column as text; bytes in it that are none are marked."""
    if pa.types.is_dictionary(column.type):
        return _text(column.dictionary).take(column.indices)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            values = column.cast(pa.large_binary()).to_pylist()
            return pa.array([None if value is None else decoded(value, "utf-8") for value in values], pa.string())
    return columns.text(column)


def _sound(batch: pa.RecordBatch, names: list[str], report: Report) -> pa.RecordBatch:
    """Reject the rows with text that is none, or with a NUL."""
    bad = np.zeros(batch.num_rows, dtype=bool)
    for place in range(len(names)):
        found = pc.match_substring_regex(batch.column(place), f"\\x00|{MARKED}")
        bad |= pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    hint = "bytes that are no text in UTF-8, or a NUL"
    return without(batch, pa.array(bad), "read.encoding", hint, report, show=show) if bad.any() else batch
