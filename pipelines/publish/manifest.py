"""What a release says of itself: release.json, the dictionary of its columns, and a page in plain words."""

import csv
import io
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyproj
import shapely

from pipelines import geodesy
from pipelines.contracts import Dataset
from pipelines.publish.geoparquet import published_schema
from pipelines.publish.shares import LedgerRow, Options, Share
from pipelines.store import digest, sha256_file

MANIFEST = "release.json"
DICTIONARY = "dictionary.csv"
FIRST_VERSION = "1.0.0"
DATASET_FIGURES = ("shaped", "accepted", "quarantined", "duplicates", "filtered")
DICTIONARY_COLUMNS = ("dataset", "column", "type", "unit", "vocabulary", "tier", "description")


@dataclass(frozen=True)
class FileEntry:
    """One file of a release: its path below the release, its size and SHA-256, and its rows where it has rows."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the entry as release.json holds it."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class DatasetEntry:
    """One dataset of a release.

    Parameters
    ----------
    extent : west, south, east and north, degrees; None without positions.
    rows_by_origin : rows by feed and licence.
    twin : the GeoPackage, or why there is none.
    """

    dataset: Dataset
    files: tuple[FileEntry, ...]
    extent: list[float] | None
    rows_by_origin: Mapping[tuple[str, str], int]
    twin: FileEntry | str = ""

    @property
    def rows(self) -> int:
        """Rows over all files."""
        return sum(file.rows or 0 for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """Give the dataset as release.json holds it."""
        twin = {"absent": self.twin} if isinstance(self.twin, str) else self.twin.as_json()
        return {
            "title": self.dataset.title,
            "grain": self.dataset.grain,
            "version": self.dataset.version,
            **({"derived_from": list(self.dataset.derived_from)} if self.dataset.derived else {}),
            "rows": self.rows,
            "extent": self.extent,
            "files": [file.as_json() for file in self.files],
            "geopackage": twin,
            "schema": columns(self.dataset),
        }


@dataclass(frozen=True)
class Draft:
    """Everything a release says of itself, before it has a number."""

    options: Options
    shares: tuple[Share, ...]
    datasets: tuple[DatasetEntry, ...]
    ledger: tuple[LedgerRow, ...]

    def content_hash(self) -> str:
        """Digest what a reader would call the content: data files, schema, ledger, and whom to name for the data.

        Left out are the release's number, how the feeds reported, the versions of code, and the GeoPackages, which
        say nothing that the data files do not.
        """
        files = [[file.path, file.sha256] for entry in self.datasets for file in entry.files]
        schema = {entry.dataset.name: [entry.dataset.version, columns(entry.dataset)] for entry in self.datasets}
        return digest({"files": files, "schema": schema, "ledger": self._ledger(), "licences": self._licences()})

    def with_twins(self, twins: Mapping[str, FileEntry | str]) -> "Draft":
        """Give the draft with every dataset's GeoPackage."""
        return replace(self, datasets=tuple(replace(one, twin=twins[one.dataset.name]) for one in self.datasets))

    def manifest(self, number: int, parent: Mapping[str, Any] | None, files: Iterable[FileEntry]) -> dict[str, Any]:
        """Give what release.json holds.

        Parameters
        ----------
        parent : release.json of the release before.
        files : the release's further files.
        """
        datasets = {entry.dataset.name: entry.as_json() for entry in self.datasets}
        return {
            "release": number,
            "title": self.options.title,
            "semantic_version": semantic_version(parent, datasets),
            "content_hash": self.content_hash(),
            "parent": parent and {"release": parent["release"], "content_hash": parent["content_hash"]},
            "datasets": datasets,
            "feeds": {share.feed: self._feed(share, number, parent or {}) for share in self.shares},
            "ledger": self._ledger(),
            "licences": self._licences(),
            "files": [file.as_json() for file in files],
            "code": versions(),
        }

    def _ledger(self) -> dict[str, Any]:
        sources = [{"feed": share.feed, **source} for share in self.shares for source in share.sources]
        datasets = [
            {"feed": share.feed, "dataset": name}
            | {figure: counts[figure] for figure in DATASET_FIGURES if figure in counts}
            for share in self.shares
            for name, counts in sorted(share.datasets.items())
        ]
        release = [
            {
                "feed": row.feed,
                "dataset": row.dataset,
                "accepted": row.accepted,
                "published": row.published,
                "superseded": row.superseded,
                "superseded_by_rule": dict(row.superseded_by_rule),
                "withheld": row.withheld,
                "withheld_by_rule": dict(row.withheld_by_rule),
            }
            for row in self.ledger
        ]
        return {"sources": sources, "datasets": datasets, "release": release}

    def _licences(self) -> dict[str, Any]:
        """Count rows by licence, and name the feeds and whom to attribute them to."""
        rights = {share.feed: share.rights for share in self.shares}
        found: dict[str, dict[str, Any]] = {}
        for entry in self.datasets:
            for (feed, licence), rows in sorted(entry.rows_by_origin.items()):
                counted = found.setdefault(licence, {"rows": 0, "feeds": {}, "attributions": {}})
                counted["rows"] += rows
                counted["feeds"][feed] = counted["feeds"].get(feed, 0) + rows
                if rights[feed].attribution:
                    counted["attributions"][feed] = rights[feed].attribution
        return found

    def _feed(self, share: Share, number: int, parent: Mapping[str, Any]) -> dict[str, Any]:
        before = parent.get("feeds", {}).get(share.feed, {})
        since = before.get("since") if before.get("delivery") == share.delivery else number
        rows = {row.dataset: row.published for row in self.ledger if row.feed == share.feed}
        return {
            "state": share.state,
            "delivery": share.delivery,
            "since": since if share.delivery else None,
            "fingerprint": share.run_fingerprint,
            "rows": rows,
            "rights": {name: value for name, value in vars(share.rights).items() if value is not None},
            "notes": [dict(note) for note in share.notes],
        }


