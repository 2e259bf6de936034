"""Supervised learning as a TaskModule: ``loss = head.loss(head(encoder(x)), y)``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from suwen.core.dataset import Batch
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput


class Supervised(nn.Module):
    """An encoder and a head that learn from targets.

    With ``training.adapt = "head"`` the encoder is frozen: no gradients, and its batch statistics stay as they are.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.frozen = recipe.training.adapt == "head"
        if self.frozen:
            self.encoder.requires_grad_(False)

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": logits}`` of one batch. The loss is computed in float32."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.encoder(batch["inputs"])
        logits = self.head(features).float()
        loss: Any = self.head.loss(logits, batch["target"])  # type: ignore[operator]
        return {"loss": loss, "output": logits}

    def after_step(self) -> None:
        """Nothing to do."""

    def train(self, mode: bool = True) -> Supervised:
        """As usual, but a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self
