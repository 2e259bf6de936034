"""Whether a drawn pixel's probability comes true, and whether uncertainty lies where the mistakes are."""

from __future__ import annotations

from typing import Any

import numpy as np

from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.summarise import as_json

CALIBRATION = ("ece", "brier")


def uncertainty_figures(pixels: Outcome, *, resamples: int, seed: int) -> dict[str, Any]:
    """``{"pixels": n, "metrics": {"ece", "brier", "error_auroc"}}``, intervals over subjects.

    ``error_auroc``: the probability that a wrong pixel has more entropy than a right one (Mehrtash et al., IEEE
    Transactions on Medical Imaging 2020;39(12):3868-3878, hold entropy against quality likewise); None where all are
    right or all wrong.
    """
    found = as_json(bootstrap(pixels, CALIBRATION, resamples=resamples, seed=seed))
    errors = bootstrap(mistakes(pixels), ["auroc"], resamples=resamples, seed=seed)
    return {"pixels": len(pixels), "metrics": found | {"error_auroc": as_json(errors)["auroc"]}}


def mistakes(pixels: Outcome) -> Outcome:
    """The question whether a pixel's most probable label is wrong, answered by its entropy over log K."""
    p = pixels.probabilities
    entropy = -(p * np.log(np.clip(p, 1e-12, 1))).sum(axis=1) / np.log(max(2, p.shape[1]))
    unsure = np.clip(entropy, 0, 1)
    return Outcome(
        ids=pixels.ids,
        subjects=pixels.subjects,
        target=(p.argmax(axis=1) != pixels.target).astype(np.int64),
        probabilities=np.stack([1 - unsure, unsure], axis=1),
        labels=("right", "wrong"),
    )
