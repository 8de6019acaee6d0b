"""Asks whether a record can be where it says: country, area, map sheet and zone; proposes corrections, applies none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyproj import CRS

from pipelines import geodesy
from pipelines.contracts import Position
from pipelines.errors import MineralsError
from pipelines.harmonise.columns import Draft, text_of, tidy

Operations = dict[str, geodesy.Operation]

_SHEET_MARGIN = 0.02
"""Degrees, 2 km, by which a point may lie beyond its sheet: on its border, or by an old datum's shift."""


@dataclass(frozen=True)
class Evidence:
    """What tells where each row of a batch can be.

    Parameters
    ----------
    area : the feed's own.
    countries : code of each row's country as dictionary, null where none is stated; None without outlines.
    sheets : west, south, east, north of each row's map sheets together, not-a-number without; None where none is told.
    """

    area: geodesy.Box | None
    outlines: geodesy.Outlines | None
    countries: pa.DictionaryArray | None
    sheets: np.ndarray | None

    def in_country(self, lon: np.ndarray, lat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Tell which of some rows can be in the country that they state."""
        can = np.ones(len(rows), bool)
        if self.countries is None or self.outlines is None:
            return can
        codes = pc.fill_null(self.countries.indices, -1).to_numpy(zero_copy_only=False)[rows]
        for index, code in enumerate(self.countries.dictionary.to_pylist()):
            mine = codes == index
            if code is not None and mine.any():
                can[mine] = self.outlines.within(code, lon[mine], lat[mine])
        return can

    def on_sheet(self, lon: np.ndarray, lat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Tell which of some rows lie on their map sheet, or have none."""
        if self.sheets is None:
            return np.ones(len(rows), bool)
        west, south, east, north = self.sheets[rows].T
        across = (lon >= west - _SHEET_MARGIN) & (lon <= east + _SHEET_MARGIN)
        return np.isnan(west) | (across & (lat >= south - _SHEET_MARGIN) & (lat <= north + _SHEET_MARGIN))

    def fits(self, lon: np.ndarray, lat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Tell which of some rows agree with everything that is known."""
        on_earth = np.isfinite(lon) & (np.abs(lat) <= 90)
        in_area = on_earth if self.area is None else geodesy.inside(lon, lat, self.area)
        return on_earth & in_area & self.in_country(lon, lat, rows) & self.on_sheet(lon, lat, rows)

    def stretch(self) -> tuple[float, float] | None:
        """Give the west and east end of where all rows can be, by the feed's area or their only country."""
        if self.area is not None:
            return self.area[0], self.area[2]
        if self.outlines is None or self.countries is None or len(self.countries.dictionary) != 1:
            return None
        return self.outlines.stretch(self.countries.dictionary[0].as_py())

    def told(self) -> str:
        """Name what there is to compare with."""
        words = {
            "the country that is stated": self.countries is not None and self.outlines is not None,
            "the feed's area": self.area is not None,
            "the map sheet": self.sheets is not None,
        }
        return " and ".join(word for word, there in words.items() if there)


Proposal = tuple[str, str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]]
"""Rule, what to write into the feed, and the coordinates that it gives."""

Attempt = tuple[str, np.ndarray, tuple[np.ndarray, np.ndarray] | None, str]
"""Rule, rows, the coordinates that are proposed for them where they are only these, and a hint."""

SIMPLE: tuple[Proposal, ...] = (
    ("position.swapped_axes", "swap_xy", lambda x, y: (y, x)),
    ("position.lost_sign", "negate_y", lambda x, y: (x, -y)),
    ("position.lost_sign", "negate_x", lambda x, y: (-x, y)),
    ("position.lost_sign", "negate_x and negate_y", lambda x, y: (-x, -y)),
)


def find_implausible(
    draft: Draft, position: Position, operations: Operations, points: tuple[np.ndarray, np.ndarray] | None
) -> None:
    """Find records that cannot be where they say, and say what would put them right.

    Parameters
    ----------
    points : the coordinates that were transformed, in the source's system; None for shapes.
    """
    evidence = _evidence(draft, position)
    lon, lat = (draft.columns[name].to_numpy(zero_copy_only=False) for name in ("longitude", "latitude"))
    rows = np.flatnonzero(np.isfinite(lon))
    in_country = evidence.in_country(lon[rows], lat[rows], rows)
    on_sheet = evidence.on_sheet(lon[rows], lat[rows], rows)
    foreign, astray = rows[~in_country], rows[~on_sheet]
    explained = np.zeros(draft.rows, bool)
    if points is not None:
        explained = _find_proposals(draft, position, operations, evidence, *points)
        _find_beyond_zone(draft, lon, lat)
    hint = "the point lies outside the country that is stated and what it claims, and no simple mistake explains it"
    _find(draft, "position.outside_country", foreign[~explained[foreign]], (lon, lat), hint)
    hint = (
        f"the point lies off the sheet of {position.sheet_series} that the record names: ask which of the two is right"
    )
    _find(draft, "position.outside_sheet", astray[~explained[astray]], (lon, lat), hint)


def _evidence(draft: Draft, position: Position) -> Evidence:
    countries = draft.columns.get("country")
    if countries is None and position.country is not None:
        indices = pa.repeat(pa.scalar(0, pa.int32()), draft.rows)
        countries = pa.DictionaryArray.from_arrays(indices, pa.array([position.country]))
    if countries is not None and not isinstance(countries, pa.DictionaryArray):
        countries = pc.dictionary_encode(countries)
    outlines = geodesy.load_outlines() if countries is not None else None
    return Evidence(position.area, outlines, countries, _sheets(draft, position))


def _sheets(draft: Draft, position: Position) -> np.ndarray | None:
    """Read each row's sheet numbers, on distinct texts; what is no such number is a finding."""
    if position.sheet is None or position.sheet_series is None:
        return None
    raw = tidy(pc.dictionary_encode(text_of(draft.raw(position.sheet))))
    read = geodesy.SHEETS[position.sheet_series]
    boxes = np.full((len(raw.dictionary) + 1, 4), np.nan)
    strange = np.zeros(len(raw.dictionary) + 1, bool)
    for index, text in enumerate(raw.dictionary.to_pylist()):
        found = [read(part) for part in (text or "").replace(";", ",").split(",") if part.strip()]
        known = [box for box in found if box is not None]
        strange[index] = len(known) < len(found)
        if known and not strange[index]:
            corners = np.array(known)
            boxes[index] = [*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0)]
    at = pc.fill_null(raw.indices, len(raw.dictionary)).to_numpy(zero_copy_only=False)
    hint = f"this is no sheet number of the series {position.sheet_series}"
    draft.find("position.sheet_unreadable", "info", position.sheet, pa.array(strange[at]), raw, hint)
    return boxes[at]


