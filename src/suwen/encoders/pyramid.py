"""``suwen:unet``: the way down of a U-Net, for images and volumes: maps from full resolution on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess

MEAN, STD = 0.5, 0.25
"""Normalisation of inputs in [0, 1]."""

CONVOLUTIONS: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
POOLS: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def normalisation(width: int, dims: int) -> nn.Module:
    """Of a batch of images. Patches of volumes come a few at a time, too few for the statistics of a batch: there each
    channel of each patch is normalised by itself, as in nnU-Net (a group norm of one channel a group is that, and on a
    CPU a quarter faster than `torch.nn.InstanceNorm3d`)."""
    return nn.BatchNorm2d(width) if dims == 2 else nn.GroupNorm(width, width)


class Residual(nn.Module):
    """``relu(x' + F(x))``: F is two convolutions of 3 a side with normalisation, x' is x brought to their width.

    Source: He et al., CVPR 2016, figure 2 and option B.
    """

    def __init__(self, given: int, width: int, dims: int) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[dims]
        self.first = nn.Sequential(
            convolution(given, width, 3, padding=1, bias=False), normalisation(width, dims), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(convolution(width, width, 3, padding=1, bias=False), normalisation(width, dims))
        self.around = nn.Identity() if given == width else convolution(given, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, given, *S)`` → ``(B, width, *S)``."""
        return torch.relu(self.around(x) + self.second(self.first(x)))


class UNetEncoder(nn.Module):
    """Residual blocks, with the largest of each 2 × 2 (× 2) between them (U-Net: Ronneberger et al., MICCAI 2015).

    `Features.pooled` is the mean of the coarsest map; `maps` are all of them, the finest at the inputs' own size.

    Args:
        preprocess: has `channels`, and `patch`, whose length says whether inputs are images or volumes.
        weights: must be None; there are no pretrained ones.
        needs: not looked at; maps cost nothing more.
        widths: channels of each level, fine → coarse.
        blocks: of each level.

    Raises:
        RecipeError: weights are asked for, or there is no level.
    """

    licence: str | None = None
    pretrained = False

    def __init__(
        self,
        preprocess: Preprocess,
        *,
        weights: str | None = None,
        needs: frozenset[str] = frozenset(),
        widths: Sequence[int] = (16, 32, 64, 128),
        blocks: int = 1,
    ) -> None:
        super().__init__()
        if weights is not None:
            raise RecipeError(
                f"suwen:unet with weights {weights!r}",
                why="this architecture has no pretrained weights",
                fix="drop --weights; or --encoder run:RUN, or a timm encoder",
            )
        if not widths or min(widths) < 1 or blocks < 1:
            raise RecipeError(
                f"widths {list(widths)}, blocks {blocks}", why="each level has channels", fix="[16, 32, 64]"
            )
        dims = len(getattr(preprocess, "patch", (1, 1)))
        self.config: dict[str, Any] = {"name": "suwen:unet", "widths": list(widths), "blocks": blocks}
        levels = []
        given = int(getattr(preprocess, "channels", 1))
        for width in widths:
            level = [Residual(given if number == 0 else width, width, dims) for number in range(blocks)]
            levels.append(nn.Sequential(*level))
            given = width
        self.levels = nn.ModuleList(levels)
        self.pool = POOLS[dims](2, ceil_mode=True)
        self.width, self.map_widths = widths[-1], tuple(widths)

    def forward(self, inputs: Tensor) -> Features:
        """``(B, C, *S)``, uint8 in [0, 255] or float in [0, 1] → `Features`."""
        x, maps = self.prepare(inputs), []
        for number, level in enumerate(self.levels):
            x = level(self.pool(x) if number else x)
            maps.append(x)
        return Features(pooled=x.flatten(2).mean(2), maps=tuple(maps), size=tuple(inputs.shape[2:]))

    def prepare(self, inputs: Tensor) -> Tensor:
        """Inputs as the network reads them: normalised."""
        x = inputs.float().div(255) if inputs.dtype == torch.uint8 else inputs
        return (x - MEAN) / STD

    def depths(self) -> dict[str, int]:
        """Parameter name → level from the input."""
        return {name: int(name.split(".")[1]) for name, _ in self.named_parameters()}

    def cam_layer(self) -> nn.Module:
        """The coarsest level."""
        return self.levels[-1]
