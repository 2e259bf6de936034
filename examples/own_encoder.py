"""Your own encoder in a notebook: any module that turns images into `Features`.

    python examples/own_encoder.py

A package registers the same class as an entry point instead (see CONTRIBUTING.md), and its Runs then load anywhere.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

import suwen
from suwen.core.features import Features
from suwen.core.registry import ENCODERS


class Patches(nn.Module):
    """``mine:WIDTH``: three strided convolutions, then the mean."""

    licence = None

    def __init__(self, name: str, preprocess: Any, **_: Any) -> None:
        super().__init__()
        self.width = int(name)
        self.map_widths = (self.width,)
        self.config = {"name": f"mine:{name}"}
        widths = (preprocess.channels, 16, 32, self.width)
        steps = [
            layer
            for before, after in pairwise(widths)
            for layer in (nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU())
        ]
        self.steps = nn.Sequential(*steps)

    def forward(self, images: Tensor) -> Features:
        """``(B, C, H, W)`` uint8 or float in [0, 1] → `Features`."""
        x = images.float().div(255) if images.dtype == torch.uint8 else images
        grid = self.steps(x)
        return Features(pooled=grid.mean((2, 3)), maps=(grid,))

    def depths(self) -> dict[str, int]:
        """Parameter name → depth, for layer-wise learning rates."""
        return {name: int(name.split(".")[1]) // 3 for name, _ in self.named_parameters()}

    def cam_layer(self) -> nn.Module:
        """What Grad-CAM weighs."""
        return self.steps


if __name__ == "__main__":
    hospital = suwen.simulate(patients=120, size=64, out="own-encoder/hospital")
    ENCODERS.add("mine", Patches)
    model = suwen.finetune(
        "image-classification", hospital / "films", encoder="mine:64", epochs=2, out="own-encoder/run", overwrite=True
    )
    print(model.predict(hospital / "films" / "images" / "S000000_1.png")[0].to_json())
