"""Channels last in memory, in which convolutions of images are faster. (Those of volumes are not, on a CPU.)"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def channels_last(values: Tensor) -> Tensor:
    """The same values with channels last; those that are no images stay as they are."""
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


def lay_channels_last(module: nn.Module) -> None:
    """Lay the weights of all convolutions of images so, in place."""
    for parameter in module.parameters():
        parameter.data = channels_last(parameter.data)
