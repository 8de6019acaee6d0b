"""Datum grids that stand beside the product, used where MINERALS_GRIDS names their folder and nowhere else."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
from pyproj import datadir

from pipelines.errors import ContractError
from pipelines.settings import Settings

PROJ_FOLDER = "proj"
"""Subfolder with grids under the names that PROJ knows them by; any that PROJ looks for may be put there."""

OSTN15 = "OSTN15"
"""The grid of Great Britain, which comes inside a library (convertbng) and not as a file."""

Shift = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def folder() -> Path | None:
    """Give the folder of grids, or None where none is set.

    Raises
    ------
    ContractError
        If the setting names no folder.
    """
    found = Settings.from_environment().grids
    if found is not None and not found.is_dir():
        raise ContractError(f"MINERALS_GRIDS: there is no folder {found}; `make grids` fills .grids")
    return found


def use() -> None:
    """Let PROJ find the grids; done once in a process for each folder."""
    found = folder()
    if found is not None:
        _append(found / PROJ_FOLDER)


@lru_cache(maxsize=8)
def _append(files: Path) -> None:
    if files.is_dir():
        datadir.append_data_dir(str(files))


def ostn15() -> Shift | None:
    """Give the shift from OSGB36 to ETRS89 national grid coordinates (m), or None where OSTN15 is not there.

    Outside Great Britain the shift gives not-a-number.
    """
    found = folder()
    return _load_ostn15(found) if found is not None else None


@lru_cache(maxsize=8)
def _load_ostn15(found: Path) -> Shift | None:
    spec = PathFinder.find_spec("convertbng", [str(found)])
    if spec is None or spec.loader is None:
        return None
    package = importlib.util.module_from_spec(spec)
    sys.modules["convertbng"] = package
    spec.loader.exec_module(package)
    library = importlib.import_module("convertbng.cutil")
    shift: Shift = library.convert_osgb36_to_etrs89
    return shift


def installed() -> dict[str, str]:
    """Name what positions may be computed with: SHA-256 of each grid file, and the release of OSTN15's library."""
    found = folder()
    if found is None:
        return {}
    files = {path.name: _sha256(path.resolve()) for path in sorted((found / PROJ_FOLDER).glob("*")) if path.is_file()}
    libraries = {each.name: each.version for each in distributions(path=[str(found)])}
    return files | ({OSTN15: f"convertbng {libraries['convertbng']}"} if "convertbng" in libraries else {})


@lru_cache(maxsize=64)
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
