"""``logistic``: ridge logistic regression, solved to its optimum, with its penalty chosen inside the training rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from suwen.core.dataset import Dataset
from suwen.core.features import Features
from suwen.heads.classify import Classify
from suwen.heads.inner_folds import log_loss
from suwen.heads.solved import Solved

STRENGTHS = tuple(float(c) for c in np.logspace(-3, 1, 9))
"""C, the inverse of the penalty, from strong to weak."""

STEPS = 1000


class Logistic(Solved):
    """Linear logits ``WᵀZ + b`` that minimise ``Σ -log p(y) + |W|² / 2C`` (le Cessie & van Houwelingen, Ridge
    estimators in logistic regression, Applied Statistics 1992;41:191).

    C is that of `STRENGTHS` whose cross-fitted likelihood inside the training rows is largest. Weights are kept as a
    linear layer, as of `Classify`.

    Args:
        width: D of the pooled features.
        labels: K names.
        multi_label, positive: as of `Classify`.
        strength: C; chosen unless given.

    Attributes:
        centre: float64 (D,), the mean features of the training rows, from which explanations start.
    """

    explanation: ClassVar[str] = "linear-shap"
    centre: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        multi_label: bool = False,
        positive: str | None = None,
        strength: float | None = None,
    ) -> None:
        super().__init__(width, labels, multi_label=multi_label, positive=positive)
        self.strength = strength
        self.config = {
            "name": "logistic",
            "multi_label": multi_label,
            "positive": positive,
            "strength": strength,
        }
        self.register_buffer("centre", torch.zeros(width, dtype=torch.float64))
        self.found: list[tuple[np.ndarray, np.ndarray]] = []

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """As of `Classify`."""
        return Classify.options_for(dataset, train, options)

    def solve(self, features: Features, target: Tensor, groups: np.ndarray, *, seed: int) -> None:
        """See `Solved.solve`."""
        super().solve(features, target, groups, seed=seed)
        self.centre = features.pooled.double().mean(dim=0).detach()

    def inputs(self, features: Features) -> np.ndarray:
        """Pooled features."""
        pooled: np.ndarray = features.pooled.double().cpu().numpy()
        return pooled

    def solve_one(
        self, inputs: np.ndarray, answer: np.ndarray, rows: np.ndarray, fold: np.ndarray, *, seed: int
    ) -> np.ndarray:
        """See `Solved.solve_one`."""
        tried = (self.strength,) if self.strength is not None else STRENGTHS
        scores = [crossfit(inputs[rows], answer[rows], fold, strength) for strength in tried]
        best = min(range(len(tried)), key=lambda place: log_loss(scores[place], answer[rows]))
        self.found.append(_fit(inputs, answer, tried[best]))
        return scores[best]

    def keep(self) -> None:
        """Weights of yes or no are halved between the two labels."""
        weights, biases = zip(*self.found, strict=True)
        self.found = []
        weight, bias = np.concatenate(weights), np.concatenate(biases)
        if not self.multi_label and len(self.labels) == 2:
            weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(weight))
            self.linear.bias.copy_(torch.from_numpy(bias))


def crossfit(inputs: np.ndarray, answer: np.ndarray, fold: np.ndarray, strength: float) -> np.ndarray:
    """The score of each row from a fit to the other folds: (N,), or (N, K) of K > 2 classes."""
    classes = int(answer.max()) + 1
    found = np.zeros((len(answer), classes)) if classes > 2 else np.zeros(len(answer))
    for number in np.unique(fold):
        out = fold == number
        weight, bias = _fit(inputs[~out], answer[~out], strength, classes)
        scores = inputs[out] @ weight.T + bias
        found[out] = scores if classes > 2 else scores[:, 0]
    return found


def _fit(
    inputs: np.ndarray, answer: np.ndarray, strength: float, classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights (1, D) of yes or no, or (K, D), and biases; a label that never occurs is improbable."""
    classes = int(answer.max()) + 1 if classes is None else classes
    present = np.unique(answer)
    if len(present) == 1:
        sure = np.full(max(1, classes if classes > 2 else 1), -_SURE)
        sure[present[0] if classes > 2 else 0] = _SURE if classes > 2 or present[0] == 1 else -_SURE
        return np.zeros((len(sure), inputs.shape[1])), sure
    with threadpool_limits(1):  # on a busy machine, threads that wait for each other cost ten times the work itself
        model = LogisticRegression(C=strength, max_iter=STEPS, tol=1e-6).fit(inputs, answer)
    if classes <= 2:
        return model.coef_, model.intercept_
    weight, bias = np.zeros((classes, inputs.shape[1])), np.full(classes, -_SURE)
    if len(present) == 2:
        weight[present], bias[present] = (
            [-model.coef_[0] / 2, model.coef_[0] / 2],
            [
                -model.intercept_[0] / 2,
                model.intercept_[0] / 2,
            ],
        )
    else:
        weight[present], bias[present] = model.coef_, model.intercept_
    return weight, bias


_SURE = 6.0  # a logit: 1 in 400, where training rows know only one answer
