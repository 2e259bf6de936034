from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from suwen.core.domain import Domain


@pytest.fixture
def domain() -> Domain:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    return Domain(
        mean=rng.normal(size=6), basis=basis, variance=np.array([4.0, 2.0]), rest=np.array([0.5]), limit=np.ones(1)
    )


def test_the_distance_is_mahalanobis_under_probabilistic_pca(domain: Domain) -> None:
    covariance = domain.basis.T @ np.diag(domain.variance - domain.rest) @ domain.basis + np.eye(6) * domain.rest
    features = np.random.default_rng(1).normal(size=(20, 6))
    expected = cdist(features, domain.mean[None], "mahalanobis", VI=np.linalg.inv(covariance))[:, 0] / np.sqrt(6)
    np.testing.assert_allclose(domain.distance(features), expected)


def test_training_inputs_lie_at_about_one(domain: Domain) -> None:
    rng = np.random.default_rng(2)
    along = rng.normal(size=(4000, 2)) * np.sqrt(domain.variance) @ domain.basis
    noise = rng.normal(size=(4000, 6)) * np.sqrt(domain.rest)
    aside = noise - noise @ domain.basis.T @ domain.basis
    assert np.sqrt((domain.distance(domain.mean + along + aside) ** 2).mean()) == pytest.approx(1, rel=0.03)


def test_arrays_give_back_the_domain(domain: Domain) -> None:
    again = Domain(**domain.to_arrays())
    features = np.random.default_rng(1).normal(size=(5, 6))
    assert np.array_equal(again.distance(features), domain.distance(features))
