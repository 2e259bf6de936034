"""How far into its own curve a person's event-free time reaches: what an interval of times rests on."""

from __future__ import annotations

import numpy as np

from suwen.evaluation.outcome import Bools, Floats
from suwen.evaluation.survival_curves import kaplan_meier


def outlived(said: Floats, event: Bools, coverage: float) -> float | None:
    """The said probability q of an event by which a share `coverage` of people are still without one.

    Were curves true, the probability said of an event by the very time it came would be uniform, and q = 1 - coverage.
    Where they are not, the distribution of what was said by the time of events is estimated by Kaplan-Meier, the
    censored being censored on that scale too, and q is its quantile (with the finite-sample correction of
    split-conformal prediction). A new person like these outlives the time at which q is said of them with probability
    `coverage`, if censoring tells nothing about events.

    Source: Candès, Lei & Ren, J R Stat Soc B 2023;85:24 (lower predictive bounds of times); Qi, Yu & Greiner, ICML 2024
    (conformal calibration of survival curves by Kaplan-Meier).

    Args:
        said: (N,) probability said of any event by each validation person's own time.
        event: (N,) whether one came then.
        coverage: as 0.9.

    Returns:
        q, or None where so few events were seen that it lies beyond.
    """
    curve = kaplan_meier(said, event)
    below = np.flatnonzero(curve.value < coverage * (1 + 1 / len(said)))
    return float(curve.times[below[0]]) if len(below) else None
