"""Where a country can be: its outline together with everything it claims, so that no partner's point is foreign."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from pipelines.errors import ContractError
from pipelines.settings import PROJECT, Settings

CLAIMS = PROJECT / "schemas" / "claims.csv"
GENERALISED = 0.05
"""Degrees by which an outline at 1:10 million may be off: half a millimetre on the map, 5 km."""

SIMPLIFIED = 0.02
"""Degrees by which outlines are simplified before they are widened, which makes the check a hundred times faster."""

_CODES = ("ISO_A2_EH", "ISO_A2")
_FIELDS = [*_CODES, "SOV_A3", "HOMEPART"]


@dataclass(frozen=True, eq=False)
class Outlines:
    """Outlines by country code (ISO 3166-1, lower case), with claims and dependent territories."""

    shapes: Mapping[str, tuple[shapely.Geometry, ...]]

    def within(self, country: str, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Tell which points can be in a country, coasts and borders taken widely; all where it has no outline."""
        if country not in self.shapes:
            return np.ones(len(lon), bool)
        return shapely.contains_xy(_widened(self, country), lon, lat)

    def stretch(self, country: str) -> tuple[float, float] | None:
        """Give the west and east end of a country, degrees, or None where it has no outline."""
        if country not in self.shapes:
            return None
        west, _, east, _ = _widened(self, country).bounds
        return west, east


@lru_cache(maxsize=64)
def _widened(outlines: Outlines, country: str) -> shapely.Geometry:
    """Join a country's parts, wider by what their generalisation may hide."""
    parts = shapely.simplify(np.array(outlines.shapes[country]), SIMPLIFIED, preserve_topology=True)
    shape = shapely.union_all(shapely.buffer(parts, GENERALISED + SIMPLIFIED, quad_segs=2))
    shapely.prepare(shape)
    return shape


def load_outlines() -> Outlines | None:
    """Read the country outlines of the setting MINERALS_OUTLINES, or None where none are installed.

    Raises
    ------
    ContractError
        If the file is there and is no file of country outlines.
    """
    path = Settings.from_environment().outlines
    return _read(path, _stamp(path), _stamp(CLAIMS)) if path.is_file() else None


def outlines_digest() -> str | None:
    """Give the SHA-256 of outlines and claims, or None where no outlines are installed."""
    path = Settings.from_environment().outlines
    return _digest(path, _stamp(path), _stamp(CLAIMS)) if path.is_file() else None


def _stamp(path: Path) -> tuple[int, int]:
    told = path.stat() if path.is_file() else None
    return (told.st_mtime_ns, told.st_size) if told else (0, 0)


@lru_cache(maxsize=4)
def _digest(path: Path, _outlines: tuple[int, int], _claims: tuple[int, int]) -> str:
    return hashlib.sha256(path.read_bytes() + CLAIMS.read_bytes()).hexdigest()


@lru_cache(maxsize=4)
def _read(path: Path, _outlines: tuple[int, int], _claims: tuple[int, int]) -> Outlines:
    import pyogrio  # loads GDAL, which only a process that places records needs

    name = f"/vsizip/{path}" if path.suffix == ".zip" else str(path)
    try:
        there = set(pyogrio.read_info(name)["fields"])
        about, table = pyogrio.read_arrow(name, columns=[word for word in _FIELDS if word in there])
    except (pyogrio.errors.DataSourceError, ValueError) as error:
        raise ContractError(f"MINERALS_OUTLINES: {path.name} holds no country outlines: {error}") from error
    if not set(_CODES) & there:
        raise ContractError(f"MINERALS_OUTLINES: {path.name} has no column {' or '.join(_CODES)} of country codes")
    shapes = shapely.from_wkb(table.column(about["geometry_name"] or "wkb_geometry").to_numpy())
    rows = table.select([word for word in _FIELDS if word in there]).to_pylist()
    parts: dict[str, list[shapely.Geometry]] = {}
    for code, shape in [*_by_country(rows, shapes), *_claimed()]:
        parts.setdefault(code, []).append(shape)
    return Outlines({code: tuple(each) for code, each in parts.items()})


def _by_country(rows: list[dict[str, Any]], shapes: np.ndarray) -> list[tuple[str, shapely.Geometry]]:
    """Give every shape to its own country, and that of a dependent territory to the sovereign too."""
    texts = [[str(row.get(name) or "").lower() for name in _CODES] for row in rows]
    codes = [next((text for text in each if len(text) == 2), "") for each in texts]
    sovereigns = [row.get("SOV_A3") for row in rows]
    at_home = [bool(code) and row.get("HOMEPART") == 1 for row, code in zip(rows, codes, strict=True)]
    home = {name: code for name, code, is_home in zip(sovereigns, codes, at_home, strict=True) if name and is_home}
    pairs = {(code, index) for index, code in enumerate(codes) if code}
    pairs |= {(home[name], index) for index, name in enumerate(sovereigns) if name in home}
    return [(code, shapes[index]) for code, index in sorted(pairs)]


def _claimed() -> list[tuple[str, shapely.Geometry]]:
    """Read the areas that countries claim; each is generous, for a check that must never call a claimant foreign."""
    with CLAIMS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(code, shapely.from_wkt(row["wkt"])) for row in rows for code in row["countries"].split("|")]
