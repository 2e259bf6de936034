"""What a model of a table must beat: the prevalence, plain logistic regression, boosted trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import NameUnknown
from suwen.encoders.table import TableEncoder
from suwen.evaluation.outcome import Floats, Outcome
from suwen.heads.logistic import Logistic
from suwen.heads.solved import Solved
from suwen.heads.trees import Trees
from suwen.learn.features import groups_of

Say = Callable[[np.ndarray], Floats]
"""Row numbers → probabilities (n, K)."""


def table_baselines(
    names: Sequence[str], dataset: Dataset, outcomes: dict[str, Outcome]
) -> dict[str, dict[str, Outcome]]:
    """Name → split → the answers of a baseline that learnt from the same training rows.

    Raises:
        NameUnknown: no such baseline.
    """
    rows = dataset.where("train")
    found: dict[str, dict[str, Outcome]] = {}
    for name in names if len(rows) else ():
        if name not in BASELINES:
            raise NameUnknown("baseline", name, BASELINES, fix=f"one of {', '.join(BASELINES)}")
        say = BASELINES[name](dataset, rows)
        found[name] = {
            split: replace(outcome, probabilities=say(dataset.where(split))) for split, outcome in outcomes.items()
        }
    return found


def _prevalence(dataset: Dataset, rows: np.ndarray) -> Say:
    """The share of each label in training, whatever the row."""
    target = np.asarray(dataset.targets)[rows]
    shares = target.mean(axis=0) if target.ndim == 2 else np.bincount(target, minlength=len(dataset.labels)) / len(rows)
    return lambda asked: np.tile(shares, (len(asked), 1))


def _logistic(dataset: Dataset, rows: np.ndarray) -> Say:
    """Ridge logistic regression on standardised values and levels, without bends."""
    return _solved(Logistic, dataset, rows)


def _trees(dataset: Dataset, rows: np.ndarray) -> Say:
    """Boosted trees on the values as they are."""
    return _solved(Trees, dataset, rows)


def _solved(kind: type[Solved], dataset: Dataset, rows: np.ndarray) -> Say:
    encoder = TableEncoder(dataset.preprocess, splines=False)
    options: dict[str, Any] = kind.options_for(dataset, rows, {})
    head = kind(encoder.width, tuple(dataset.labels), **options)
    target = torch.from_numpy(np.asarray(dataset.targets)[rows])
    features = encoder(torch.from_numpy(dataset.take(rows)))
    head.solve(features, target, groups_of(dataset, rows), seed=0)

    def say(asked: np.ndarray) -> Floats:
        with torch.inference_mode():
            logits = head(encoder(torch.from_numpy(dataset.take(asked))))
            return np.asarray(head.probabilities(logits.double(), Calibration()).numpy())

    return say


BASELINES: dict[str, Callable[[Dataset, np.ndarray], Say]] = {
    "prevalence": _prevalence,
    "logistic": _logistic,
    "trees": _trees,
}
"""Name → what it learns from a dataset's training rows."""
