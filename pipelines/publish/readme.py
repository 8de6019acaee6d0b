"""The page in plain words that lies beside a release's data."""

from pipelines.publish.manifest import DICTIONARY, MANIFEST, DatasetEntry, Draft

README = "README.txt"
PAGE = """{title}, release {number}

Each folder is one dataset, as Parquet files. Beside it lies the same dataset as a GeoPackage (.gpkg), where it has
rows and is not too large for one. Positions are longitude and latitude in degrees (OGC:CRS84).

{datasets}

{dictionary} says what every column means, its unit, and who may see it by default.
{manifest} says what was delivered by whom, what became of every row, under which licences the rows stand and whom to
name, and the SHA-256 of every file. This release holds rows of every tier, restricted and embargoed ones too: do not
pass it on as it is.

Counting and adding up: a dataset's grain, given above, says what one row is. Rows of different registers may tell of
the same site.

DuckDB
    SELECT record_id, geometry FROM '{example}/*.parquet'
    WHERE bbox.xmin <= 90 AND bbox.xmax >= 70 AND bbox.ymin <= 30 AND bbox.ymax >= 8;

Python
    import geopandas
    rows = geopandas.read_parquet("{example}", bbox=(70, 8, 90, 30))
    Use pandas.read_parquet for a dataset without positions.

QGIS
    Drag the .gpkg file onto the map, or, in a QGIS whose GDAL reads Parquet, a .parquet file.
"""


def readme(draft: Draft, number: int) -> bytes:
    """Write the page of one release."""
    positioned = [entry.dataset.name for entry in draft.datasets if entry.dataset.geometry]
    names = positioned or [entry.dataset.name for entry in draft.datasets] or ["dataset"]
    page = PAGE.format(
        title=draft.options.title,
        number=number,
        datasets="\n".join(_line(entry) for entry in draft.datasets),
        dictionary=DICTIONARY,
        manifest=MANIFEST,
        example=names[0],
    )
    return page.encode()


def _line(entry: DatasetEntry) -> str:
    return f"    {entry.dataset.name}: {entry.dataset.title}; {entry.rows} rows, one row is {entry.dataset.grain}"
