"""Sorts a dataset along the Hilbert curve in two passes over buckets on disk; memory does not grow with its rows.

The first pass deals every row into a bucket, which is a range of keys; the second sorts one bucket after the other.
A sample of the keys gives the ranges. A key that alone fills a bucket gets one of its own, which needs no
sorting and is never held whole; so do the rows without a position, which go last. Rows of equal keys keep the order of
the statements.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.contracts.arrow import working_schema
from pipelines.publish import hilbert
from pipelines.publish.footprints import footprints
from pipelines.publish.statements import Standing

KEY = "_key"
SHAPE = "geometry"
BUCKET_BYTES = 128 * 1024 * 1024
SAMPLED = 3072
"""Positions sampled of each bucket, at least; of large buckets every sixty-fourth is."""
PIECE_ROWS = 4096
"""Rows that are dealt into a bucket at once, on average."""


def ordered(standing: Standing, work: Path, bucket_rows: int) -> Iterator[pa.Table]:
    """Stream a dataset's standing rows along the Hilbert curve, in the working schema.

    Parameters
    ----------
    work : folder for the buckets, about as large as the uncompressed rows; they are removed as they are used.
    bucket_rows : rows of a bucket, which at most doubles where keys repeat.
    """
    starts = _starts(standing, bucket_rows)
    files = [work / f"bucket-{number:05d}.arrow" for number in range(len(starts))]
    _deal(standing, starts, files, bucket_rows)
    ends = np.append(starts[1:], hilbert.LAST)
    for start, end, file in zip(starts, ends, files, strict=True):
        if end - start <= 1:
            yield from _streamed(file)
        else:
            yield _sorted(file)
        file.unlink()


def _streamed(file: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as reader:
        yield from (pa.Table.from_batches([batch]).drop_columns([KEY]) for batch in reader)


def _sorted(file: Path) -> pa.Table:
    """Sort a bucket straight from the mapped file: taking is the only copy, a column at a time."""
    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
        bucket = reader.read_all().unify_dictionaries()
    order = np.argsort(bucket.column(KEY).to_numpy(), kind="stable")
    return pc.take(bucket.drop_columns([KEY]), pa.array(order), boundscheck=False)


def _starts(standing: Standing, bucket_rows: int) -> np.ndarray:
    """Choose the first key of every bucket from a sample of the positions."""
    stride = min(max(bucket_rows // SAMPLED, 1), 64)
    rows = size = 0
    samples = [np.zeros(0, np.uint64)]
    for statement in standing.statements:
        for batch in statement.batches(standing.dataset, [SHAPE]):
            shapes = batch.column(0)
            samples.append(_keys(shapes.take(pa.array(np.arange(-rows % stride, len(shapes), stride)))))
            rows += len(shapes)
            size += shapes.nbytes
    sample = np.sort(np.concatenate(samples))
    sample = sample[sample < hilbert.LAST]
    count = max(-(-rows // bucket_rows), -(-size // BUCKET_BYTES), 1)
    cuts = sample[np.arange(1, count) * len(sample) // count] if len(sample) else sample
    crowded = cuts[1:][cuts[1:] == cuts[:-1]]
    one = np.uint64(1)
    return np.unique(np.concatenate([[np.uint64(0)], cuts, crowded + one, [hilbert.LAST]]))


def _keys(shapes: pa.Array) -> np.ndarray:
    return hilbert.keys(*footprints(shapes).centres())


def _deal(standing: Standing, starts: np.ndarray, files: list[Path], bucket_rows: int) -> None:
    """Write every standing row into the bucket of its key."""
    with ExitStack() as stack:
        schema = working_schema(standing.dataset).append(pa.field(KEY, pa.uint64()))
        writers = [_writer(stack, file, schema) for file in files]
        for block in _blocks(standing.batches(), min(len(files) * PIECE_ROWS, bucket_rows)):
            keys = _keys(block.column(SHAPE).chunk(0))
            keyed = block.append_column(schema.field(KEY), pa.array(keys))
            buckets = np.searchsorted(starts, keys, side="right") - 1
            order = np.argsort(buckets, kind="stable")
            dealt = pc.take(keyed, pa.array(order), boundscheck=False)
            ends = np.searchsorted(buckets[order], np.arange(len(starts)), side="right")
            for writer, start, end in zip(writers, np.append(0, ends[:-1]), ends, strict=True):
                if end > start:
                    writer.write_table(dealt.slice(start, end - start))


def _writer(stack: ExitStack, file: Path, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
    sink = stack.enter_context(pa.OSFile(str(file), "wb"))
    return stack.enter_context(pa.ipc.new_stream(sink, schema))


def _blocks(batches: Iterator[pa.RecordBatch], block_rows: int) -> Iterator[pa.Table]:
    """Join batches into blocks of one chunk a column, so that each is dealt out in pieces that are not too small."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= block_rows or size >= BUCKET_BYTES:
            yield _joined(held)
            held, rows, size = [], 0, 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.Table:
    if len(batches) == 1:
        return pa.Table.from_batches(batches)
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
