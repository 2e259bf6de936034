"""Every event of a history is told from those before it: interval, code and decile of the value."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.encoder import Encoder
from suwen.core.recipe import Recipe
from suwen.core.task import StepOutput
from suwen.data.records.token_kernels import STATIC
from suwen.learn.objectives.settings import Bounds, objective_settings


class TellNext(nn.Module):
    """Next-event pretraining (CLMBR: Steinberg et al. 2021; ETHOS: Renc et al. 2024): an encoder of packed histories
    and the head ``next-event``.

    Settings (``objective``): ``interval`` and ``bucket``, weights of these losses beside that of the code.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = {"interval": (0.5, 0.0, 10.0), "bucket": (0.5, 0.0, 10.0)}

    def __init__(self, encoder: Encoder, head: Any, recipe: Recipe) -> None:
        super().__init__()
        self.settings = objective_settings(recipe, self.KNOWN)
        self.encoder, self.head = encoder, head
        self.seen: dict[str, list[Tensor]] = {}

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": nats an event, "output": (T, D) states}``."""
        states = self.encoder(batch["inputs"]).tokens
        assert states is not None
        return {"loss": self.told(self.head, states, batch["inputs"]), "output": states}

    def told(self, head: Any, states: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """The loss of all events that have a time and another before them in their sequence."""
        before = followed(inputs)
        after = before + 1
        losses = head.losses(
            states[before], inputs["intervals"][after], inputs["codes"][after], inputs["buckets"][after]
        )
        for name, value in losses.items():
            self.seen.setdefault(f"{name}_loss", []).append(value.detach())
        weighed: Tensor = (
            losses["code"] + self.settings["interval"] * losses["interval"] + self.settings["bucket"] * losses["bucket"]
        )
        return weighed

    def after_step(self) -> None:
        """Nothing to do."""

    def figures(self) -> dict[str, float]:
        """Means of each loss since the last call."""
        found = {name: float(torch.stack(values).mean()) for name, values in self.seen.items()}
        self.seen = {}
        return found


def followed(inputs: dict[str, Tensor]) -> Tensor:
    """int64: tokens that another of their sequence follows which has a time."""
    intervals, offsets = inputs["intervals"], inputs["offsets"].long()
    told = intervals != STATIC
    told[offsets[:-1][offsets[:-1] < len(told)]] = False
    return torch.nonzero(told)[:, 0] - 1
