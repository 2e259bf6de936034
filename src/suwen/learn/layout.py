"""Channels last in memory, in which convolutions of images are faster, and in fp32 on a CPU those of volumes too.

A step of ``suwen:unet`` on two patches of 64³ voxels, on two cores of an AMD EPYC 7003 (AVX2): 4.2 s, and 2.5 s with
channels last. In bfloat16 on a Xeon with AMX volumes are the faster as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of axes of an image, or a volume, with batch and channels."""


def channels_last(values: Tensor, *, volumes: bool = False) -> Tensor:
    """The same values with channels last; those that are no images (or volumes, if asked for) stay as they are."""
    laid = values.ndim == 4 or (volumes and values.ndim == 5)
    return values.contiguous(memory_format=FORMATS[values.ndim]) if laid else values


def lay_channels_last(module: nn.Module, *, volumes: bool = False) -> None:
    """Lay the weights of all convolutions of images (and of volumes, if asked for) so, in place."""
    for parameter in module.parameters():
        parameter.data = channels_last(parameter.data, volumes=volumes)
