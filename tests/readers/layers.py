"""Small layers of Norland in every format that GDAL writes."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely

NAMES = ("Peñón", "Ötz", None)
GRADES = (1.5, 2.0, np.nan)
YEARS = (1996, 2003, 2026)
DAYS = np.array(["2026-01-02", "2026-02-03", "NaT"], dtype="datetime64[D]")
PLACES = ("POINT Z (10 60 5)", "POINT Z (11 61 6)", "POINT Z (12 62 7)")


def write(
    path: Path,
    driver: str,
    places: tuple[str, ...] = PLACES,
    crs: str | None = "EPSG:3067",
    **options: Any,  # noqa: ANN401 - GDAL's own
) -> Path:
    """Write a layer of three mines."""
    shapes = shapely.from_wkt(np.array(places, dtype=object))
    columns = [np.array(NAMES, dtype=object), np.array(GRADES), np.array(YEARS), DAYS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing CRS, which is meant, and of types that a format lacks
        pyogrio.raw.write(
            str(path),
            geometry=shapely.to_wkb(shapes),
            field_data=[column[: len(places)] for column in columns],
            fields=["name", "grade", "year", "day"],
            geometry_type="Point Z",
            crs=crs,
            driver=driver,
            **options,
        )
    return path


def zipped(folder: Path, target: Path) -> Path:
    """Pack a folder with its name."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    return target
