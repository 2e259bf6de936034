"""``embed``: the features themselves, for models that were pretrained and not yet asked anything."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.features import Features
from suwen.core.prediction import Prediction


class Embed(nn.Module):
    """``Ŷ = Z``. It has no weights and nothing to learn; the answer to an input is its pooled features ``(D,)``."""

    needs: ClassVar[frozenset[str]] = frozenset()
    metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(self, width: int, labels: tuple[str, ...] = (), *, map_widths: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.labels = labels
        self.config: dict[str, Any] = {"name": "embed"}

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """As given."""
        return options

    def forward(self, features: Features) -> Tensor:
        """``(B, D)``."""
        return features.pooled

    def loss(self, logits: Tensor, target: Any) -> Tensor:
        """0: the loss is the objective's."""
        return torch.zeros((), device=logits.device)

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """The features as they are."""
        return logits

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One list of D numbers an input."""
        return [Prediction(answer=row, probabilities={}) for row in logits.tolist()]
