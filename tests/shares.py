"""Small shares of feeds: accepted rows with chosen records and positions, written as a run leaves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from pipelines.contracts import Dataset
from pipelines.publish import Rights, Share
from tests.planted import sound_rows, table, vocabularies, write_accepted

CODES = vocabularies()
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
