"""Shapefiles, by GDAL with every other driver taken away."""

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


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the records of a shapefile, its shapes as WKB in `_wkb` and its attributes as text.

    Parameters
    ----------
    path : the .shp; the .shx, .dbf, .prj and .cpg that were delivered lie beside it under the same stem.
    options : `encoding` of the .dbf, where no .cpg states it.
    report : where findings go; its `crs` becomes the authority code or WKT of the .prj.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            report.refuse("read.not_shapefile", "the .shp does not begin like one", "ask for the file again")
    _check_parts(path, report)
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
        report.refuse("read.malformed", str(error).replace(str(path), report.file), "ask for the file again")


def _check_parts(path: Path, report: Report) -> None:
    missing = [suffix for suffix in (".shx", ".dbf") if not path.with_suffix(suffix).exists()]
    if missing:
        hint = "name all parts of the shapefile in the feed"
        report.refuse("read.parts_missing", f"no {' and no '.join(missing)}", hint)
    if not path.with_suffix(".prj").exists():
        report.issue("read.crs_missing", "no .prj", "ask which coordinate system it is, and declare it in the feed")


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
