from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from suwen.heads import inner_folds as module
from suwen.heads.inner_folds import inner_folds, log_loss, some_rows


@given(st.integers(4, 80), st.integers(1, 30), st.integers(0, 5))
def test_a_group_is_in_one_fold_and_folds_are_even(rows: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, group = rng.integers(0, 3, rows), rng.integers(0, groups, rows)
    fold = inner_folds(target, group, seed=seed)
    assert all(len(set(fold[group == one])) == 1 for one in np.unique(group))
    dealt = np.bincount([fold[group == one][0] for one in np.unique(group)])
    assert dealt.max() - dealt.min() <= 1


def test_each_label_is_spread_evenly() -> None:
    target = np.array([1] * 10 + [0] * 90)
    fold = inner_folds(target, np.arange(100), seed=0)
    assert np.bincount(fold[target == 1]).tolist() == [2] * 5
    flags = np.zeros((100, 2), int)
    flags[:, 0], flags[:10, 1] = 1, 1
    assert np.bincount(inner_folds(flags, np.arange(100), seed=0)[:10]).tolist() == [2] * 5


def test_settings_of_large_tables_are_chosen_on_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 50)
    group = np.repeat(np.arange(40), 5)
    rows = some_rows(200, group, seed=0)
    assert len(rows) == 50 and set(np.bincount(group[rows])) <= {0, 5}
    assert len(some_rows(30, group[:30], seed=0)) == 30


def test_log_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=50), rng.integers(0, 2, 50)
    assert log_loss(scores, truth) == pytest.approx(metrics.log_loss(truth, 1 / (1 + np.exp(-scores))))
    several, classes = rng.normal(size=(50, 3)), rng.integers(0, 3, 50)
    p = np.exp(several) / np.exp(several).sum(1, keepdims=True)
    assert log_loss(several, classes) == pytest.approx(metrics.log_loss(classes, p))
