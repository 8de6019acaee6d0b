"""Mineral occurrences as a register might deliver them, with what registers get wrong; a seed repeats them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SEED = 20261124
CHUNK_ROWS = 250_000
CLUSTERS = 500

ZONE_55 = "EPSG:28355"
BRITISH_GRID = "EPSG:27700"
EXTENTS = {
    ZONE_55: (250_000.0, 750_000.0, 5_700_000.0, 7_800_000.0),
    BRITISH_GRID: (150_000.0, 600_000.0, 50_000.0, 900_000.0),
}
"""Easting from and to, northing from and to (m), well inside both systems."""

COMMODITIES = (
    "Au", "Cu", "W", "Sn", "Pb", "Zn", "Ag", "Ni", "Co", "Li", "U", "Fe", "Mn", "REE", "Mo", "Sb", "Bi", "Ti", "Zr",
    "V", "Cr", "PGE", "gold", "Copper", "tungsten", "LEAD", "Tin ", "rare earths", "Lithium", "Graphite", "antimony",
    "cobalt",
)  # fmt: skip
STRANGE_COMMODITIES = ("unobtanium", "polymetals", "Hill stone")
SEPARATORS = (", ", "; ", "/", " & ", ",")
KINDS = (
    "Occurrence",
    "mineral occurrence",
    "Prospect",
    "deposit",
    "Mineral Deposit",
    "mine",
    "Past Producer",
    "showing",
)
STATUSES = (
    "active", "Operating", "ABANDONED", "care & maintenance", "Historic", "past producer", "closed", "undeveloped",
    "Care and Maintenance", "feasibility", None,
)  # fmt: skip
DEPOSITS = (
    "Algoma-type banded iron formation", "algoma type Banded Iron formation", "Abyssal pegmatite REE",
    "Albitite-hosted uranium", "albitite hosted uranium", None, None,
)  # fmt: skip
ROCKS = ("granite", "basalt", "schist", "slate", "limestone", "sandstone", "gneiss", "dolerite")
STATES = ("weathered", "fine", "coarse", "massive", "sheared", "altered")
AGES = ("Archaean", "Cambrian", "Ordovician", "Silurian", "Devonian", "Permian", "Tertiary", "Quaternary", None)
METHODS = ("GPS", "differential GPS", "map 1:100 000", "survey", "aerial photograph", None)
ACCURACIES = ("10", "50", "100", "250", "1000", None)
UNITS = ("ppm", "PPM", "g/t", "grams per tonne", "ppb", "%", "pct", "kg/t")
WORDS = (
    "Mount", "North", "South", "King", "Lake", "Creek", "Ridge", "Prospect", "Mine", "Reef", "Shaft", "Hill", "Gully",
    "Star", "Hope", "Black", "Red", "Long", "Great", "Wheal", "Consols", "United", "Deep", "Extended",
)  # fmt: skip


def make(folder: Path, rows: int, seed: int = SEED) -> Path:
    """Write `rows` occurrences as CSV, once; the same seed and size give the same bytes.

    One row in two stands in GDA94 / MGA zone 55 and the others in the British National Grid. About 0.15 % have no
    readable position, 0.05 % repeat the id of another row and 0.02 % repeat a whole row.

    Returns
    -------
    The file, ``occurrences.csv`` in a folder named by size and seed.
    """
    path = folder / f"{rows}-{seed}" / "occurrences.csv"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as sink:
        for start in range(0, rows, CHUNK_ROWS):
            chunk = _chunk(start, min(CHUNK_ROWS, rows - start), np.random.default_rng([seed, start]))
            if start == 0:
                sink.write(",".join(chunk.column_names).encode() + b"\n")
            sink.writelines(_lines(chunk))
    partial.rename(path)
    return path


def _chunk(start: int, rows: int, random: np.random.Generator) -> pa.Table:
    ids = _ids(start, rows, random)
    systems = random.integers(0, 2, rows)
    easting, northing = _coordinates(systems, random)
    columns = {
        "occurrence_id": pc.binary_join_element_wise("OCC", pc.utf8_lpad(pc.cast(ids, pa.string()), 9, "0"), ""),
        "agency": _pick(("GSV", "GSNSW", "GSQ", "BGS", "GA"), rows, random),
        "site_name": _sprinkle(_names(rows, 2, random), [None], 0.002, random),
        "other_names": _sprinkle(_names(rows, 1, random), [None], 0.5, random),
        "crs": pa.array([ZONE_55, BRITISH_GRID]).take(pa.array(systems)),
        "easting": _sprinkle(_sprinkle(_decimals(easting, 1), [None], 0.001, random), ["unknown"], 0.0005, random),
        "northing": _decimals(northing, 1),
        "elevation": _decimals(random.normal(300, 120, rows), 1),
        "accuracy_m": _pick(ACCURACIES, rows, random),
        "location_method": _pick(METHODS, rows, random),
        "commodities": _pick(_commodity_lists(random), rows, random),
        "main_commodity": _sprinkle(_pick(COMMODITIES, rows, random), STRANGE_COMMODITIES, 0.01, random),
        "deposit_type": _sprinkle(_pick(DEPOSITS, rows, random), ["lode (unclassified)"], 0.01, random),
        "kind": _pick(KINDS, rows, random),
        "status": _sprinkle(_pick(STATUSES, rows, random), ["dormant?", "see file"], 0.01, random),
        "country": pa.array(["Australia", "United Kingdom"]).take(pa.array(systems)),
        "host_rock": _pick([f"{state} {rock}" for state in STATES for rock in ROCKS], rows, random),
        "age": _pick(AGES, rows, random),
        **_grades("grade_1", rows, random),
        **_grades("grade_2", rows, random),
        "tonnage": _decimals(np.exp(random.normal(10, 2, rows)), 0),
        "discovered": _dates(0, 14_200, rows, random),
        "last_visit": _dates(14_000, 20_000, rows, random),
        "tenement": _numbered("EL", random.integers(1000, 9999, rows)),
        "map_sheet": _numbered("sheet ", random.integers(7000, 9000, rows)),
        "report": _numbered("GS", random.integers(195_000, 202_600, rows)),
        "url": pc.binary_join_element_wise("https://data.example.org/occurrence/", pc.cast(ids, pa.string()), ""),
        "remarks": _names(rows, 6, random),
    }
    return _with_repeats(pa.table(columns), random)


def _lines(table: pa.Table) -> Iterator[pa.Buffer]:
    """Write rows as lines; only what holds a comma is quoted, and what is absent is empty."""
    for batch in table.to_batches():
        cells = [
            _quoted(column) if pc.any(pc.match_substring(column, ",")).as_py() else column for column in batch.columns
        ]
        lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace")
        whole = pc.binary_join_element_wise(lines, "", "\n")
        first, last = whole.offset, whole.offset + len(whole)
        offsets = np.frombuffer(whole.buffers()[1], np.int32)
        yield whole.buffers()[2].slice(offsets[first], offsets[last] - offsets[first])


def _quoted(column: pa.Array) -> pa.Array:
    marked = pc.binary_join_element_wise(pa.scalar('"'), column, pa.scalar('"'), "")
    return pc.if_else(pc.match_substring(column, ","), marked, column)


def _ids(start: int, rows: int, random: np.random.Generator) -> pa.Array:
    ids = np.arange(start + 1, start + rows + 1)
    again = random.choice(rows, rows // 2000, replace=False)
    ids[again] = random.integers(1, start + rows, len(again))
    return pa.array(ids)


def _with_repeats(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """Replace a few rows by whole copies of the row before."""
    places = np.arange(table.num_rows)
    chosen = random.choice(np.arange(1, table.num_rows), table.num_rows // 5000, replace=False)
    places[chosen] -= 1
    return table.take(pa.array(places))


def _coordinates(systems: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give eastings and northings (m): half of them spread evenly, half in clusters of 4 km."""
    bounds = np.array([EXTENTS[ZONE_55], EXTENTS[BRITISH_GRID]])[systems]
    centres = random.random((CLUSTERS, 2))[random.integers(0, CLUSTERS, len(systems))]
    spread = random.random((len(systems), 2))
    clustered = random.random(len(systems)) < 0.5
    share = np.where(clustered[:, None], centres, spread)
    shift = random.normal(0, 4000, (len(systems), 2)) * clustered[:, None]
    easting = bounds[:, 0] + share[:, 0] * (bounds[:, 1] - bounds[:, 0]) + shift[:, 0]
    northing = bounds[:, 2] + share[:, 1] * (bounds[:, 3] - bounds[:, 2]) + shift[:, 1]
    return easting, northing


