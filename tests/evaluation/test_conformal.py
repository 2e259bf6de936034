from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from suwen.evaluation.conformal import fit_quantile


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_hold_the_true_label_as_often_as_promised(make_outcome: Any, coverage: float) -> None:
    held = []
    for seed in range(60):
        validation, test = make_outcome(100, 4, seed=seed), make_outcome(400, 4, seed=1000 + seed)
        quantile = fit_quantile(validation, coverage)
        assert quantile is not None
        held.append((1 - test.probabilities[np.arange(400), test.target] <= quantile).mean())
    assert coverage - 0.01 <= np.mean(held) <= coverage + 0.03


def test_nothing_is_promised_from_too_few_images_or_for_several_labels(make_outcome: Any) -> None:
    assert fit_quantile(make_outcome(8), 0.9) is None and fit_quantile(make_outcome(9), 0.9) is not None
    assert fit_quantile(make_outcome(100, 3, multi_label=True), 0.9) is None
