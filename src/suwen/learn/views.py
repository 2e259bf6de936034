"""Several random views of each image, for objectives that compare them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from suwen.core.dataset import Batch
from suwen.learn.augment import ImageAugment
from suwen.learn.processes import Part

STRONG: dict[str, dict[str, float]] = {
    "affine": {"rotate": 20, "shift": 0.12, "scale": 0.3, "stretch": 0.2, "shear": 10},
    "intensity": {"brightness": 0.15, "contrast": 0.4, "gamma": 0.4},
    "sharpness": {"blur": 1.0, "sharpen": 1.0},
    "noise": {"level": 0.05},
    "erase": {"p": 1.0, "side": 0.5},
}
"""What a strong view goes through where a recipe does not say: as far as a film can change and still be read."""


class Unmixed(ImageAugment):
    """The transforms that leave each image its own."""

    def __init__(self, allowed: dict[str, dict[str, Any]] | None, labels: int) -> None:
        super().__init__(allowed, labels)
        self.rows = [(row, settings) for row, settings in self.rows if row.kept is None]


class TwoViews(Unmixed):
    """Two views of each image, drawn independently: ``inputs`` becomes ``(2, B, C, H, W)``; the target stays."""

    count = 2

    def __call__(self, batch: Batch, generator: Generator, part: Part | None = None) -> Batch:
        """The batch with its views."""
        views = [super(TwoViews, self).__call__(batch, generator, part)["inputs"] for _ in range(self.count)]
        return {**batch, "inputs": torch.stack(views)}


class FourViews(TwoViews):
    """Four views of each image: ``inputs`` becomes ``(4, B, C, H, W)``."""

    count = 4


class WeakAndStrong:
    """Two views of each unlabelled image: ``weak``, changed as labelled images are, and ``strong``, changed much more.

    Args:
        weak: the recipe's ``augment``; what mixes images is left out.
        strong: the recipe's ``unlabelled.strong``; None for `STRONG`.
        labels: number of labels.
    """

    def __init__(
        self, weak: dict[str, dict[str, Any]] | None, strong: dict[str, dict[str, Any]] | None, labels: int
    ) -> None:
        self.augments = {"weak": Unmixed(weak, labels), "strong": Unmixed(STRONG if strong is None else strong, labels)}

    def __call__(self, images: Tensor, generator: Generator) -> dict[str, Tensor]:
        """``{"weak", "strong"}``, each ``(B, C, H, W)``."""
        batch = {"inputs": images, "target": None}
        return {name: augment(batch, generator)["inputs"] for name, augment in self.augments.items()}
