"""How files are opened: one small function per format.

A reader takes a path of ours, the options of a feed's table and a report, and yields Arrow batches: the partner's
columns as text, `_row` with the row's number as the partner sees it, and `_wkb` for shapes. It runs in a process of its
own (`pipelines.readers.child`), and nothing that is not named here is ever opened.
"""

import codecs
import difflib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.errors import ContractError
from pipelines.readers import (
    ags,
    aseg_gdf2,
    delimited,
    filegdb,
    flatgeobuf,
    geojson,
    geopackage,
    geoparquet,
    gml,
    html_table,
    kml,
    las,
    records,
    shapefile,
    xls,
    xlsx,
)
from pipelines.readers.limits import Limits
from pipelines.readers.report import Report

Reader = Callable[[Path, dict[str, Any], Report], Iterator[pa.RecordBatch]]

READERS: dict[str, Reader] = {
    "ags": ags.read,
    "aseg_gdf2": aseg_gdf2.read,
    "delimited": delimited.read,
    "filegdb": filegdb.read,
    "flatgeobuf": flatgeobuf.read,
    "geojson": geojson.read,
    "geojsonseq": geojson.read_lines,
    "geopackage": geopackage.read,
    "geoparquet": geoparquet.read,
    "gml": gml.read,
    "html_table": html_table.read,
    "json": records.read,
    "kml": kml.read,
    "las": las.read,
    "shapefile": shapefile.read,
    "xls": xls.read,
    "xlsx": xlsx.read,
}
OPTIONS: dict[str, dict[str, tuple[type, ...]]] = {
    "ags": ags.OPTIONS,
    "aseg_gdf2": aseg_gdf2.OPTIONS,
    "delimited": delimited.OPTIONS,
    "filegdb": filegdb.OPTIONS,
    "flatgeobuf": flatgeobuf.OPTIONS,
    "geojson": geojson.OPTIONS,
    "geojsonseq": geojson.OPTIONS,
    "geopackage": geopackage.OPTIONS,
    "geoparquet": geoparquet.OPTIONS,
    "gml": gml.OPTIONS,
    "html_table": html_table.OPTIONS,
    "json": records.OPTIONS,
    "kml": kml.OPTIONS,
    "las": las.OPTIONS,
    "shapefile": shapefile.OPTIONS,
    "xls": xls.OPTIONS,
    "xlsx": xlsx.OPTIONS,
}
SUFFIXES = {
    "ags": ".ags",
    "aseg_gdf2": ".dat",
    "delimited": ".csv",
    "filegdb": ".zip",
    "flatgeobuf": ".fgb",
    "geojson": ".geojson",
    "geojsonseq": ".geojsonl",
    "geopackage": ".gpkg",
    "geoparquet": ".parquet",
    "gml": ".gml",
    "html_table": ".html",
    "json": ".json",
    "kml": ".kml",
    "las": ".las",
    "shapefile": ".shp",
    "xls": ".xls",
    "xlsx": ".xlsx",
}
"""The name under which a reader is given its file; the partner's own name never reaches it."""
CHOICES = {"axis_order": ("auto", "xy", "yx"), "nested": records.NESTED, "section": las.SECTIONS}


def check_options(reader: str, options: dict[str, Any]) -> None:
    """Judge the options that a feed gives to a reader.

    Raises
    ------
    ContractError
        If there is no such reader or option, or a value is of the wrong kind.

    >>> check_options("xlsx", {"sheet": "Deposits", "header_row": 13})
    """
    if reader not in READERS:
        raise ContractError(f"no reader {reader!r}{_known(reader, READERS)}")
    known = OPTIONS[reader]
    for name, value in options.items():
        if name not in known:
            raise ContractError(f"reader {reader}: no option {name!r}{_known(name, known)}")
        if not isinstance(value, known[name]) or isinstance(value, bool):
            raise ContractError(f"reader {reader}: option {name} cannot be {value!r}")
        _check_value(reader, name, value)
    if reader == "ags" and "group" not in options:
        raise ContractError("reader ags: the option group is needed, since a file holds many tables")


def _known(word: str, known: Iterable[str]) -> str:
    """Give the nearest of the known words, and all of them."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}? Have {sorted(known)}" if found else f"; have {sorted(known)}"


def _check_value(reader: str, name: str, value: Any) -> None:  # noqa: ANN401 - an option's value
    least = 0 if reader == "delimited" else 1
    if isinstance(value, int) and value < least:
        raise ContractError(f"reader {reader}: option {name} must be at least {least}, not {value}")
    plain = isinstance(value, str) and len(value) <= 1 and value.isascii() and (value or name == "quote")
    if name in ("comment", "delimiter", "quote") and not plain and (name, value) != ("delimiter", delimited.BLANKS):
        raise ContractError(f"reader {reader}: option {name} must be one plain character, not {value!r}")
    if value not in CHOICES.get(name, (value,)):
        raise ContractError(f"reader {reader}: option {name} must be one of {CHOICES[name]}, not {value!r}")
    if isinstance(value, list | tuple) and not all(isinstance(each, str) and each for each in value):
        raise ContractError(f"reader {reader}: option {name} must be a list of names, not {value!r}")
    if name == "encoding":
        try:
            codecs.getincrementaldecoder(value)
        except LookupError as error:
            raise ContractError(f"reader {reader}: no encoding {value!r}") from error


__all__ = ["OPTIONS", "READERS", "SUFFIXES", "Limits", "Report", "check_options"]
