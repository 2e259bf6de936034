from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.explanation.truth import hit, overlap


def square(row: int, column: int, side: int = 4, size: int = 64) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[row : row + side, column : column + side] = True
    return mask


def peak(row: int, column: int, size: int = 64) -> np.ndarray:
    found = np.zeros((size, size))
    found[row, column] = 1
    return found


@pytest.mark.parametrize(("row", "expected"), [(10, 1), (13, 1), (15, 1), (16, 0), (8, 1), (7, 0)])
def test_a_point_may_miss_by_three_percent_of_the_side(row: int, expected: float) -> None:
    assert hit(peak(row, 11), square(10, 10)) == expected


def test_points_equally_high_count_with_their_share() -> None:
    both = peak(11, 11) + peak(40, 40)
    assert hit(both, square(10, 10)) == 0.5
    assert hit(np.zeros((64, 64)), square(0, 0, 32), tolerance=0) == pytest.approx(0.25)


def test_overlap_of_the_mask_with_itself_and_with_another_place() -> None:
    mask = square(10, 10)
    assert overlap(mask.astype(float), mask) == 1
    assert overlap(square(30, 30).astype(float), mask) == 0
    assert overlap(square(10, 12).astype(float), mask) == pytest.approx(8 / 24)
    assert overlap(mask.astype(float), np.zeros((64, 64), bool)) == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_overlap_is_that_of_the_highest_points(seed: int, side: int) -> None:
    one, mask = np.random.default_rng(seed).random((32, 32)), square(3, 5, side, 32)
    top = np.zeros(1024, bool)
    top[np.argsort(-one.ravel())[: mask.sum()]] = True
    top = top.reshape(32, 32)
    assert overlap(one, mask) == pytest.approx((top & mask).sum() / (top | mask).sum())
