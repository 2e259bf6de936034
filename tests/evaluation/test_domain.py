"""What is far from the training data in feature space is called so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.evaluation.domain import fit_domain


@given(seed=st.integers(0, 1000), width=st.integers(8, 40))
@settings(max_examples=15, deadline=None)
def test_new_inputs_of_the_same_origin_are_near_and_others_far(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(3, width))

    def draw(count: int) -> np.ndarray:
        return rng.normal(size=(count, 3)) @ mixing + 0.1 * rng.normal(size=(count, width))

    domain = fit_domain(draw(500), draw(200))
    assert domain is not None
    assert (domain.distance(draw(200)) > domain.limit).mean() < 0.05
    assert (domain.distance(draw(50) + 10 * rng.normal(size=(50, width))) > domain.limit).mean() > 0.9


def test_with_all_directions_kept_it_is_the_mahalanobis_distance() -> None:
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(20, 5))
    domain = fit_domain(train, train)
    assert domain is not None
    k = len(domain.variance)
    centred, covariance = new - train.mean(0), np.cov(train.T)
    values, vectors = np.linalg.eigh(covariance)
    values[: 5 - k] = values[: 5 - k].mean() if k < 5 else values[: 5 - k]
    exact = np.einsum("ni,ij,nj->n", centred, vectors @ np.diag(1 / values) @ vectors.T, centred)
    assert domain.distance(new) == pytest.approx(np.sqrt(exact / 5))


def test_too_few_inputs_give_no_domain() -> None:
    assert fit_domain(np.zeros((5, 3)), np.zeros((5, 3))) is None


def test_features_that_never_vary_are_no_crash() -> None:
    domain = fit_domain(np.ones((30, 4)), np.ones((30, 4)))
    assert domain is not None and np.isfinite(domain.distance(np.zeros((2, 4)))).all()
