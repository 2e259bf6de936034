from __future__ import annotations

import pytest
import torch
from torch import nn

from suwen.learn.layout import channels_last, lay_channels_last


@pytest.mark.parametrize(
    ("dims", "volumes", "laid"), [(2, False, True), (2, True, True), (3, False, False), (3, True, True)]
)
def test_convolutions_are_laid_channels_last_and_compute_the_same(dims: int, volumes: bool, laid: bool) -> None:
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims](4, 8, 3)
    format_ = {2: torch.channels_last, 3: torch.channels_last_3d}[dims]
    inputs = torch.rand(2, 4, *(6,) * dims)
    before = convolution(inputs)
    lay_channels_last(convolution, volumes=volumes)
    assert convolution.weight.is_contiguous(memory_format=format_) is laid
    assert convolution(inputs).is_contiguous(memory_format=format_) is laid
    assert torch.allclose(convolution(inputs), before, atol=1e-5)


def test_what_is_no_image_stays_as_it_is() -> None:
    table = torch.rand(3, 4)
    assert channels_last(table, volumes=True) is table
