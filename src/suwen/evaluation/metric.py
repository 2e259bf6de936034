"""A `Metric`: what it computes, which way is better, and who defined it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from suwen.evaluation.outcome import Threshold
from suwen.evaluation.ranking import Statistic

Preparation = Callable[[Any, Threshold], Statistic]
"""An outcome, of whatever kind the metric is of, and the operating threshold → the statistic of any weights."""


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        name: as in ``metrics.json``.
        prepare: (outcome, threshold) → the statistic of any weights.
        higher_is_better: which way is better.
        summary: what it says, in one sentence.
        source: who defined it.
        at_threshold: whether it looks at the operating threshold; if so it is not defined without one.
    """

    name: str
    prepare: Preparation
    higher_is_better: bool
    summary: str
    source: str
    at_threshold: bool = False

    def function(self, outcome: Any, thresholds: Threshold = None) -> float:
        """The figure itself. NaN where it is not defined."""
        return float(self.prepare(outcome, thresholds)(np.ones((1, len(outcome))))[0])