def _grades(name: str, rows: int, random: np.random.Generator) -> dict[str, pa.Array]:
    """Give results as laboratories write them: 15 % below a limit, 15 % absent, 1 % in words."""
    numbers = _decimals(np.exp(random.normal(0, 1.5, rows)), 2)
    below = pa.array(random.random(rows) < 0.15)
    written = pc.if_else(below, pc.binary_join_element_wise("<", numbers, ""), numbers)
    written = _sprinkle(_sprinkle(written, ["trace", "n/a"], 0.01, random), [None], 0.15, random)
    return {name: written, f"{name}_unit": _sprinkle(_pick(UNITS, rows, random), ["oz"], 0.002, random)}


def _dates(first: int, last: int, rows: int, random: np.random.Generator) -> pa.Array:
    """Give days, counted from 1970-01-01: 74 % as 1999-12-31, the others as 31/12/1999, a few absent or unreadable."""
    plain = np.datetime_as_string(np.datetime64("1970-01-01") + np.arange(first, last))
    turned = np.array([f"{day[8:]}/{day[5:7]}/{day[:4]}" for day in plain])
    layouts = pa.array(np.concatenate([plain, turned, ["1899", "c. 1930"]]))
    places = random.integers(0, len(plain), rows) + len(plain) * (random.random(rows) < 0.26)
    places = np.where(random.random(rows) < 0.005, 2 * len(plain) + random.integers(0, 2, rows), places)
    return _sprinkle(layouts.take(pa.array(places)), [None], 0.04, random)


