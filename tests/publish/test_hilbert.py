"""Keys along the curve bring neighbours together."""

import numpy as np
import pytest

from pipelines.publish import hilbert


@pytest.mark.parametrize("side", [2, 4, 16, 64, 256])
def test_the_curve_visits_every_cell_and_never_jumps(side: int) -> None:
    column, row = (grid.ravel() for grid in np.meshgrid(np.arange(side), np.arange(side)))
    keys = hilbert.keys((column + 0.5) / side * 360 - 180, (row + 0.5) / side * 180 - 90)
    order = np.argsort(keys)
    steps = abs(np.diff(column[order])) + abs(np.diff(row[order]))
    assert len(np.unique(keys)) == side * side
    assert (steps == 1).all()


def test_what_has_no_position_comes_last_and_nothing_else_does() -> None:
    keys = hilbert.keys(np.array([np.nan, 180.0, 999.0, -999.0]), np.array([0.0, -90.0, -999.0, 999.0]))
    assert keys[0] == hilbert.LAST
    assert (keys[1:] < hilbert.LAST).all()


def test_positions_a_metre_apart_have_different_keys() -> None:
    keys = hilbert.keys(np.array([77.0, 77.00001]), np.array([28.0, 28.0]))
    assert keys[0] != keys[1]
