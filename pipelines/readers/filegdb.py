"""File geodatabases in an archive, by GDAL with every other driver taken away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.readers import archive, layers
from pipelines.readers.report import Report

OPTIONS: dict[str, tuple[type, ...]] = {"layer": (str,)}
DRIVER = "OpenFileGDB"
FOLDER = ".gdb/"
HINT = "deliver one .gdb folder, packed into a .zip"


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one layer or table of a file geodatabase.

    Parameters
    ----------
    path : an archive with one .gdb folder; unpacked, it may have as many bytes as the limits' `unpacked_bytes`.
    options : `layer`, where there are several.
    report : where findings go; its `crs` becomes what the layer states.

    Notes
    -----
    A row's number is its place in the layer, from 1; the OBJECTID is a column. A layer of curves is refused.
    """
    if not archive.is_zip(path):
        report.refuse("read.not_filegdb", "no archive", HINT)
    with archive.opened(path, report) as opened:
        members = [each for each in archive.members(opened) if FOLDER in each.filename.lower()]
        folders = sorted({_folder(each.filename) for each in members})
        if len(folders) != 1:
            report.refuse("read.not_filegdb", f"an archive with {', '.join(folders[:20]) or 'no .gdb folder'}", HINT)
        unpacked = sum(each.file_size for each in members)
        if unpacked > report.limits.unpacked_bytes:
            found = f"{unpacked} bytes when unpacked, at most {report.limits.unpacked_bytes} are read"
            report.refuse("read.too_large", found, "deliver the layer as a GeoPackage")
        for member in members:
            for _block in archive.blocks(opened, member.filename):
                pass  # its checksum is compared at the end
    place = archive.inside(path, folders[0])
    layers.only(DRIVER, report)
    with layers.refusing(report, place):
        name = layers.choose(layers.layer_names(place), options.get("layer"), report)
        yield from layers.batches(layers.describe(place, name), report)


def _folder(name: str) -> str:
    """Give the .gdb folder that a member lies in."""
    return name[: name.lower().index(FOLDER) + len(FOLDER) - 1]
