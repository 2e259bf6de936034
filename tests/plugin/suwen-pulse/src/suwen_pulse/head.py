"""``pulse-rate``: one number an input."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.features import Features
from suwen.core.prediction import Prediction


class Rate(nn.Module):
    """A linear regression on the pooled features. Targets are beats a minute, standardised by the training rows."""

    needs: ClassVar[frozenset[str]] = frozenset()
    metrics = ("rmse",)

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        mean: float = 0.0,
        deviation: float = 1.0,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.mean, self.deviation = mean, deviation
        self.config: dict[str, Any] = {"name": "pulse-rate", "mean": mean, "deviation": deviation}
        self.linear = nn.Linear(width, 1)

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """Mean and deviation of the training rows."""
        rates = dataset.targets[train]
        return {"mean": float(rates.mean()), "deviation": float(rates.std())} | options

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → beats a minute ``(B,)``."""
        rates: Tensor = self.linear(features.pooled)[:, 0] * self.deviation + self.mean
        return rates

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Squared error in deviations."""
        return F.mse_loss(logits / self.deviation, target.float() / self.deviation)

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """The rates themselves: a number has no probability."""
        return logits

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One rate an input."""
        return [Prediction(answer=round(rate, 1), probabilities={}) for rate in logits.tolist()]
