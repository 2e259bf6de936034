"""``next-event``: what comes next in a record: after how long, which code, and how high its value."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.features import Features
from suwen.core.prediction import Prediction
from suwen.data.records.token_kernels import BUCKETS, INTERVALS

SHOWN = 10
"""Codes that an answer names."""


class NextEvent(nn.Module):
    """``p(interval | Z) · p(code | Z, interval) · p(decile | Z, interval, code)``, so that events can be drawn one
    after another.

    Args:
        width: D of the tokens.
        labels: none.
        codes: V names of the tokens.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})
    metrics: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, width: int, labels: tuple[str, ...] = (), *, map_widths: tuple[int, ...] = (), codes: list[str]
    ) -> None:
        super().__init__()
        self.labels, self.names = labels, list(codes)
        self.config: dict[str, Any] = {"name": "next-event", "codes": self.names}
        self.interval = nn.Linear(width, INTERVALS)
        self.after = nn.Embedding(INTERVALS, width)
        self.code = nn.Sequential(nn.RMSNorm(width), nn.Linear(width, len(codes)))
        self.coded = nn.Embedding(len(codes), width)
        self.bucket = nn.Sequential(nn.RMSNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, BUCKETS))
        for table in (self.after, self.coded):
            nn.init.normal_(table.weight, std=0.02)

    @staticmethod
    def options_for(dataset: Any, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """The tokens of the vocabulary."""
        return {"codes": list(dataset.preprocess.codes)} | options

    def forward(self, features: Features) -> Tensor:
        """Logits ``(B, V)`` of the code that follows the last token, whenever it does (the likeliest interval)."""
        states = features.pooled
        return self.codes_after(states, self.interval(states).argmax(-1))

    def codes_after(self, states: Tensor, intervals: Tensor) -> Tensor:
        """Logits ``(n, V)`` of the code, the interval being known."""
        logits: Tensor = self.code(states + self.after(intervals))
        return logits

    def buckets_of(self, states: Tensor, intervals: Tensor, codes: Tensor) -> Tensor:
        """Logits ``(n, 11)`` of the decile, 0 being no value, the interval and the code being known."""
        logits: Tensor = self.bucket(states + self.after(intervals) + self.coded(codes))
        return logits

    def losses(self, states: Tensor, intervals: Tensor, codes: Tensor, buckets: Tensor) -> dict[str, Tensor]:
        """Cross-entropies in nats of n events, given the states ``(n, D)`` right before them."""
        return {
            "interval": F.cross_entropy(self.interval(states).float(), intervals),
            "code": F.cross_entropy(self.codes_after(states, intervals).float(), codes),
            "bucket": F.cross_entropy(self.buckets_of(states, intervals, codes).float(), buckets),
        }

    def loss(self, logits: Tensor, target: Any) -> Tensor:
        """0: the loss is the objective's."""
        return logits.new_zeros(())

    def probabilities(self, logits: Tensor, calibration: Calibration) -> Tensor:
        """``(B, V)`` that each code comes next."""
        return logits.softmax(-1)

    def decode(self, logits: Tensor, calibration: Calibration) -> list[Prediction]:
        """The likeliest codes."""
        found = []
        for row in self.probabilities(logits.double(), calibration):
            best = row.topk(min(SHOWN, len(row)))
            chances = dict(zip((self.names[code] for code in best.indices.tolist()), best.values.tolist(), strict=True))
            found.append(Prediction(answer=next(iter(chances)), probabilities=chances))
        return found
