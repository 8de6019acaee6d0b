"""Small shares of feeds: accepted rows with chosen records and positions, written as a run leaves them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from pipelines.contracts import Dataset
from pipelines.publish import Options, Published, Rights, Share, publish
from pipelines.store import LocalStore, sha256_file
from tests.planted import sound_rows, table, vocabularies, write_accepted

CODES = vocabularies()
OPTIONS = Options(group_rows=100, part_rows=300, bucket_rows=150)
PLACES = shapely.points(np.random.default_rng(3).uniform((68, 8), (97, 35), (2000, 2)))


def rows_of(dataset: Dataset, records: Sequence[str], shapes: Sequence[Any] | None = None, **columns: Any) -> pa.Table:
    """Make accepted rows; a column is given as one value for all rows or as a list."""
    rows = sound_rows(dataset, len(records), CODES)
    rows["record_id"] = list(records)
    if dataset.geometry:
        rows["geometry"] = list(shapely.to_wkb(list(PLACES[: len(records)] if shapes is None else shapes)))
    for name, value in columns.items():
        rows[name] = value if isinstance(value, list) and len(value) == len(records) else [value] * len(records)
    return table(dataset, rows)


def ids(*numbers: int) -> list[str]:
    """Name records by number."""
    return [f"gsi:register:{number}" for number in numbers]


def stated(folder: Path, dataset: Dataset, accepted: pa.Table, batch_rows: int = 64_000) -> Path:
    """Write accepted rows where a run keeps them, and give the file."""
    write_accepted(folder, dataset, accepted, batch_rows)
    return folder / dataset.name / "accepted.arrow"


def share_of(feed: str, accepted: dict[str, list[Path]], **more: Any) -> Share:
    """Give one feed's share."""
    rights = Rights("OGL-UK-3.0", attribution=f"Contains {feed}'s records")
    known: dict[str, Any] = {"state": "fresh", "delivery": "0" * 64, "rights": rights, **more}
    return Share(feed=feed, accepted=accepted, **known)


def two_shares(datasets: dict[str, Dataset], folder: Path) -> list[Share]:
    """Make the shares of two feeds: 500 and 300 sites of which 20 are the same, and 120 assays, 40 of them twice."""
    sites, assay = datasets["mineral_occurrence"], datasets["assay"]
    one = stated(folder / "one", sites, rows_of(sites, ids(*range(500)), feed="gsi_sites"), 90)
    two = stated(folder / "two", sites, rows_of(sites, ids(*range(480, 780)), feed="bgs_sites", tier="restricted"), 90)
    old = stated(folder / "old", assay, rows_of(assay, ids(*range(80)), feed="bgs_sites"))
    new = stated(folder / "new", assay, rows_of(assay, ids(*range(40, 120)), feed="bgs_sites"))
    counted = {"mineral_occurrence": {"shaped": 505, "accepted": 500, "quarantined": 4, "duplicates": 1, "filtered": 0}}
    source = {"file": "sites.csv", "rows": 505, "used": 501, "filtered": 0, "quarantined": 4}
    return [
        share_of("gsi_sites", {"mineral_occurrence": [one]}, datasets=counted, sources=(source,)),
        share_of("bgs_sites", {"mineral_occurrence": [two], "assay": [old, new]}, state="carried"),
        share_of("usgs_sites", {}, state="absent", delivery=None),
    ]


def published(shares: Sequence[Share], datasets: dict[str, Dataset], store: LocalStore, **choices: Any) -> Published:
    return publish(shares, datasets, store, store.root / "staging", replace(OPTIONS, **choices))


def files_in(store: LocalStore, folder: str) -> dict[str, str]:
    keys = store.list(f"{folder}/")
    return {key.removeprefix(f"{folder}/"): sha256_file(store.path(key)) for key in keys}
