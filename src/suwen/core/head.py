"""`Head`: `Features` → answer, ``Ŷ = σ(WᵀZ + b) / Z₀``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from suwen.core.calibration import Calibration
    from suwen.core.dataset import Dataset
    from suwen.core.features import Features
    from suwen.core.prediction import Prediction


class Head(Protocol):
    """An ``nn.Module`` with these attributes. It owns its loss, its decoding and its metrics.

    A row of ``suwen.heads`` is a class, called as ``head(width, labels, map_widths=…, **options)``.

    Attributes:
        config: ``{"name": "classify", …options}``: enough to build it again.
        labels: the answers it can give.
        needs: the parts of `Features` it uses besides `pooled`.
        metrics: names of the metrics it is judged by (rows of ``suwen.evaluation.metrics.METRICS``).
    """

    config: dict[str, Any]
    labels: tuple[str, ...]
    needs: frozenset[str]
    metrics: tuple[str, ...]

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """The recipe's options, completed with those that follow from the training rows."""
        ...

    def __call__(self, features: Features) -> Tensor:
        """Logits."""
        ...

    def loss(self, logits: Any, target: Any) -> Tensor:
        """One number to lower. `target` is what the Dataset holds for this question, or a mixture of two of them."""
        ...

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """Calibrated probabilities from logits."""
        ...

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One `Prediction` an input, without its name and time (the caller knows these)."""
        ...
