"""Convolutions whose weight gradient is one matrix product compute what PyTorch's do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from suwen.learn import convolution
from suwen.learn.convolution import SmallMaps, fast_on_small_maps, weight_gradient

CPU = torch.device("cpu")
SHAPES = {"side": st.integers(1, 9), "kernel": st.integers(1, 5), "stride": st.integers(1, 3), "pad": st.integers(0, 2)}


@given(**SHAPES, wide=st.integers(0, 2), channels_last=st.booleans())
@settings(deadline=None)
def test_the_product_is_the_gradient(
    side: int, kernel: int, stride: int, pad: int, wide: int, channels_last: bool
) -> None:
    """In float64, for maps and kernels that are not square either."""
    kernels, strides, pads = (kernel, max(1, kernel - wide)), (stride, 1), (pad, max(0, pad - wide))
    if side + 2 * min(pads) < kernel:
        return
    images = torch.randn(2, 3, side, side + wide, dtype=torch.float64)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(4, 3, *kernels, dtype=torch.float64, requires_grad=True)
    made = F.conv2d(images, weight, None, strides, pads)
    gradient = torch.randn_like(made)
    (expected,) = torch.autograd.grad(made, weight, gradient)
    torch.testing.assert_close(weight_gradient(images, gradient, kernels, strides, pads), expected)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the inputs whose weight gradients were products."""
    seen: list[tuple[int, ...]] = []

    def noted(input: Tensor, *rest: Any) -> Tensor:
        seen.append(tuple(input.shape))
        return weight_gradient(input, *rest)

    monkeypatch.setattr(convolution, "weight_gradient", noted)
    yield seen


def gradients(layer: nn.Module, images: Tensor, *, fast: bool, bfloat16: bool = True) -> list[Tensor]:
    layer.zero_grad()
    inputs = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        if fast:
            with fast_on_small_maps(CPU):
                made = layer(inputs)
        else:
            made = layer(inputs)
    (made.float() * torch.linspace(-1, 1, made.numel()).view(made.shape)).sum().backward()
    return [made.detach(), inputs.grad, *(weight.grad for weight in layer.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("size", "padding", "stride"), [(4, 1, 1), (5, 0, 2), (8, (1, 1), (2, 2))])
def test_all_gradients_are_those_of_pytorch(used: Any, bias: bool, size: int, padding: Any, stride: Any) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 10, 3, stride, padding, bias=bias).to(memory_format=torch.channels_last)
    images = torch.randn(5, 6, size, size)
    plain, fast = gradients(layer, images, fast=False), gradients(layer, images, fast=True)
    assert used == [tuple(images.shape)]
    for one, other in zip(plain, fast, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        torch.testing.assert_close(other, one, rtol=0.02, atol=0.02 * float(one.abs().max()))


def conv(**changes: Any) -> nn.Conv2d:
    return nn.Conv2d(**({"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1} | changes))


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (conv(groups=2), 4),
        (conv(dilation=2, padding=2), 4),
        (conv(padding="same"), 4),
        (conv().requires_grad_(False), 4),
        (conv(), 16),
        (conv(), 8),
    ],
    ids=["grouped", "dilated", "named padding", "frozen", "large", "large for few channels"],
)
def test_where_nothing_is_gained_pytorch_computes(used: Any, layer: nn.Conv2d, size: int) -> None:
    images = torch.randn(2, 4, size, size, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16), fast_on_small_maps(CPU):
        layer(images).float().sum().backward()
    assert used == [] and images.grad is not None


def test_many_channels_gain_on_larger_maps_too(used: Any) -> None:
    gradients(conv(out_channels=128), torch.randn(2, 4, 8, 8), fast=True)
    assert used == [(2, 4, 8, 8)]


def test_in_float32_and_without_gradients_pytorch_computes(used: Any) -> None:
    layer, images = conv(), torch.randn(2, 4, 4, 4)
    plain, fast = (gradients(layer, images, fast=fast, bfloat16=False) for fast in (False, True))
    assert used == [] and all(torch.equal(one, other) for one, other in zip(plain, fast, strict=True))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), fast_on_small_maps(CPU):
        assert not layer(images).requires_grad


def test_only_processors_need_it() -> None:
    assert isinstance(fast_on_small_maps(CPU), SmallMaps)
    assert not isinstance(fast_on_small_maps(torch.device("cuda")), SmallMaps)
