"""`Network`: encoder and head as one module, and inputs to try it with."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.model import Model


class Network(nn.Module):
    """``Z = C(X)``, ``WᵀZ + b`` in one graph: raw inputs → logits and pooled features, as float32.

    Normalisation is the encoder's, so it is part of the graph. Pooled features are an output because a Model measures
    on them whether an input is foreign.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.encoder: Any = model.encoder
        self.head: Any = model.head
        self.eval()

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, …)`` → logits ``(B, K)``, pooled ``(B, D)``."""
        features = self.encoder(inputs)
        return self.head(features).float(), features.pooled.float()


def probes(model: Model, count: int, *, seed: int = 0) -> Tensor:
    """`count` made-up images as the Model's preprocessing gives them, uint8 ``(count, C, H, W)``.

    By turns noise, smooth clouds, and one even grey: what a network answers to noise alone says little.

    Raises:
        RecipeError: the Model does not read images.
    """
    size, channels = getattr(model.preprocess, "size", None), getattr(model.preprocess, "channels", None)
    if size is None or channels is None:
        raise RecipeError(
            f"the task {model.task.name} reads no images",
            why="only networks that read images of one size can be exported yet",
            fix="suwen predict RUN FILE --engine torch",
        )
    draw = torch.Generator().manual_seed(seed)
    noise = torch.rand(count, channels, size, size, generator=draw)
    clouds = F.interpolate(torch.rand(count, channels, 4, 4, generator=draw), size=(size, size), mode="bilinear")
    even = torch.rand(count, 1, 1, 1, generator=draw).expand(-1, channels, size, size)
    kinds = torch.stack([noise, clouds, even], 1)
    chosen = kinds[torch.arange(count), torch.arange(count) % 3]
    return (chosen * 255).round().to(torch.uint8)
