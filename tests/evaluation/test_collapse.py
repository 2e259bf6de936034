from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import TrainingError
from suwen.evaluation.collapse import effective_rank, refuse_collapse, spread


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(0, 1000))
def test_equal_directions_count_fully(rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    base = np.linalg.qr(base - base.mean(0))[0][:, :rank]
    base = np.linalg.qr(base - base.mean(0))[0]
    features = base @ np.linalg.qr(rng.normal(size=(16, 16)))[0][:rank] + 3.0
    assert effective_rank(features) == pytest.approx(rank, rel=1e-6)


def test_a_strong_direction_hides_weak_ones() -> None:
    rng = np.random.default_rng(0)
    even = rng.normal(size=(500, 10))
    assert effective_rank(even) > 9.5 > 5 > effective_rank(even * np.array([100, *[1] * 9]))


def test_constant_features_have_no_rank_and_no_spread() -> None:
    same = np.tile(np.arange(1.0, 9.0), (20, 1))
    assert effective_rank(same) == 0 and spread(same) < 1e-9
    with pytest.raises(TrainingError, match="collapsed in epoch 3") as refused:
        refuse_collapse(effective_rank(same), spread(same), epoch=3)
    assert "image-contrastive" in refused.value.fix


def test_evenly_spread_features_have_a_spread_of_1() -> None:
    assert spread(np.random.default_rng(0).normal(size=(4000, 64))) == pytest.approx(1, abs=0.02)
    refuse_collapse(20.0, 1.0, epoch=1)