def _commodity_lists(random: np.random.Generator) -> list[str]:
    """Give 3,000 ways to write one to four commodities; 3 % of them name one that nobody knows."""
    lists = []
    for _ in range(3000):
        chosen = list(random.choice(COMMODITIES, random.integers(1, 5), replace=False))
        if random.random() < 0.03:
            chosen.append(str(random.choice(STRANGE_COMMODITIES)))
        text = chosen[0]
        for word in chosen[1:]:
            text += SEPARATORS[random.integers(0, len(SEPARATORS))] + word
        lists.append(text)
    return lists


def _names(rows: int, count: int, random: np.random.Generator) -> pa.Array:
    pool = pa.array([f"{word} {number}" if number else word for number in range(120) for word in WORDS])
    chosen = [pool.take(pa.array(random.integers(0, len(pool), rows))) for _ in range(count)]
    return pc.binary_join_element_wise(*chosen, " ") if count > 1 else chosen[0]


def _pick(words: Sequence[str | None], rows: int, random: np.random.Generator) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(random.integers(0, len(words), rows)))


def _sprinkle(values: pa.Array, words: Sequence[str | None], share: float, random: np.random.Generator) -> pa.Array:
    """Put other words in the place of a share of the values."""
    return pc.if_else(pa.array(random.random(len(values)) < share), _pick(words, len(values), random), values)


def _decimals(numbers: np.ndarray, places: int) -> pa.Array:
    rounded = np.round(numbers, places)
    return pc.cast(pa.array(rounded.astype(np.int64) if places == 0 else rounded), pa.string())


def _numbered(prefix: str, numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pc.cast(pa.array(numbers), pa.string()), "")
