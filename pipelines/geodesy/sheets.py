"""Map-sheet numbers as boxes of degrees: India's and Adjacent Countries series, Australia's 1:250 000."""

import re
from collections.abc import Callable, Mapping

from pipelines.geodesy.coordinates import Box

_INDIA = re.compile(r"^\s*(\d{1,3})\s*([A-P])(?:\s*[/\-]?\s*(\d{1,2}))?\s*$", re.IGNORECASE)
_AUSTRALIA = re.compile(r"^\s*S([A-K])[\s_\-/]*(\d{2})[\s_\-/]*(\d{1,2})\s*$", re.IGNORECASE)

_INDIAN_COLUMNS = (
    (38, 41, 68, 36),
    (42, 50, 72, 40),
    (51, 59, 76, 40),
    (60, 68, 80, 40),
    (69, 74, 84, 40),
    (77, 79, 88, 32),
    (82, 88, 92, 32),
    (91, 92, 96, 32),
)
"""First and last sheet of a column of 4 by 4 degrees, its west edge, and the north edge of the first.

Survey of India, India and Adjacent Countries series. Agrees with Delhi 53H, Kolkata 79B, Chennai 66C, Mumbai 47A,
Srinagar 43J, Port Blair 87A, Guwahati 78N, Bhuj 41E, and with the blocks of GSI's own exports."""


def indian_sheet(number: str) -> Box | None:
    """Give the box of a sheet: ``58A`` is one degree, ``58A/7`` or ``58A07`` a quarter of one.

    Letters and quarters run down the columns, from the north-west corner. None where it is no such number.

    >>> indian_sheet("53H/2")
    (77.0, 28.5, 77.25, 28.75)
    """
    read = _INDIA.match(number)
    if not read:
        return None
    sheet, letter, quarter = int(read[1]), ord(read[2].upper()) - ord("A"), int(read[3] or 0)
    column = next((one for one in _INDIAN_COLUMNS if one[0] <= sheet <= one[1]), None)
    if column is None or quarter > 16 or (read[3] and quarter < 1):
        return None
    west, north = column[2] + letter // 4, column[3] - 4 * (sheet - column[0]) - letter % 4
    if not quarter:
        return float(west), north - 1.0, west + 1.0, float(north)
    left, top = west + (quarter - 1) // 4 * 0.25, north - (quarter - 1) % 4 * 0.25
    return left, top - 0.25, left + 0.25, top


def australian_sheet(number: str) -> Box | None:
    """Give the box of a 1:250 000 sheet, ``SE55-14``: one degree high, one and a half wide.

    The letter is a band of 4 degrees south of the equator, then comes the zone of 6 degrees, then one of 16 sheets in
    rows from the north-west corner (Geoscience Australia, National Topographic Map Series). None where it is no such
    number.

    >>> australian_sheet("SE55-14")
    (145.5, -20.0, 147.0, -19.0)
    """
    read = _AUSTRALIA.match(number)
    if not read:
        return None
    band, zone, sheet = ord(read[1].upper()) - ord("A"), int(read[2]), int(read[3])
    if not (47 <= zone <= 58 and 1 <= sheet <= 16):
        return None
    west = (zone - 31) * 6.0 + (sheet - 1) % 4 * 1.5
    north = -4.0 * band - (sheet - 1) // 4
    return west, north - 1.0, west + 1.5, north


SHEETS: Mapping[str, Callable[[str], Box | None]] = {
    "india-and-adjacent-countries": indian_sheet,
    "australia-250k": australian_sheet,
}
"""Series of maps by the name that a feed gives them."""
