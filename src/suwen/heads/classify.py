"""``classify``: one of K labels, or any of K labels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.prediction import Prediction


class Classify(nn.Module):
    """A linear classifier, ``Ŷ = exp(WᵀZ + b) / Z₀`` with ``Z₀`` the sum over labels, or a sigmoid for each label.

    Args:
        width: D of the pooled features.
        labels: K names.
        multi_label: several labels may hold at once.
        class_weights: K weights of the labels in the loss, of their presence where several may hold. ``"balanced"`` in
            a recipe: n / (K · n_k), as scikit-learn; where several may hold, absent over present, (n - n_k) / n_k.
        label_smoothing: ε of Szegedy et al. 2016, section 7.
        focal_gamma: γ of the focal loss (Lin et al. 2017); 0 is cross-entropy.
        dropout: on the pooled features.
        positive: the label that sensitivity and the threshold speak of in a binary question.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    class_weights: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        multi_label: bool = False,
        class_weights: list[float] | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        dropout: float = 0.0,
        positive: str | None = None,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.multi_label = multi_label
        self.positive = labels.index(positive) if positive is not None else len(labels) - 1
        self.label_smoothing, self.focal_gamma = label_smoothing, focal_gamma
        self.config: dict[str, Any] = {
            "name": "classify",
            "multi_label": multi_label,
            "class_weights": class_weights,
            "label_smoothing": label_smoothing,
            "focal_gamma": focal_gamma,
            "dropout": dropout,
            "positive": positive,
        }
        self.metrics = self._metrics()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, len(labels))
        self.register_buffer("class_weights", _weights(class_weights, labels), persistent=False)

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """Options that depend on the training rows, worked out: multi-label or not, balanced class weights."""
        targets = np.asarray(dataset.targets)
        multi_label = targets.ndim == 2
        found = {"multi_label": multi_label} | options
        if found.get("class_weights") == "balanced":
            found["class_weights"] = _balanced(targets[train], len(dataset.labels))
        if (positive := found.get("positive")) is not None and positive not in dataset.labels:
            raise RecipeError(
                f"positive label {positive!r}",
                why=f"the labels are {', '.join(dataset.labels)}",
                fix="name one of them",
            )
        return found

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → logits ``(B, K)``."""
        logits: Tensor = self.linear(self.dropout(features.pooled))
        return logits

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Weighted focal cross-entropy over labels, averaged by the weights of the targets.

        Args:
            logits: ``(B, K)``.
            target: class numbers ``(B,)``, or shares ``(B, K)`` (multi-label, or mixed by mixup and cutmix).
        """
        shares = target if target.ndim == 2 else F.one_hot(target, len(self.labels))
        shares = shares.to(logits.dtype)
        return self._binary_loss(logits, shares) if self.multi_label else self._categorical_loss(logits, shares)

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, K)`` calibrated probabilities: softmax, or sigmoids when several labels may hold."""
        scaled = logits / calibration.temperature
        return scaled.sigmoid() if self.multi_label else scaled.softmax(-1)

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """One Prediction an input. Without exactly one label in its conformal set, a single-label answer abstains."""
        rows = self.probabilities(logits.double(), calibration).tolist()
        return [self._decode_many(row) if self.multi_label else self._decode_one(row, calibration) for row in rows]

    def _metrics(self) -> tuple[str, ...]:
        shared = (
            "accuracy",
            "balanced_accuracy",
            "auroc",
            "auprc",
            "f1_macro",
            "sensitivity",
            "specificity",
            "brier",
            "ece",
        )
        binary = ("accuracy_at_threshold", "sensitivity_at_threshold", "specificity_at_threshold")
        return shared + binary if len(self.labels) == 2 and not self.multi_label else shared

    def _categorical_loss(self, logits: Tensor, shares: Tensor) -> Tensor:
        smoothed = shares * (1 - self.label_smoothing) + self.label_smoothing / shares.shape[1]
        log_p = logits.log_softmax(-1)
        hard = 1 - log_p.exp() if self.focal_gamma else None
        weighed = smoothed * self.class_weights
        losses = -weighed * log_p if hard is None else -weighed * log_p * hard**self.focal_gamma
        return losses.sum() / (shares * self.class_weights).sum()

    def _binary_loss(self, logits: Tensor, shares: Tensor) -> Tensor:
        smoothed = shares * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = F.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")
        if self.focal_gamma:
            p = logits.sigmoid()
            losses = losses * (smoothed * (1 - p) + (1 - smoothed) * p) ** self.focal_gamma
        weights = 1 + smoothed * (self.class_weights - 1)
        return (losses * weights).sum() / weights.sum()

    def _decode_one(self, row: list[float], calibration: Calibration) -> Prediction:
        best = max(range(len(row)), key=row.__getitem__)
        if len(row) == 2 and calibration.threshold is not None:
            best = self.positive if row[self.positive] >= calibration.threshold else 1 - self.positive
        by_label = dict(zip(self.labels, row, strict=True))
        if calibration.quantile is None:
            return Prediction(answer=self.labels[best], probabilities=by_label)
        possible = [label for label, p in by_label.items() if 1 - p <= calibration.quantile]
        return Prediction(answer=self.labels[best], probabilities=by_label, set=possible, **self._abstains(possible))

    def _abstains(self, possible: list[str]) -> dict[str, Any]:
        if len(possible) == 1:
            return {}
        if not possible:
            return {"abstain": True, "reason": "unlike the validation data: no label is plausible at this coverage"}
        return {"abstain": True, "reason": f"{' and '.join(possible)} are each plausible at this coverage"}

    def _decode_many(self, row: list[float]) -> Prediction:
        by_label = dict(zip(self.labels, row, strict=True))
        return Prediction(answer=[label for label, p in by_label.items() if p >= 0.5], probabilities=by_label)


def _weights(given: list[float] | None, labels: tuple[str, ...]) -> Tensor:
    if given is None:
        return torch.ones(len(labels))
    if not isinstance(given, list) or len(given) != len(labels) or not all(weight >= 0 for weight in given):
        raise RecipeError(
            f"class_weights = {given!r}",
            why=f"there are {len(labels)} labels ({', '.join(labels)}), and each takes a weight of 0 or more",
            fix=f"--set head.options.class_weights=balanced, or {[1.0] * len(labels)}",
        )
    return torch.tensor(given, dtype=torch.float32)


def _balanced(targets: np.ndarray, labels: int) -> list[float]:
    n = len(targets)
    if targets.ndim == 2:
        present = np.maximum(targets.sum(0, dtype=np.int64), 1)
        weights = np.maximum(n - present, 1) / present
    else:
        weights = n / (labels * np.maximum(np.bincount(targets, minlength=labels), 1))
    return [float(weight) for weight in weights.round(6)]
