"""Decoders: maps of an encoder, fine → coarse, to one map at the finest of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.encoders.pyramid import CONVOLUTIONS, normalisation


def enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    """``(B, C, *S)`` at another size, linearly."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    return F.interpolate(x, size=tuple(size), mode=mode, align_corners=False)


class Block(nn.Sequential):
    """Two times convolution of 3 a side, normalisation, ReLU."""

    def __init__(self, given: int, width: int, dims: int) -> None:
        convolution = CONVOLUTIONS[dims]
        layers: list[nn.Module] = []
        for channels in (given, width):
            layers += [
                convolution(channels, width, 3, padding=1, bias=False),
                normalisation(width, dims),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNetDecoder(nn.Module):
    """The way up of a U-Net (Ronneberger et al., MICCAI 2015, figure 1): fewer channels, enlarge, put the finer map
    beside, `Block`.

    Maps are enlarged linearly to the size of the next one, whatever it is, so that no input size is refused.

    Args:
        map_widths: channels of the maps, fine → coarse.
        width: least channels; each level has those of its map, but not less than these.
        dims: 2 for images, 3 for volumes.
    """

    def __init__(self, map_widths: Sequence[int], width: int, dims: int) -> None:
        super().__init__()
        fewer, blocks, given = [], [], map_widths[-1]
        self.widths = []
        for skip in reversed(map_widths[:-1]):
            level = max(width, min(skip, given))
            fewer.append(CONVOLUTIONS[dims](given, level, 1))
            blocks.append(Block(level + skip, level, dims))
            self.widths.append(level)
            given = level
        self.fewer, self.blocks = nn.ModuleList(fewer), nn.ModuleList(blocks)
        self.widths = self.widths or [given]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Fine → coarse maps to decoded ones, coarse → fine; the last is at the finest map."""
        x, found = maps[-1], []
        for fewer, block, skip in zip(self.fewer, self.blocks, reversed(maps[:-1]), strict=True):
            x = block(torch.cat([enlarged(fewer(x), skip.shape[2:]), skip], 1))
            found.append(x)
        return found or [x]


class FcnDecoder(nn.Module):
    """Each map through one 1 × 1 convolution, enlarged to the finest, and summed (FCN: Long et al., CVPR 2015).

    Args:
        map_widths: channels of the maps, fine → coarse.
        width: channels of the sum.
        dims: 2 for images, 3 for volumes.
    """

    def __init__(self, map_widths: Sequence[int], width: int, dims: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(CONVOLUTIONS[dims](given, width, 1) for given in map_widths)
        self.widths = [width]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """One map, at the finest of those given."""
        size = maps[0].shape[2:]
        summed = torch.stack([enlarged(row(each), size) for row, each in zip(self.lateral, maps, strict=True)]).sum(0)
        return [F.relu(summed)]


DECODERS: dict[str, Callable[[Sequence[int], int, int], nn.Module]] = {"unet": UNetDecoder, "fcn": FcnDecoder}
"""Name → decoder."""