def _find_proposals(
    draft: Draft, position: Position, operations: Operations, evidence: Evidence, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Try what usually goes wrong on the rows in doubt, and give the rows that something explains."""
    lon, lat = (draft.columns[name].to_numpy(zero_copy_only=False) for name in ("longitude", "latitude"))
    explained = _find_copied(draft, x, y)
    given = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & ~explained)
    doubtful = given[~evidence.fits(lon[given], lat[given], given)]
    for rule, rows, proposed, hint in _attempts(draft, operations, evidence, (x, y), doubtful):
        _find(draft, rule, rows, (x, y), hint, proposed)
        explained[rows] = True
    return explained


def _attempts(
    draft: Draft,
    operations: Operations,
    evidence: Evidence,
    points: tuple[np.ndarray, np.ndarray],
    doubtful: np.ndarray,
) -> Iterator[Attempt]:
    """Give each attempt that puts rows where they can be."""
    if not len(doubtful) or not evidence.told():
        return
    left, codes = doubtful, _codes(draft)
    for rule, word, change in SIMPLE:
        x, y = change(points[0][left], points[1][left])
        good = evidence.fits(*_placed(codes[left], x, y, operations), left)
        if good.any():
            hint = f"{word} puts the point into {evidence.told()}; if the partner agrees, say so under corrections"
            yield rule, left[good], (x[good], y[good]), hint
        left = left[~good]
    yield from _other_systems(codes, points, left, evidence)


def _other_systems(
    codes: np.ndarray, points: tuple[np.ndarray, np.ndarray], left: np.ndarray, evidence: Evidence
) -> Iterator[Attempt]:
    """Try other systems; where several would fit, none is proposed and all are named."""
    tried: dict[str, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for rule, code, mine in _systems(codes, points, left, evidence):
        how = {code: _operation(code, evidence.area)}
        lon, lat = _placed(np.full(len(mine), code), points[0][mine], points[1][mine], how)
        good = evidence.fits(lon, lat, mine)
        if good.any():
            tried.setdefault(rule, {})[code] = (mine[good], lon[good], lat[good])
    for rule, found in tried.items():
        rows, counts = np.unique(np.concatenate([each[0] for each in found.values()]), return_counts=True)
        for code, (mine, lon, lat) in found.items():
            only = np.isin(mine, rows[counts == 1])
            hint = (
                f"read as {code}, {CRS(code).name}, the point lies in {evidence.told()}; ask the partner for its system"
            )
            yield rule, mine[only], (lon[only], lat[only]), hint
        hint = f"the point would lie in {evidence.told()} if read as one of {', '.join(sorted(found))}; ask which"
        yield rule, rows[counts > 1], None, hint


def _systems(
    codes: np.ndarray, points: tuple[np.ndarray, np.ndarray], left: np.ndarray, evidence: Evidence
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Give other systems to try: the zones beside a zone, those of the area for metres in columns of degrees."""
    x, y = points[0][left], points[1][left]
    for code in sorted({one for one in codes[left] if one}):
        mine = left[codes[left] == code]
        for other in geodesy.neighbours(code):
            yield "position.wrong_zone", other, mine
        stretch = evidence.stretch()
        if stretch is not None and CRS.from_user_input(code).is_geographic:
            metres = mine[((np.abs(x) > 1000) & (np.abs(y) > 1000))[codes[left] == code]]
            for other in geodesy.utm_zones(*stretch) if len(metres) else ():
                yield "position.metres_in_degrees", other, metres
    unknown = left[codes[left] == ""]
    for other in sorted({one for one in codes if one}) if len(unknown) else ():
        yield "position.crs_proposed", other, unknown


def _operation(code: str, area: geodesy.Box | None) -> geodesy.Operation | None:
    try:
        return geodesy.operation(code, area)
    except MineralsError:
        return None  # a system without an operation in this area explains nothing here


def _codes(draft: Draft) -> np.ndarray:
    """Give each row's system as text, empty where it is not known."""
    crs = draft.columns["source_crs"]
    words = np.array([*(word or "" for word in crs.dictionary.to_pylist()), ""], dtype=object)
    return words[pc.fill_null(crs.indices, len(words) - 1).to_numpy(zero_copy_only=False)]


def _placed(
    codes: np.ndarray, x: np.ndarray, y: np.ndarray, operations: dict[str, geodesy.Operation | None] | Operations
) -> tuple[np.ndarray, np.ndarray]:
    """Transform each point by the operation of its own system."""
    lon, lat = np.full(len(x), np.nan), np.full(len(x), np.nan)
    for code in sorted({one for one in codes if one}):
        how, mine = operations.get(code), codes == code
        if how is not None:
            lon[mine], lat[mine] = geodesy.transform(x[mine], y[mine], how)
    return lon, lat


def _find_copied(draft: Draft, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Find 0, 0, and one coordinate that stands in both columns; neither tells where the record is."""
    zero = (x == 0) & (y == 0)
    copied = (x == y) & ~zero & (x != np.round(x))
    hint = (
        "0, 0 is how some systems write that there is no position; ask the partner, or leave these rows out by a filter"
    )
    _find(draft, "position.zero", np.flatnonzero(zero), (x, y), hint)
    hint = (
        "both coordinates are the same number: one was copied over the other; ask the partner for the one that is lost"
    )
    _find(draft, "position.copied", np.flatnonzero(copied), (x, y), hint)
    return zero | copied


def _find_beyond_zone(draft: Draft, lon: np.ndarray, lat: np.ndarray) -> None:
    """Find points in the ground of another zone than their coordinates count from."""
    crs = draft.columns["source_crs"]
    indices = pc.fill_null(crs.indices, -1).to_numpy(zero_copy_only=False)
    for index, code in enumerate(crs.dictionary.to_pylist()):
        zone = geodesy.zone_of(code) if code else None
        rows = np.flatnonzero((indices == index) & zone.beyond(lon) & np.isfinite(lon)) if zone else np.zeros(0, int)
        if zone is None or not len(rows):
            continue
        ground = sorted({zone.ground(one) for one in np.unique(np.round(lon[rows]))})
        hint = (
            f"read in zone {zone.number} the point lies in the ground of zone {ground}: either the zone was "
            "stretched, and this is right, or the coordinates count from another zone; ask which"
        )
        _find(draft, "position.beyond_zone", rows, (lon, lat), hint)


def _find(
    draft: Draft,
    rule: str,
    rows: np.ndarray,
    points: tuple[np.ndarray, np.ndarray],
    hint: str,
    proposed: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Note rows with their coordinates, and with those that are proposed for them."""
    if not len(rows):
        return
    mask = np.zeros(draft.rows, bool)
    mask[rows] = True
    found = _shown(*(values[rows] for values in points))
    if proposed is not None:
        found = pc.binary_join_element_wise(found, _shown(*proposed), "; proposed ")
    spread = np.full(draft.rows, -1)
    spread[rows] = np.arange(len(rows))
    shown = found.take(pa.array(spread, mask=spread < 0))
    draft.find(rule, "warning", "geometry", pa.array(mask), shown, hint)


def _shown(x: np.ndarray, y: np.ndarray) -> pa.Array:
    """Write coordinates with nine decimals at most, a tenth of a millimetre."""
    texts = (pc.cast(pa.array(np.round(values, 9), mask=np.isnan(values)), pa.string()) for values in (x, y))
    return pc.binary_join_element_wise(*texts, ", ", null_handling="replace")
