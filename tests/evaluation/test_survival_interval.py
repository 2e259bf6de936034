from __future__ import annotations

import numpy as np
import pytest

from suwen.evaluation.survival_interval import outlived


def test_the_bound_of_true_curves_is_one_less_the_coverage() -> None:
    rng = np.random.default_rng(0)
    said, censored = rng.random(20_000), rng.uniform(0, 2, 20_000)
    assert outlived(np.minimum(said, censored), said <= censored, 0.9) == pytest.approx(0.1, abs=0.01)


def test_curves_that_promise_too_much_get_a_lower_bound() -> None:
    """The event comes when half as much was said: the bound halves with it."""
    said = np.random.default_rng(0).random(20_000) / 2
    assert outlived(said, np.ones(20_000, np.bool_), 0.9) == pytest.approx(0.05, abs=0.005)


def test_new_people_outlive_it_as_often_as_promised_or_more() -> None:
    rng, held = np.random.default_rng(1), []
    for _ in range(400):
        bound = outlived(rng.random(39), np.ones(39, np.bool_), 0.9)
        assert bound is not None
        held.append(1 - bound)
    assert 0.9 <= np.mean(held) <= 0.94


def test_too_few_events_give_none() -> None:
    assert outlived(np.full(50, 0.3), np.zeros(50, np.bool_), 0.9) is None
