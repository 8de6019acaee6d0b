"""A reader of a format that streams takes no more memory for a file of ten times the size."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio.raw
import pytest
import shapely

from tests.conftest import PROJECT

pytestmark = pytest.mark.slow
ROWS = 2_000
"""Of the sample; measured are ten times and a hundred times as many."""
TOLERANCE = 1.2
MEASURE = """
import resource, sys
from pathlib import Path
from tests.partners import opened
source, reader, folder, rows, *parts = sys.argv[1:]
outcome = opened(Path(source), reader, Path(folder), parts=tuple(map(Path, parts)))
assert outcome.rows == int(rows), (outcome.rows, outcome.issues[:5])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Run in a process of its own, whose only child is the reader."""


def peak_kib(source: Path, reader: str, folder: Path, rows: int) -> int:
    """Have a file read, and give the most memory that the reader's process held, in KiB."""
    parts = [] if source.suffix != ".shp" else [source.with_suffix(suffix) for suffix in (".dbf", ".shx", ".prj")]
    command = [sys.executable, "-c", MEASURE, source, reader, folder, rows, *parts]
    done = subprocess.run([str(word) for word in command], cwd=PROJECT, capture_output=True, text=True, check=True)
    return int(done.stdout)


def names(rows: int) -> list[str]:
    return [f"Norland mine {row:08d} of the northern nickel province" for row in range(rows)]


def delimited(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,name,x,y,remarks\n")
        file.writelines(f"{row},{name},{row / 7},{row / 9},{'é' * 40}\n" for row, name in enumerate(names(rows)))
    return path


def collection(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        file.write(",\n".join(features(rows)))
        file.write("]}")
    return path


def lines(path: Path, rows: int) -> Path:
    path.write_text("\n".join(features(rows)), encoding="utf-8")
    return path


def features(rows: int) -> list[str]:
    return [
        json.dumps(
            {
                "type": "Feature",
                "properties": {"id": row, "name": name},
                "geometry": {"type": "Point", "coordinates": [row / 7e4, row / 9e4]},
            }
        )
        for row, name in enumerate(names(rows))
    ]


def shapes(rows: int) -> np.ndarray:
    place = np.arange(rows)
    return shapely.to_wkb(shapely.points(place / 7e4, place / 9e4))


def layer(driver: str, **options: str) -> Callable[[Path, int], Path]:
    def write(path: Path, rows: int) -> Path:
        pyogrio.raw.write(
            str(path),
            geometry=shapes(rows),
            field_data=[np.arange(rows), np.array(names(rows), dtype=object)],
            fields=["id", "name"],
            geometry_type="Point",
            crs="EPSG:4326",
            driver=driver,
            **options,
        )
        return path

    return write


def zipped_shapefile(path: Path, rows: int) -> Path:
    file = layer("ESRI Shapefile")(path.with_suffix(".shp"), rows)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for suffix in (".shp", ".shx", ".dbf", ".prj"):
            archive.write(file.with_suffix(suffix), f"mines{suffix}")
    return path


def parquet(path: Path, rows: int) -> Path:
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.table({"id": np.arange(rows), "name": names(rows), "geometry": pa.array(shapes(rows), pa.binary())})
    table = table.replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(table, path, row_group_size=20_000)
    return path


STREAMING: dict[str, tuple[str, str, Callable[[Path, int], Path]]] = {
    "delimited": ("delimited", "a.csv", delimited),
    "geojson": ("geojson", "a.geojson", collection),
    "geojsonseq": ("geojsonseq", "a.geojsonl", lines),
    "geopackage": ("geopackage", "a.gpkg", layer("GPKG", SPATIAL_INDEX="NO")),
    "shapefile": ("shapefile", "a.shp", layer("ESRI Shapefile")),
    "zipped shapefile": ("shapefile", "a.zip", zipped_shapefile),
    "flatgeobuf": ("flatgeobuf", "a.fgb", layer("FlatGeobuf")),
    "geoparquet": ("geoparquet", "a.parquet", parquet),
}


@pytest.mark.parametrize("case", STREAMING)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, case: str) -> None:
    reader, name, write = STREAMING[case]
    peaks = []
    for times in (10, 100):
        folder = tmp_path / str(times)
        folder.mkdir()
        peaks.append(peak_kib(write(folder / name, times * ROWS), reader, folder, times * ROWS))
    assert peaks[1] <= TOLERANCE * peaks[0], peaks
