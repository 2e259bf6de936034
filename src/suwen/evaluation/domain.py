"""Fit the `Domain` of a model: what is near enough to its training inputs to be answered."""

from __future__ import annotations

import numpy as np

from suwen.core.domain import Domain

EXPLAINED = 0.95  # share of the variance that the main directions hold
MOST_DIRECTIONS = 64
QUANTILE, MARGIN = 0.995, 1.25
"""The limit is this quantile of the validation distances times this margin: our choice. Few inputs of the same
origin are refused by it. It sees gross strangers (noise, blank or scrambled images), not every wrong body part."""


def fit_domain(train: np.ndarray, validation: np.ndarray) -> Domain | None:
    """The domain of pooled features.

    Args:
        train: ``(N, D)``, a few thousand are enough.
        validation: ``(M, D)``, not trained on: training features lie closer together than new ones.

    Returns:
        The Domain, or None when there are too few inputs to tell (under 20).
    """
    if len(train) < 20 or len(validation) < 20:
        return None
    mean = train.mean(0, dtype=np.float64)
    _, spread, basis = np.linalg.svd(train.astype(np.float64) - mean, full_matrices=False)
    variance = spread**2 / (len(train) - 1)
    share = np.cumsum(variance) / max(variance.sum(), 1e-12)
    k = min(int(np.searchsorted(share, EXPLAINED)) + 1, MOST_DIRECTIONS, len(variance))
    rest = variance[k:].sum() / max(train.shape[1] - k, 1)
    floor = 1e-6 * max(variance.sum() / train.shape[1], 1e-12)
    parts = mean, basis[:k], np.maximum(variance[:k], floor), np.array([max(rest, floor)])
    near = Domain(*parts, limit=np.array([np.inf])).distance(validation)
    return Domain(*parts, limit=np.array([np.quantile(near, QUANTILE) * MARGIN]))
