"""Reads what landed in the store once more, completely, before a release may be committed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contracts import Dataset
from pipelines.contracts.arrow import working_schema
from pipelines.publish.geoparquet import SHAPE, VERSION, published_schema
from pipelines.publish.manifest import DatasetEntry, Draft
from pipelines.publish.releases import files_of, landed_problems, refuse
from pipelines.publish.statements import KEY, hash_ids, repeated, single_threaded, suspected
from pipelines.store import LocalStore

BATCH_ROWS = 65_536
COMPARED = 1000
"""Hashes, of those that repeat, whose record ids are compared; one that is truly repeated is enough to refuse."""


def verify_landed(store: LocalStore, folder: str, manifest: Mapping[str, Any], draft: Draft) -> None:
    """Decode every row of a release in the store, and compare it with the release's own words and its ledger.

    Raises
    ------
    RejectedError
        If a file's bytes, schema, rows or rows by feed are not as told, or a record stands twice in a dataset.
    """
    problems = [problem for file in files_of(manifest) for problem in landed_problems(store, folder, file)]
    for row in draft.ledger:
        if row.accepted != row.published + row.superseded + row.withheld:
            problems.append(f"{row.feed} {row.dataset}: the ledger does not balance: {row}")
    for entry in draft.datasets:
        if not problems:
            mine = [row for row in draft.ledger if row.dataset == entry.dataset.name]
            told = {row.feed: row.published for row in mine if row.published}
            problems.extend(_dataset_problems(store, folder, entry, told))
    refuse(f"release {manifest['release']} is not as it should be and was not committed", problems)


def _dataset_problems(store: LocalStore, folder: str, entry: DatasetEntry, told: Mapping[str, int]) -> Iterator[str]:
    dataset = entry.dataset
    paths = [store.path(f"{folder}/{file.path}") for file in entry.files]
    found: dict[str, int] = {}
    hashes: list[np.ndarray] = []
    with single_threaded() as connection:
        for file, path in zip(entry.files, paths, strict=True):
            try:
                yield from _footer_problems(dataset, path)
                rows = 0
                for batch in _decoded(dataset, path):
                    rows += batch.num_rows
                    hashes.append(hash_ids(connection, batch.column(KEY)))
                    feeds = [] if dataset.derived else batch.column("feed").value_counts().to_pylist()
                    for count in feeds:
                        found[count["values"]] = found.get(count["values"], 0) + count["counts"]
            except (OSError, pa.ArrowInvalid) as error:
                yield f"{file.path}: cannot be decoded: {error}"
                return
            if rows != file.rows:
                yield f"{file.path}: {rows} rows, {file.rows} were written"
        if found != told:
            yield f"{dataset.name}: rows by feed are {found}, the ledger has {told}"
    yield from (f"{dataset.name}: {name} stands {times} times" for name, times in _repeated_ids(paths, hashes))


def _decoded(dataset: Dataset, path: Path) -> Iterator[pa.RecordBatch]:
    """Decode a file completely, repeating texts to dictionaries, which is cheaper."""
    words = [column.name for column in working_schema(dataset) if pa.types.is_dictionary(column.type)]
    with pq.ParquetFile(path, read_dictionary=words) as file:
        yield from file.iter_batches(BATCH_ROWS)


def _footer_problems(dataset: Dataset, path: Path) -> Iterator[str]:
    footer = pq.read_schema(path)
    wanted = published_schema(dataset)
    if not footer.equals(wanted) or [column.metadata for column in footer] != [column.metadata for column in wanted]:
        yield f"{dataset.name}/{path.name}: the schema is not the contract's"
    geo = (footer.metadata or {}).get(b"geo")
    if not dataset.geometry:
        if geo is not None:
            yield f"{dataset.name}/{path.name}: has geometry metadata, but no geometry"
    elif geo is None or json.loads(geo)["version"] != VERSION or SHAPE not in json.loads(geo)["columns"]:
        yield f"{dataset.name}/{path.name}: is not GeoParquet {VERSION}"


def _repeated_ids(paths: Sequence[Path], hashes: Sequence[np.ndarray]) -> Iterator[tuple[str, int]]:
    """Give the record ids that stand more than once, and how often."""
    seen = np.concatenate([*hashes, np.zeros(0, np.uint64)])
    suspects = repeated(seen)[:COMPARED]
    if not len(suspects):
        return
    ids = pa.concat_tables([pq.read_table(path, columns=[KEY]) for path in paths]).column(KEY)
    for count in ids.take(pa.array(suspected(seen, suspects))).value_counts().to_pylist():
        if count["counts"] > 1:
            yield count["values"], count["counts"]
