"""FlatGeobuf, by GDAL with every other driver taken away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.readers import layers
from pipelines.readers.report import Report

OPTIONS: dict[str, tuple[type, ...]] = {}
DRIVER = "FlatGeobuf"
MAGIC = b"fgb\x03fgb"


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the features of a FlatGeobuf file, their shapes as WKB in `_wkb` and their attributes as text.

    Parameters
    ----------
    path : the file.
    options : none.
    report : where findings go; its `crs` becomes what the header states.

    Notes
    -----
    A row's number is the feature's place in the file, from 1; programs often sort features by place when they write.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            report.refuse("read.not_flatgeobuf", "the file does not begin like one", layers.AGAIN)
    layers.only(DRIVER, report)
    with layers.refusing(report, str(path)):
        yield from layers.batches(layers.describe(str(path), None), report)
