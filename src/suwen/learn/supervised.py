"""Supervised learning as a TaskModule: ``loss = head.loss(head(encoder(x)), y)``."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from suwen.core.dataset import Batch
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput


class Supervised(nn.Module):
    """An encoder and a head that learn from targets.

    What an adaptation froze stays as it is: an encoder none of whose parameters learns is in evaluation mode
    throughout, and batch normalisations whose own weights do not learn keep their statistics.
    """

    cacheable: bool = True
    """Whether its loss is the head's alone, so that features which were computed once do in place of the inputs."""

    def __init__(self, encoder: nn.Module, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.frozen = not any(parameter.requires_grad for parameter in encoder.parameters())

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": logits}`` of one batch. The loss is computed in float32."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.encoder(batch["inputs"])
        logits = self.head(features).float()
        loss: Any = self.head.loss(logits, batch["target"])  # type: ignore[operator]
        return {"loss": loss, "output": logits}

    def after_step(self) -> None:
        """Nothing to do."""

    def fixed(self) -> frozenset[str]:
        """Names of the encoder's parameters that training does not change."""
        frozen = (name for name, parameter in self.encoder.named_parameters() if not parameter.requires_grad)
        return frozenset(f"encoder.{name}" for name in frozen)

    def train(self, mode: bool = True) -> Supervised:
        """As usual, but what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        for layer in self.encoder.modules():
            if isinstance(layer, _BatchNorm) and layer.affine and not layer.weight.requires_grad:
                layer.eval()
        return self
