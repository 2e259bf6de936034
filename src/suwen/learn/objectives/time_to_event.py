"""When each of many codes first happens after moments of a history, and beside it which event comes next."""

from __future__ import annotations

from typing import ClassVar

from suwen.core.dataset import Batch
from suwen.core.task import StepOutput
from suwen.learn.objectives.next_event import TellNext
from suwen.learn.objectives.settings import Bounds


class TellWhen(TellNext):
    """Time-to-event pretraining (MOTOR: Steinberg et al., ICLR 2024) with the head ``event-rates``: its targets are
    those of `suwen.data.records.futures.Futures`.

    Settings (``objective``): ``next``, weight of the loss of the next event; ``interval`` and ``bucket`` as there.
    """

    KNOWN: ClassVar[dict[str, Bounds]] = TellNext.KNOWN | {"next": (0.1, 0.0, 10.0)}

    def forward(self, batch: Batch) -> StepOutput:
        """``{"loss": scalar, "output": logits (M, K, T)}``."""
        states, target = self.encoder(batch["inputs"]).tokens, batch["target"]
        assert states is not None
        logits = self.head.rates_after(states[target["tokens"]])
        loss = self.head.likelihood_loss(logits, target["first"], target["follow"])
        self.seen.setdefault("time_loss", []).append(loss.detach())
        if self.settings["next"]:
            loss = loss + self.settings["next"] * self.told(self.head.next, states, batch["inputs"])
        return {"loss": loss, "output": logits}
