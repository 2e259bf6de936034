"""``pulse:small``: waves → Features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from suwen.core.errors import NameUnknown
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess

WIDTHS = {"small": 16, "large": 64}


class PulseEncoder(nn.Module):
    """Three strided convolutions along time. Inputs are waves ``(B, 1, samples)``."""

    def __init__(
        self, name: str, preprocess: Preprocess, *, weights: str | None = None, needs: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        if name not in WIDTHS:
            raise NameUnknown("pulse encoder", name, WIDTHS)
        self.config: dict[str, Any] = {"name": f"pulse:{name}"}
        self.width = WIDTHS[name]
        self.map_widths: tuple[int, ...] = ()
        self.licence: str | None = None
        self.layers = nn.Sequential(
            nn.Conv1d(1, self.width, 15, stride=2, padding=7),
            nn.ReLU(),
            nn.Conv1d(self.width, self.width, 15, stride=2, padding=7),
            nn.ReLU(),
            nn.Conv1d(self.width, self.width, 15, padding=7),
            nn.ReLU(),
        )

    def forward(self, waves: Tensor) -> Features:
        """``(B, 1, samples)`` → pooled ``(B, D)`` and tokens ``(B, samples / 4, D)``."""
        tokens = self.layers(waves).transpose(1, 2)
        return Features(pooled=tokens.mean(1), tokens=tokens)

    def depths(self) -> dict[str, int]:
        """Parameter name → number of its layer."""
        return {name: int(name.split(".")[1]) // 2 for name, _ in self.named_parameters()}

    def cam_layer(self) -> nn.Module:
        """The last feature map."""
        return self.layers[-1]
