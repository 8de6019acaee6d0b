"""Where a position falls on a Hilbert curve over the world, by which neighbours on the ground stay near in a file.

The curve is walked four levels at a time by a table. It has four orientations which undo themselves and combine by
exclusive or: as it is, mirrored in one diagonal (1), mirrored in the other (2), and turned by half (3).
"""

from functools import cache

import numpy as np

LEVELS = 32
STEP = 4
LAST = np.uint64(2**64 - 1)
"""Key of what has no position; no position on the ground is given it."""

ORDER = ((0, 0, 1), (0, 1, 0), (1, 1, 0), (1, 0, 2))
"""Quadrants (x, y) in the order of the curve, and the orientation of the curve inside each."""


def keys(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Give each position's place on the curve.

    Parameters
    ----------
    longitude, latitude : degrees; NaN where there is no position.

    Returns
    -------
    Unsigned 64-bit integers; LAST where there is no position. Cells are 360 / 2**32 by 180 / 2**32 degrees.

    >>> keys(np.array([-180.0, 179.9, np.nan]), np.array([-90.0, -90.0, 0.0])).tolist()[::2]
    [0, 18446744073709551615]
    """
    places, orientations = _tables()
    x, y = _cells(longitude, 360.0), _cells(latitude, 180.0)
    key = np.zeros(len(x), np.int64)
    orientation = np.zeros(len(x), np.int64)
    mask = 2**STEP - 1
    for level in range(LEVELS - STEP, -1, -STEP):
        here = (orientation << 2 * STEP) | ((x >> level & mask) << STEP) | (y >> level & mask)
        key = (key << 2 * STEP) | places[here]
        orientation = orientations[here]
    found = np.minimum(key.view(np.uint64), LAST - np.uint64(1))
    return np.where(np.isnan(longitude) | np.isnan(latitude), LAST, found)


def _cells(degrees: np.ndarray, span: float) -> np.ndarray:
    """Give the number of the cell along one axis; what lies outside falls into the outermost cell."""
    share = np.nan_to_num(degrees / span + 0.5)
    return np.clip(share * 2.0**LEVELS, 0, 2**LEVELS - 1).astype(np.int64)


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Tabulate, per orientation and cell of a 16 by 16 square, the place on the curve and the orientation inside."""
    quadrant = np.zeros((2, 2), np.int64)
    inside = np.zeros((2, 2), np.int64)
    for place, (x, y, turn) in enumerate(ORDER):
        quadrant[x, y], inside[x, y] = place, turn
    cells = np.arange(4 * 4**STEP)
    orientation = cells >> 2 * STEP
    places = np.zeros_like(cells)
    for level in range(STEP - 1, -1, -1):
        column, row = _turned(cells >> STEP + level & 1, cells >> level & 1, orientation)
        places = (places << 2) | quadrant[column, row]
        orientation = orientation ^ inside[column, row]
    return places, orientation


def _turned(x: np.ndarray, y: np.ndarray, orientation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn quadrants from the ground into the curve's own, or back, which is the same."""
    swapped = (orientation == 1) | (orientation == 2)
    opposite = orientation >> 1
    return np.where(swapped, y, x) ^ opposite, np.where(swapped, x, y) ^ opposite
