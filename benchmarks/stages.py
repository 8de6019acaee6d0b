"""The processes that are compared: a plain conversion, the line, and the audit; each is run by name.

The line's stages are timed by clocks set in front of its functions, so that it runs the very code of an ingest.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from pipelines.settings import PROJECT, Settings

FEED = "bench_occurrences"
DATASET = "bench_occurrence"
OWN = Path(__file__).parent / "schemas"


def installation(home: Path, drop: Path) -> Settings:
    """Give the settings of an installation whose contracts are the benchmark's and whose vocabularies are the project's."""
    schemas = home / "schemas"
    shutil.copytree(PROJECT / "schemas" / "vocabularies", schemas / "vocabularies", dirs_exist_ok=True)
    shutil.copytree(OWN, schemas, dirs_exist_ok=True)
    for name in ("columns.yml", "release.yml"):
        shutil.copyfile(PROJECT / "schemas" / name, schemas / name)
    return Settings(home=home, drop=drop, schemas=schemas, catalogue_url=f"sqlite:///{home / 'catalogue.db'}")


def convert(source: Path, home: Path) -> dict[str, Any]:
    """Convert the file to Parquet with DuckDB, every column as text: the floor."""
    import duckdb  # each process loads only what it measures

    target = home / "plain.parquet"
    duckdb.sql(
        f"COPY (SELECT * FROM read_csv('{source}', all_varchar=true)) "  # noqa: S608 - both paths are ours
        f"TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
    )
    return {"bytes": target.stat().st_size}


def line(source: Path, home: Path, twin_rows: int = 0) -> dict[str, Any]:
    """Take the file through land, read, harmonise, validate, split, publish and verify.

    Parameters
    ----------
    twin_rows : the release gets a GeoPackage too if it has no more rows than this.
    """
    from pipelines import publish as publishing
    from pipelines.flow import conform, land_feed
    from pipelines.flow import conform as _  # noqa: F401
    from pipelines.flow import split as splitting
    from pipelines.publish import ordering
    from pipelines.store import LocalStore

    raise NotImplementedError
