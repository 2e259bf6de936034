from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from suwen.learn.instead import Instead


def test_only_the_one_function_is_replaced_and_only_while_it_lasts() -> None:
    layers, x = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), torch.randn(3, 2)
    expected = layers(x)
    with Instead(F.linear, lambda input, weight, bias=None: F.linear(input, weight, bias) + 1):
        shifted = layers[0](x)
        assert torch.equal(F.relu(x), x.clamp_min(0))
    torch.testing.assert_close(shifted, layers[0](x) + 1)
    assert torch.equal(layers(x), expected)
