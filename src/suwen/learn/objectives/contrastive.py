"""Contrastive learning: two views of one input attract each other, views of different inputs repel (SimCLR)."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.encoder import Encoder
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.learn.objectives.settings import Bounds, objective_settings
from suwen.learn.processes import gathered


class Contrastive(nn.Module):
    """SimCLR (Chen et al. 2020): an encoder, and a projection that is thrown away after pretraining.

    The others that an input is told from are those of the whole batch, also where several processes share it.

    Takes batches whose ``inputs`` are ``(V, B, …)``: V ≥ 2 views of the same B inputs (`suwen.learn.views`).

    Settings (``objective``): ``temperature`` of `nt_xent`; ``projection``, width of the projected space.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {"temperature": (0.2, 0.01, 10.0), "projection": (128.0, 2.0, 8192.0)}

    def __init__(self, encoder: Encoder, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        settings = objective_settings(recipe, self.KNOWN)
        self.encoder, self.head = encoder, head
        self.temperature = settings["temperature"]
        self.project = nn.Sequential(
            nn.Linear(encoder.width, encoder.width, bias=False),
            nn.BatchNorm1d(encoder.width),
            nn.ReLU(),
            nn.Linear(encoder.width, int(settings["projection"]), bias=False),
        )

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": (V, B, P) projections}``."""
        views = batch["inputs"]
        projected = self.project(self.encoder(views.flatten(0, 1)).pooled).float().unflatten(0, views.shape[:2])
        return {"loss": nt_xent(gathered(projected, batch, dim=1), self.temperature), "output": projected}

    def after_step(self) -> None:
        """Nothing to do."""


def nt_xent(projected: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy (Chen et al. 2020, equation 1), averaged over all positive pairs.

    ``ℓ(i, j) = -log( exp(s_ij / τ) / Σ_{k ≠ i} exp(s_ik / τ) )`` with s the cosine similarity, i and j two views of
    one input, and k running over all views of all inputs.

    Args:
        projected: ``(V, B, P)``, V ≥ 2 views.
        temperature: τ.
    """
    views, inputs = projected.shape[:2]
    flat = F.normalize(projected.flatten(0, 1), dim=-1)
    similarity = flat @ flat.T / temperature
    itself = torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    log_p = similarity.masked_fill(itself, -torch.inf).log_softmax(-1)
    source = torch.arange(inputs, device=flat.device).repeat(views)
    positive = (source[:, None] == source) & ~itself
    return -log_p[positive].mean()
