"""GeoPackages, by GDAL with every other driver taken away; SQLite says first what they hold.

SQLite keeps any value in any column, and GDAL makes null or a part of what does not fit the column's type: a text
among numbers, 1.5 among whole numbers, a damaged shape. Such rows are found by SQLite and rejected.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers import layers
from pipelines.readers.report import Report
from pipelines.readers.tables import ROW, WKB

OPTIONS: dict[str, tuple[type, ...]] = {"layer": (str,)}
DRIVER = "GPKG"
MAGIC = b"SQLite format 3\x00"
TRIGGERS = re.compile(r"(rtree_|gpkg_|trigger_(insert|delete|update)_feature_count_)", re.IGNORECASE)
"""What the triggers are called that the standard and GDAL make; none runs while a file is only read."""
WHOLE = re.compile(r"(TINY|SMALL|MEDIUM|BIG)?INT(EGER)?\b|BOOLEAN", re.IGNORECASE)
REAL = re.compile(r"(DOUBLE|FLOAT|REAL|NUMERIC)\b", re.IGNORECASE)
TIME = re.compile(r"DATE(TIME)?\b", re.IGNORECASE)
HINT = "deliver a GeoPackage of plain tables, without views and triggers of your own"
UNFIT = "the value does not fit the type of its column; correct the value, or make it a column of text"


def read(path: Path, options: dict[str, Any], report: Report) -> Iterator[pa.RecordBatch]:
    """Give the rows of one layer or table of a GeoPackage.

    Parameters
    ----------
    path : the file.
    options : `layer`, where there are several.
    report : where findings go; its `crs` becomes what the layer states.

    Notes
    -----
    A row's number is its place in the table, from 1; the feature id is a column under its own name. Files with views,
    with triggers beside those of the standard, or with virtual tables beside spatial indexes are refused.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            report.refuse("read.not_geopackage", "the file does not begin like one", layers.AGAIN)
    layers.only(DRIVER, report)
    place = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(place, uri=True)) as database, layers.refusing(report, str(path)):
            database.execute("PRAGMA trusted_schema = OFF")
            _check_schema(database, report)
            name = layers.choose(layers.layer_names(str(path)), options.get("layer"), report)
            layer = layers.describe(str(path), name, IMMUTABLE="YES")
            source = layers.batches(layer, report, IMMUTABLE="YES")
            yield next(source)
            unfit = _unfit(database, layer, report)
            for batch in source:
                yield _judged(batch, database, layer, unfit, report)
    except sqlite3.DatabaseError as error:
        report.refuse("read.malformed", str(error), layers.AGAIN)


def _check_schema(database: sqlite3.Connection, report: Report) -> None:
    """Refuse whatever could make SQLite do more than read rows."""
    for kind, name, sql in database.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema"):
        virtual = re.match(r"\s*CREATE\s+VIRTUAL\s+TABLE\b", sql, re.IGNORECASE)
        spatial = re.search(r"\bUSING\s+rtree\b", sql, re.IGNORECASE)
        if kind == "view" or (kind == "trigger" and not TRIGGERS.match(name)) or (virtual and not spatial):
            what = "a virtual table" if virtual else f"a {kind}"
            report.refuse("read.refused", f"{what} {name!a}", HINT)


def _unfit(database: sqlite3.Connection, layer: layers.Layer, report: Report) -> dict[int, str]:
    """Find the rows with a value that does not fit its column: the feature id, and the row's values as JSON."""
    columns = list(database.execute(f"PRAGMA table_info({_quoted(layer.name)})"))
    tests = [test for _place, name, kind, *_rest in columns if (test := _test(name, kind))]
    if not tests:
        return {}
    names = [name for _place, name, kind, *_rest in columns if name in layer.fields]
    wanted = ", ".join([_quoted(layer.fid or "rowid"), *map(_quoted, names)])
    found: dict[int, str] = {}
    for fid, *values in database.execute(f"SELECT {wanted} FROM {_quoted(layer.name)} WHERE {' OR '.join(tests)}"):  # noqa: S608
        found[fid] = json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False, default=repr)
        if len(found) > report.limits.rejected_rows:
            report.refuse("read.too_many_bad_rows", f"more than {len(found) - 1} rows whose values do not fit", UNFIT)
    return found


def _test(name: str, kind: str) -> str | None:
    """Give the SQL condition under which a value does not fit, or None where any does."""
    column = _quoted(name)
    if WHOLE.match(kind):
        return f"typeof({column}) NOT IN ('null', 'integer')"
    if REAL.match(kind):
        return f"typeof({column}) NOT IN ('null', 'integer', 'real')"
    if TIME.match(kind):
        day = "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]*"
        return f"(typeof({column}) NOT IN ('null', 'text') OR {column} NOT GLOB '{day}')"
    return None


def _judged(
    batch: pa.RecordBatch, database: sqlite3.Connection, layer: layers.Layer, unfit: dict[int, str], report: Report
) -> pa.RecordBatch:
    """Reject the rows with values that do not fit, and those whose shape was lost."""
    if not batch.num_rows:
        return batch
    ids = batch.column(0).cast(pa.int64())
    lost = _lost_shapes(batch, ids, database, layer)
    bad = pc.is_in(ids, pa.array([*unfit, *lost], pa.int64()))
    if not pc.any(bad).as_py():
        return batch
    for row in batch.filter(bad).select([batch.schema.names[0], ROW]).to_pylist():
        number, fid = row[ROW], int(row[batch.schema.names[0]])
        if fid in unfit:
            report.reject_row("read.bad_value", unfit[fid], UNFIT, row=number)
        else:
            found = f"{layer.fid} {fid}: a shape that is none"
            report.reject_row("read.bad_shape", found, "the shape cannot be read; correct it", row=number, column=WKB)
    return batch.filter(pc.invert(bad))


def _lost_shapes(batch: pa.RecordBatch, ids: pa.Array, database: sqlite3.Connection, layer: layers.Layer) -> list[int]:
    """Give the ids of rows that have a shape in the file and none in the batch."""
    if not layer.shaped or not batch.column(WKB).null_count:
        return []
    without = ids.filter(batch.column(WKB).is_null()).to_pylist()
    fid, shape, table = _quoted(layer.fid or "rowid"), _quoted(layer.geometry), _quoted(layer.name)
    marks = ", ".join("?" * len(without))
    query = f"SELECT {fid} FROM {table} WHERE {shape} IS NOT NULL AND {fid} IN ({marks})"  # noqa: S608 - quoted names
    return [row[0] for row in database.execute(query, without)]


def _quoted(name: str | None) -> str:
    """Quote a name for SQLite."""
    return '"' + (name or "").replace('"', '""') + '"'