def file_entry(release: Path, path: str, rows: int | None = None) -> FileEntry:
    """Measure one file of the release being built."""
    file = release / path
    return FileEntry(path, file.stat().st_size, sha256_file(file), rows)


def columns(dataset: Dataset) -> list[dict[str, str]]:
    """Describe a dataset's published columns, in their order."""
    types = {field.name: field.type for field in dataset.fields}
    found = []
    for column in published_schema(dataset):
        words = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
        found.append({"name": column.name, "type": types.get(column.name, "struct"), **words})
    return found


def semantic_version(parent: Mapping[str, Any] | None, datasets: Mapping[str, Any]) -> str:
    """Give a release the version that tells what its schema means to readers of the one before.

    A dataset or column that is gone, or whose type, unit or vocabulary changed, breaks readers (first number); a new
    one adds (second); anything else corrects (third).

    >>> semantic_version(None, {})
    '1.0.0'
    """
    if parent is None:
        return FIRST_VERSION
    before, after = _meanings(parent["datasets"]), _meanings(datasets)
    major, minor, patch = (int(part) for part in parent["semantic_version"].split("."))
    if any(after.get(column) != meaning for column, meaning in before.items()):
        return f"{major + 1}.0.0"
    if after.keys() - before.keys():
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def _meanings(datasets: Mapping[str, Any]) -> dict[tuple[str, str], tuple[str | None, ...]]:
    return {
        (name, column["name"]): tuple(column.get(word) for word in ("type", "unit", "vocabulary"))
        for name, entry in datasets.items()
        for column in entry["schema"]
    }


def versions() -> dict[str, str]:
    """Name the versions of the code, the libraries and the datum grids that decide what a release's bytes are."""
    import pyogrio  # loads GDAL, which a process that only reads releases does not need

    try:
        ours = version("minerals")
    except PackageNotFoundError:
        ours = "not installed as a package"
    return {
        "minerals": ours,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "duckdb": duckdb.__version__,
        "proj": pyproj.proj_version_str,
        "geos": shapely.geos_version_string,
        "gdal": pyogrio.__gdal_version_string__,
        "grids": ", ".join(f"{name} {told}" for name, told in sorted(geodesy.installed().items())) or "none",
    }


def dictionary(datasets: Sequence[Dataset]) -> bytes:
    """Write the dictionary of all columns as CSV."""
    page = io.StringIO()
    writer = csv.DictWriter(page, DICTIONARY_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for dataset in datasets:
        for column in columns(dataset):
            known = {name: column[name] for name in DICTIONARY_COLUMNS if name in column}
            writer.writerow({**known, "dataset": dataset.name, "column": column["name"]})
    return page.getvalue().encode()
