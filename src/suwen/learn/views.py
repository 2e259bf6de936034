"""Several random views of each image, for objectives that compare them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator

from suwen.core.dataset import Batch
from suwen.learn.augment import ImageAugment
from suwen.learn.processes import Part


class TwoViews(ImageAugment):
    """Two views of each image, drawn independently: ``inputs`` becomes ``(2, B, C, H, W)``; the target stays."""

    count = 2

    def __init__(self, allowed: dict[str, dict[str, Any]] | None, labels: int) -> None:
        super().__init__(allowed, labels)
        self.rows = [(row, settings) for row, settings in self.rows if row.kept is None]

    def __call__(self, batch: Batch, generator: Generator, part: Part | None = None) -> Batch:
        """The batch with its views."""
        views = [super(TwoViews, self).__call__(batch, generator, part)["inputs"] for _ in range(self.count)]
        return {**batch, "inputs": torch.stack(views)}


class FourViews(TwoViews):
    """Four views of each image: ``inputs`` becomes ``(4, B, C, H, W)``."""

    count = 4
