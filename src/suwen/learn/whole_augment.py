"""Random changes of volumes that are judged as a whole. Volumes are float ``(B, C, X, Y, Z)`` in [0, 1]."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator

from suwen.core.dataset import Batch
from suwen.learn.mask_augment import LABELLED
from suwen.learn.processes import Part
from suwen.learn.volume_augment import VolumeAugment


class WholeAugment(VolumeAugment):
    """As `VolumeAugment`; there are no masks, targets stay, and what is turned in from outside continues the edge."""

    known: ClassVar[dict[str, dict[str, float]]] = {
        name: settings for name, settings in VolumeAugment.known.items() if name not in LABELLED
    }
    default: ClassVar[dict[str, dict[str, float]]] = {
        name: settings for name, settings in VolumeAugment.default.items() if name not in LABELLED
    }

    def __call__(self, batch: Batch, generator: Generator, part: Part | None = None) -> Batch:
        """A batch whose inputs are changed."""
        inputs = batch["inputs"]
        codes = torch.zeros(len(inputs), *inputs.shape[2:], dtype=torch.uint8, device=inputs.device)
        changed = super().__call__({"inputs": inputs, "target": codes}, generator, part)
        return {**batch, "inputs": changed["inputs"]}

    def reach_of(self, affine: dict[str, float]) -> float:
        """Inputs come as they are used."""
        return 1.0


class TwoVolumeViews(WholeAugment):
    """Two views of each volume, drawn independently: ``inputs`` becomes ``(2, B, C, X, Y, Z)``; the target stays."""

    def __call__(self, batch: Batch, generator: Generator, part: Part | None = None) -> Batch:
        """The batch with its views."""
        views = [super(TwoVolumeViews, self).__call__(batch, generator, part)["inputs"] for _ in range(2)]
        return {**batch, "inputs": torch.stack(views)}
