"""Layers of vector data, by GDAL with every driver but the format's own taken away."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.readers import columns
from pipelines.readers.report import Report
from pipelines.readers.shapes import Tally
from pipelines.readers.tables import column_names, empty, raw_schema

BATCH_ROWS = 8192
AGAIN = "ask for the file again"
NONLINEAR = "Nonlinear geometry types"
MEASURED = "Measured (M) geometry types are not supported"
"""What is warned of another way of reading; here M comes along."""


@dataclass(frozen=True)
class Layer:
    """A layer as GDAL describes it.

    Parameters
    ----------
    path : as GDAL opens it.
    name : None for the only one.
    features : how many it says there are.
    fields : columns, in order.
    shaped : whether it has a geometry column.
    crs : authority code or WKT.
    fid, geometry : names of the columns of feature ids and of shapes, or an empty text.
    """

    path: str
    name: str | None
    features: int
    fields: tuple[str, ...]
    shaped: bool
    crs: str | None
    fid: str
    geometry: str


@contextmanager
def refusing(report: Report, path: str, hint: str = AGAIN) -> Iterator[None]:
    """Turn GDAL's errors into a refusal, and tell its warnings."""
    import pyogrio.errors

    faults = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException, RuntimeError)
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            yield
    except (*faults, ValueError) as error:
        if NONLINEAR in str(error):
            report.refuse("read.curves", _plain(str(error), path, report), "deliver arcs as lines of straight pieces")
        report.refuse("read.malformed", _plain(str(error), path, report), hint)
    for text in dict.fromkeys(_plain(str(each.message), path, report) for each in heard):
        if text.startswith(MEASURED):
            continue
        report.issue("read.driver_warning", text, "the file was read, with this warning")


def only(driver: str, report: Report) -> None:
    """Take every other driver out of GDAL, so that no content can choose one."""
    import pyogrio  # GDAL: native code that only a reader's process loads

    others = [name for name in pyogrio.list_drivers() if name != driver]
    pyogrio.set_gdal_config_options({"GDAL_SKIP": ",".join(others)})
    pyogrio.core._register_drivers()
    if set(pyogrio.list_drivers()) != {driver}:
        report.refuse("read.refused", "GDAL keeps drivers that were taken away", "this is a fault of the installation")


def choose(names: list[str], wanted: str | None, report: Report) -> str:
    """Give the layer that the options name, or the only one.

    Raises
    ------
    RejectedError
        If there is no such layer, or several and none is named.
    """
    chosen = names[0] if wanted is None and len(names) == 1 else wanted
    if chosen is None or chosen not in names:
        have = ", ".join(repr(name) for name in names[:50]) or "none"
        found = f"no layer {wanted!r}; have {have}" if wanted else f"{len(names)} layers: {have}"
        report.refuse("read.layer_missing", found, "name one of them as `layer` in the table's options")
    return chosen


def layer_names(path: str) -> list[str]:
    """List the layers that GDAL finds."""
    import pyogrio

    return [str(name) for name, _kind in pyogrio.list_layers(path)]


def describe(path: str, name: str | None, **open_options: str) -> Layer:
    """Ask GDAL what a layer is like."""
    import pyogrio

    info = pyogrio.read_info(path, layer=name, force_feature_count=True, **open_options)
    fields = tuple(str(field) for field in info["fields"])
    shaped = info["geometry_type"] is not None
    ids, shapes = info["fid_column"] or "", info["geometry_name"] or ""
    return Layer(path, name, int(info["features"]), fields, shaped, info["crs"], ids, shapes)


def batches(
    layer: Layer,
    report: Report,
    *,
    number: Callable[[pa.Array, int], pa.Array] | None = None,
    prepare: Callable[[pa.Array], pa.Array] = columns.text,
    names: tuple[str, ...] | None = None,
    no_crs: str = "the layer states none",
    **open_options: str,
) -> Iterator[pa.RecordBatch]:
    """Give a layer's features, the shapes as WKB in `_wkb` and the rest as text.

    Parameters
    ----------
    layer : what to read; its CRS becomes the report's.
    number : row numbers of a batch by its feature ids and the rows before it; places from 1 if not given.
    prepare : how a column becomes text.
    names : the columns' names, where GDAL does not know them rightly.
    no_crs : what is told of a layer of shapes without a CRS.
    open_options : of the driver.

    Notes
    -----
    Where the format keeps feature ids under a name, they are the first column. A feature whose shape cannot be read is
    rejected. Fewer features than the layer says it has are a refusal.
    """
    report.crs = layer.crs
    if layer.shaped and layer.crs is None:
        report.issue("read.crs_missing", no_crs, "ask which coordinate system it is, and declare it in the feed")
    given = list(names or layer.fields)
    fid = [layer.fid] if layer.fid and layer.fid.casefold() not in {each.casefold() for each in given} else []
    schema = raw_schema(column_names([*fid, *given], report), geometry=layer.shaped)
    yield empty(schema)
    rows, tally = 0, Tally()
    for meta, batch in _stream(layer, open_options):
        report.check()
        texts = [prepare(batch.column(name)) for name in meta["fields"]]
        ids = batch.column(meta["fid_column"])
        parts = [ids.cast(pa.string())] * len(fid) + texts
        if layer.shaped:
            parts.append(batch.column(meta["geometry_name"] or "wkb_geometry").cast(pa.binary()))
        numbers = number(ids, rows) if number else pa.array(range(rows + 1, rows + batch.num_rows + 1), pa.int64())
        rows += batch.num_rows
        whole = pa.record_batch([*parts, numbers], schema=schema)
        whole.validate(full=True)
        yield tally.sound(whole, report) if layer.shaped else whole
    tally.tell(report)
    if rows != layer.features:
        found = f"{rows} features could be read of the {layer.features} that the file tells of"
        report.refuse("read.rows_lost", found, AGAIN)


def _stream(layer: Layer, open_options: dict[str, str]) -> Iterator[tuple[dict[str, Any], pa.RecordBatch]]:
    import pyogrio.raw

    with pyogrio.raw.open_arrow(
        layer.path,
        layer=layer.name,
        return_fids=True,
        use_pyarrow=True,
        batch_size=BATCH_ROWS,
        datetime_as_string=True,
        **open_options,
    ) as (meta, reader):
        for batch in reader:
            yield meta, batch


def _plain(text: str, path: str, report: Report) -> str:
    """Give GDAL's message with the partner's name of the file instead of ours."""
    return text.replace(path, report.file)
