"""`Domain`: where the training inputs lie in feature space. What lies far from there gets no confident answer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Domain:
    """A Gaussian around the training features, full along their main directions and round in the rest.

    The squared distance of features z is ``Σ_k (b_k·(z - m))² / v_k + |rest|² / r``: the Mahalanobis distance under
    probabilistic PCA (Tipping & Bishop 1999), used on pooled features as in Lee et al. 2018 (their tied covariance).

    Attributes:
        mean: m ``(D,)``.
        basis: b ``(k, D)``, orthonormal.
        variance: v ``(k,)``.
        rest: r ``(1,)``, mean variance of the other directions.
        limit: ``(1,)`` the distance from which an input is called foreign.
    """

    mean: np.ndarray
    basis: np.ndarray
    variance: np.ndarray
    rest: np.ndarray
    limit: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """``(N, D)`` → ``(N,)`` root mean square distance, about 1 for training inputs."""
        centred = features - self.mean
        along = centred @ self.basis.T
        aside = (centred**2).sum(1) - (along**2).sum(1)
        total: np.ndarray = (along**2 / self.variance).sum(1) + aside.clip(min=0) / self.rest
        found: np.ndarray = (total / features.shape[1]) ** 0.5
        return found

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Field → array, as they stand in ``model.safetensors``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
