from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from suwen.data.resample import nearest, resampled


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_what_is_even_stays_even(height: int, width: int, rows: int, columns: int) -> None:
    found = resampled(np.full((2, height, width), 77, np.uint8), (rows, columns))
    assert found.shape == (2, rows, columns) and (found == 77).all() and found.dtype == np.uint8


def test_a_slope_keeps_its_place() -> None:
    slope = np.linspace(0, 1, 40, dtype=np.float32)[None, :, None] * np.ones((1, 40, 40), np.float32)
    half = resampled(slope, (20, 20))[0, :, 0]
    expected = (np.arange(20) * 2 + 0.5) / 39
    assert np.allclose(half[2:-2], expected[2:-2], atol=0.01)


@given(st.integers(1, 30), st.integers(1, 60))
def test_codes_stay_codes(side: int, other: int) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (side, side)).astype(np.uint8)
    found = nearest(codes, (other, other))
    assert set(np.unique(found)) <= set(np.unique(codes))


def test_there_and_back_at_a_whole_factor_changes_no_code() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (9, 7, 5)).astype(np.uint8)
    assert (nearest(nearest(codes, (27, 21, 15)), codes.shape) == codes).all()
