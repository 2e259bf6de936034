from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from suwen.evaluation.ranking import auroc_statistic, average_precision_statistic

ROWS = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=2, max_size=30)


@pytest.mark.parametrize(
    ("statistic", "peer"),
    [(auroc_statistic, roc_auc_score), (average_precision_statistic, average_precision_score)],
    ids=["auroc", "average precision"],
)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_weights_equal_repetition_as_scikit_learn_computes_it(
    statistic: Any, peer: Any, rows: list[tuple[int, bool, int]]
) -> None:
    scores = np.array([row[0] for row in rows]) / 6
    truth = np.array([row[1] for row in rows])
    weights = np.array([row[2] for row in rows], dtype=np.float64)
    repeated = np.repeat(np.arange(len(rows)), weights.astype(int))
    both = statistic(scores, truth)(np.stack([np.ones(len(rows)), weights]))
    for value, index in zip(both, (np.arange(len(rows)), repeated), strict=True):
        if truth[index].all() or not truth[index].any():
            assert np.isnan(value)
        else:
            assert value == pytest.approx(peer(truth[index], scores[index]), abs=1e-12)
