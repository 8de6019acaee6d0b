"""Shapefiles, by GDAL with every other driver taken away."""

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.report import Report
from pipelines.readers.tables import column_names, empty, raw_schema

OPTIONS: dict[str, tuple[type, ...]] = {"encoding": (str,)}
DRIVER = "ESRI Shapefile"
MAGIC = b"\x00\x00\x27\x0a"
BATCH_ROWS = 16_384
SHP_HEADER_BYTES = 100
SHX_RECORD_BYTES = 8
AGAIN = "ask for the file again, with all its parts"


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the records of a shapefile, its shapes as WKB in `_wkb` and its attributes as text.

    Parameters
    ----------
    path : the .shp; the .shx, .dbf, .prj and .cpg that were delivered lie beside it under the same stem.
    options : `encoding` of the .dbf, where no .cpg states it.
    report : where findings go; its `crs` becomes the authority code or WKT of the .prj.
    """
    if _start(path, 4) != MAGIC:
        report.refuse("read.not_shapefile", "the .shp does not begin like one", AGAIN)
    _check_parts(path, report)
    _check_sizes(path, report)
    import pyogrio  # GDAL: native code that only this reader's process loads
    import pyogrio.errors
    import pyogrio.raw

    _only_shapefiles(pyogrio, report)
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            yield from _batches(pyogrio, path, options, report)
        for text in dict.fromkeys(str(each.message) for each in heard):
            report.issue("read.driver_warning", text, "the file was read, with this warning")
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException, RuntimeError) as error:
        report.refuse("read.malformed", str(error).replace(str(path), report.file), AGAIN)


def _check_parts(path: Path, report: Report) -> None:
    missing = [suffix for suffix in (".shx", ".dbf") if not path.with_suffix(suffix).exists()]
    if missing:
        hint = "name all parts of the shapefile in the feed"
        report.refuse("read.parts_missing", f"no {' and no '.join(missing)}", hint)
    if not path.with_suffix(".prj").exists():
        report.issue("read.crs_missing", "no .prj", "ask which coordinate system it is, and declare it in the feed")


def _check_sizes(path: Path, report: Report) -> None:
    """Refuse parts that are shorter than they say or that do not fit each other; GDAL would fill such gaps."""
    shapes, index, rows = (path.with_suffix(suffix) for suffix in (".shp", ".shx", ".dbf"))
    for part in (shapes, index):
        said = 2 * struct.unpack(">i", _start(part, 28)[24:])[0]
        if part.stat().st_size < said:
            report.refuse("read.malformed", f"{part.suffix} has fewer than the {said} bytes it tells of", AGAIN)
    count, header, width = struct.unpack("<iHH", _start(rows, 12)[4:])
    if rows.stat().st_size < header + count * width:
        report.refuse("read.malformed", f".dbf is too short for the {count} records it tells of", AGAIN)
    indexed = (index.stat().st_size - SHP_HEADER_BYTES) // SHX_RECORD_BYTES
    if indexed != count:
        report.refuse("read.malformed", f".shx tells of {indexed} records and .dbf of {count}", AGAIN)


def _start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size).ljust(size, b"\x00")


def _only_shapefiles(pyogrio: Any, report: Report) -> None:  # noqa: ANN401 - a module
    """Take every other driver out of GDAL, so that no content can choose one."""
    others = [name for name in pyogrio.list_drivers() if name != DRIVER]
    pyogrio.set_gdal_config_options({"GDAL_SKIP": ",".join(others)})
    pyogrio.core._register_drivers()
    if set(pyogrio.list_drivers()) != {DRIVER}:
        report.refuse("read.refused", "GDAL keeps drivers that were taken away", "this is a fault of the installation")


def _batches(pyogrio: Any, path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:  # noqa: ANN401
    info = pyogrio.read_info(path)
    report.crs = info["crs"]
    assumed = info["encoding"] if not path.with_suffix(".cpg").exists() else None
    encoding = options.get("encoding") or (assumed if assumed != "UTF-8" else None)
    names = column_names([str(name) for name in info["fields"]], report)
    schema = raw_schema(names, geometry=True)
    plain = True
    yield empty(schema)
    with pyogrio.raw.open_arrow(
        path, encoding=encoding, return_fids=True, use_pyarrow=True, batch_size=BATCH_ROWS, datetime_as_string=True
    ) as (meta, reader):
        for batch in reader:
            shaped = _shaped(batch, meta, schema)
            shaped.validate(full=True)
            plain = plain and all(_is_ascii(column) for column in shaped.columns[: len(names)])
            yield shaped
    if "encoding" not in options and assumed:
        found = f"{assumed}, since no .cpg and no option states it"
        hint = "state the encoding in the table's options"
        report.issue("read.encoding_assumed", found, hint, severity="info" if plain else "warning")


def _shaped(batch: pa.RecordBatch, meta: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    texts = [_text(batch.column(name)) for name in meta["fields"]]
    shapes = batch.column(meta["geometry_name"] or "wkb_geometry").cast(pa.binary())
    rows = pc.add(batch.column(meta["fid_column"]), 1).cast(pa.int64())
    return pa.record_batch([*texts, shapes, rows], schema=schema)


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_floating(column.type):
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0$", "")
    return column.cast(pa.string())


def _is_ascii(column: pa.Array) -> bool:
    return bool(pc.all(pc.string_is_ascii(column), min_count=0).as_py())
