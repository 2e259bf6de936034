"""Self-distillation: a student guesses, from one view, what a slowly following teacher says of another (DINO)."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.learn.objectives.settings import Bounds, objective_settings
from suwen.learn.processes import mean


class SelfDistillation(nn.Module):
    """DINO (Caron et al. 2021) with centring and sharpening.

    The encoder that was handed in becomes the **teacher**, which the paper found better than its student throughout:
    it is what is evaluated as training runs, and what the Run keeps. The student is a copy that is thrown away.

    Takes batches whose ``inputs`` are ``(V, B, …)``, V ≥ 2; the teacher sees the first two views, the student all.

    Settings (``objective``): ``prototypes``, K outputs; ``student`` and ``teacher`` temperatures, the latter reached
    over the first ``warmup`` optimizer steps; ``momentum`` of the teacher, ``centre`` of the centre (section 3.1).
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {
        "prototypes": (1024.0, 2.0, 65536.0),
        "student": (0.1, 0.01, 1.0),
        "teacher": (0.05, 0.01, 1.0),
        "cold": (0.03, 0.01, 1.0),
        "warmup": (300.0, 0.0, 1e6),
        "momentum": (0.99, 0.0, 1.0),
        "centre": (0.9, 0.0, 1.0),
    }
    centre: Tensor
    steps: Tensor

    def __init__(self, encoder: Any, head: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.settings = objective_settings(recipe, self.KNOWN)
        prototypes = int(self.settings["prototypes"])
        self.encoder, self.head = encoder, head
        self.project = Prototypes(encoder.width, prototypes)
        self.student = nn.ModuleDict({"encoder": copy.deepcopy(encoder), "project": copy.deepcopy(self.project)})
        self.register_buffer("centre", torch.zeros(prototypes))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        for part in self._teacher().values():
            part.requires_grad_(False)

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": (2, B, K) teacher's logits}``."""
        views = batch["inputs"]
        said = self._say(self.student["encoder"], self.student["project"], views)
        with torch.no_grad():
            heard = self._say(self.encoder, self.project, views[:2])
            target = ((heard - self.centre) / self._teacher_temperature()).softmax(-1)
            if self.training:
                self.centre.lerp_(mean(heard.mean((0, 1)), batch), 1 - self.settings["centre"])
        log_p = (said / self.settings["student"]).log_softmax(-1)
        return {"loss": cross_views(target, log_p), "output": heard}

    @torch.no_grad()
    def after_step(self) -> None:
        """The teacher follows, ``θ_t ← m θ_t + (1 - m) θ_s``; m rises at first, so that the start is forgotten."""
        self.steps += 1
        steps = int(self.steps)
        share = 1 - min(self.settings["momentum"], (1 + steps) / (10 + steps))
        for name, teacher in self._teacher().items():
            theirs = self.student[name].state_dict()
            for key, value in teacher.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(theirs[key], share)
                else:
                    value.copy_(theirs[key])

    def train(self, mode: bool = True) -> SelfDistillation:
        """As usual, but the teacher's batch statistics are the student's averaged, not its own."""
        super().train(mode)
        for part in self._teacher().values():
            part.eval()
        return self

    def _teacher(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "project": self.project}

    def _say(self, encoder: nn.Module, project: nn.Module, views: Tensor) -> Tensor:
        logits: Tensor = project(encoder(views.flatten(0, 1)).pooled).float()
        return logits.view(*views.shape[:2], -1)

    def _teacher_temperature(self) -> float:
        """Low at first: a sharp teacher keeps an untrained network from saying the same of everything."""
        warm = min(1.0, int(self.steps) / max(1.0, self.settings["warmup"]))
        return self.settings["cold"] + (self.settings["teacher"] - self.settings["cold"]) * warm


class Prototypes(nn.Module):
    """Three layers, L2 normalisation, and K weight-normalised prototypes (Caron et al. 2021, section 3.2)."""

    def __init__(self, width: int, prototypes: int, hidden: int = 256, bottleneck: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.directions = nn.Parameter(torch.randn(prototypes, bottleneck))

    def forward(self, pooled: Tensor) -> Tensor:
        """``(B, D)`` → cosines ``(B, K)``."""
        return F.normalize(self.layers(pooled), dim=-1) @ F.normalize(self.directions, dim=-1).T


def cross_views(target: Tensor, log_p: Tensor) -> Tensor:
    """Mean of ``-Σ_k p_t(k) log p_s(k)`` over pairs of different views (Caron et al. 2021, equation 3).

    Args:
        target: ``(T, B, K)`` teacher's probabilities of the first T views.
        log_p: ``(V, B, K)`` student's log-probabilities of all views.
    """
    losses = -torch.einsum("tbk,sbk->ts", target, log_p) / target.shape[1]
    other = ~torch.eye(*losses.shape, dtype=torch.bool, device=losses.device)
    return losses[other].mean()
