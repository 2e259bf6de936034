"""Convolutions whose weight gradient is one matrix product compute what PyTorch's do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from suwen.learn.convolution import Convolution, Window, fast_on_small_maps
from suwen.learn.instead import Instead

CPU = torch.device("cpu")
SHAPES = {"side": st.integers(1, 9), "kernel": st.integers(1, 5), "stride": st.integers(1, 3), "pad": st.integers(0, 2)}


@given(**SHAPES, wide=st.integers(0, 2), channels_last=st.booleans(), whole=st.booleans(), biased=st.booleans())
@settings(deadline=None)
def test_output_and_gradients_are_those_of_a_convolution(
    side: int, kernel: int, stride: int, pad: int, wide: int, channels_last: bool, whole: bool, biased: bool
) -> None:
    """In float64, for maps and kernels that are not square either."""
    kernels, strides, pads = (kernel, max(1, kernel - wide)), (stride, 1), (pad, max(0, pad - wide))
    if side + 2 * min(pads) < kernel:
        return
    inputs = torch.randn(2, 3, side, side + wide, dtype=torch.float64)
    if channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(4, 3, *kernels, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    leaves = [each.requires_grad_() for each in (inputs, weight, *([bias] if biased else []))]
    expected = F.conv2d(inputs, weight, bias if biased else None, strides, pads)
    made: Any = Convolution.apply(inputs, weight, bias if biased else None, Window(kernels, strides, pads), whole)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(made, expected)
    gradient = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(each, leaves, gradient) for each in (made, expected))
    torch.testing.assert_close(ours, theirs)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, bool]]:
    """Of each convolution with products: side of its input, output channels, and whether all of it is products."""
    seen: list[tuple[int, int, bool]] = []
    apply = Convolution.apply

    def noted(input: Tensor, weight: Tensor, bias: Tensor | None, window: Window, whole: bool) -> Any:
        seen.append((input.shape[-1], len(weight), whole))
        return apply(input, weight, bias, window, whole)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Convolution, "apply", noted)
    return seen


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
@pytest.mark.parametrize("channels", [10, 256])
@pytest.mark.parametrize(("size", "padding", "stride"), [(4, 1, 1), (5, 0, 2), (8, (1, 1), (2, 2))])
def test_in_bfloat16_they_are_those_of_pytorch(
    used: Any, bias: bool, channels: int, size: int, padding: Any, stride: Any
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, channels, 3, stride, padding, bias=bias).to(memory_format=torch.channels_last)
    images = torch.randn(5, 6, size, size)
    plain, fast = gradients(layer, images, fast=False), gradients(layer, images, fast=True)
    assert used == [(size, channels, channels == 256)]
    for one, other in zip(plain, fast, strict=True):
        assert one.dtype == other.dtype and one.stride() == other.stride()
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
    assert used == [(8, 128, False)]


def test_in_float32_and_without_gradients_pytorch_computes(used: Any) -> None:
    layer, images = conv(), torch.randn(2, 4, 4, 4)
    plain, fast = (gradients(layer, images, fast=fast, bfloat16=False) for fast in (False, True))
    assert used == [] and all(torch.equal(one, other) for one, other in zip(plain, fast, strict=True))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), fast_on_small_maps(CPU):
        assert not layer(images).requires_grad


def test_only_processors_need_it() -> None:
    assert isinstance(fast_on_small_maps(CPU), Instead)
    assert not isinstance(fast_on_small_maps(torch.device("cuda")), Instead)
