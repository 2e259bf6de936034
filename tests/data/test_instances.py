from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.instances import numbered, touching


def test_objects_get_the_numbers_from_one_on() -> None:
    ids = np.array([[0, 7, 7], [300, 0, 7]], np.uint16)
    assert numbered(ids).tolist() == [[0, 1, 1], [2, 0, 1]]
    assert numbered(ids[:, 1:2]).tolist() == [[1], [0]] and numbered(np.full((1, 2), 9)).tolist() == [[1, 1]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 3))
@settings(max_examples=30, deadline=None)
def test_what_touches_has_another_object_beside_it(seed: int, count: int, dims: int) -> None:
    ids = np.random.default_rng(seed).integers(0, count + 1, (5,) * dims).astype(np.int32)
    expected = np.zeros(ids.shape, bool)
    for place in np.ndindex(*ids.shape):
        beside = ids[tuple(slice(max(0, at - 1), at + 2) for at in place)]
        expected[place] = ids[place] > 0 and bool(((beside > 0) & (beside != ids[place])).any())
    assert np.array_equal(touching(ids), expected)
