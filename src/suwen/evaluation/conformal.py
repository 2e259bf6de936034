"""Prediction sets that hold the true label as often as promised."""

from __future__ import annotations

import numpy as np

from suwen.evaluation.outcome import Outcome


def fit_quantile(outcome: Outcome, coverage: float) -> float | None:
    """The split-conformal quantile of ``1 - p(true label)`` on validation.

    A new image's set is every label with ``1 - p <= quantile``; it holds the true one with probability of at least
    `coverage` if the image comes from where the validation images came from (Sadinle, Lei & Wasserman 2019, LAC;
    the finite-sample quantile is that of Angelopoulos & Bates 2021, section 1).

    Returns:
        The quantile, or None where no set can be promised: several labels may hold, or too few images.
    """
    n = len(outcome)
    rank = int(np.ceil((n + 1) * coverage))
    if outcome.multi_label or rank > n:
        return None
    scores = 1 - outcome.probabilities[np.arange(n), outcome.target]
    return float(np.sort(scores)[rank - 1])
