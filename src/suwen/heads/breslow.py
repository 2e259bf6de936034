"""The baseline hazard that goes with Cox's relative hazards."""

from __future__ import annotations

import numpy as np


def breslow(risks: np.ndarray, times: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct times of events, rising, and the cumulative baseline hazard gained at each: ``d / Σ_risk e^η``.

    Source: Breslow, in the discussion of Cox, J R Stat Soc B 1972;34:216.

    Args:
        risks: ``(N,)`` log relative hazards; take their mean off first, lest they overflow.
        times: ``(N,)``.
        event: ``(N,)`` whether it came.
    """
    order = np.argsort(-times, kind="stable")
    at_risk = np.cumsum(np.exp(risks[order].astype(np.float64)))
    moments, deaths = np.unique(times[event], return_counts=True)
    last = np.searchsorted(-times[order], -moments, "right") - 1
    gained: np.ndarray = deaths / at_risk[last]
    return moments, gained


def gained_between(moments: np.ndarray, gained: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """``(M,)``: what was gained in each interval ``(τ_m, τ_m+1]``, in the first at 0 too; nothing after the last
    edge."""
    within = moments <= edges[-1]
    place = np.clip(np.searchsorted(edges, moments[within], "left") - 1, 0, len(edges) - 2)
    return np.bincount(place, weights=gained[within], minlength=len(edges) - 1)
