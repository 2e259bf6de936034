"""``regress``: one number an input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import NameUnknown
from suwen.core.features import Features
from suwen.core.prediction import Prediction

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": F.mse_loss, "huber": F.smooth_l1_loss}
"""Name → loss of numbers in standard deviations. Huber's is linear beyond one (Huber, Ann Math Stat 1964;35:73)."""


class Regress(nn.Module):
    """A line through the features, ``Ŷ = μ + s (WᵀZ + b)``: μ and s are mean and deviation of the training numbers.

    Args:
        width: D of the pooled features.
        labels: one name: what the number is.
        mean, deviation: μ and s.
        loss: a row of `LOSSES`.
        dropout: on the pooled features.

    Raises:
        NameUnknown: no such loss.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    metrics = ("mae", "rmse", "bias", "r2")

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        mean: float = 0.0,
        deviation: float = 1.0,
        loss: str = "huber",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise NameUnknown("loss", loss, LOSSES, fix="--set head.options.loss=huber")
        self.labels, self.mean, self.deviation = labels, mean, deviation
        self.config: dict[str, Any] = {
            "name": "regress",
            "mean": mean,
            "deviation": deviation,
            "loss": loss,
            "dropout": dropout,
        }
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, 1)

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """With mean and deviation of the training numbers; ``positive`` is no option of numbers."""
        values = np.asarray(dataset.targets)[train]
        known = {"mean": float(values.mean()), "deviation": float(values.std()) or 1.0}
        return known | {name: value for name, value in options.items() if name != "positive"}

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → ``(B, 1)`` in standard deviations from the mean."""
        found: Tensor = self.linear(self.dropout(features.pooled))
        return found

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Of ``(B, 1)`` standardised answers and the numbers ``(B,)`` themselves."""
        wanted = ((target - self.mean) / self.deviation).to(logits.dtype)
        found: Tensor = LOSSES[self.config["loss"]](logits[:, 0], wanted)
        return found

    def values(self, logits: np.ndarray) -> np.ndarray:
        """float64 (N,): the numbers that ``(N, 1)`` standardised answers mean."""
        found: np.ndarray = self.mean + self.deviation * logits[:, 0].astype(np.float64)
        return found

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, 1)``: Φ(z), the share of training numbers below the answer, were they normal."""
        return 0.5 * (1 + torch.erf(logits / math.sqrt(2)))

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One Prediction an input: the number, with its interval where validation was large enough for one."""
        answers = []
        for value in self.values(logits.double().numpy()).tolist():
            half = calibration.quantile
            interval = None if half is None else (value - half, value + half)
            answers.append(Prediction(answer=value, probabilities={}, interval=interval))
        return answers
