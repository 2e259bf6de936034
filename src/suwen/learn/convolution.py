"""Convolution that learns faster on small maps: its weight gradient is one matrix product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

SMALL, SMALL_OF_MANY, MANY = 4, 8, 128
"""Maps up to so many pixels a side, after the convolution, gain from it; up to so many of so many channels."""

Pair = tuple[int, int]


def fast_on_small_maps(device: torch.device) -> AbstractContextManager[Any]:
    """While it lasts, convolutions in bfloat16 on a CPU compute the gradient of their weights by `weight_gradient`
    where maps are small.

    PyTorch's own (oneDNN 3) spends most of the backward pass there: with 64 images on two cores of a Xeon with
    AMX, 20 to 37 ms for 512 channels of 2 × 2 pixels against 1.2 ms, 8 for 128 of 8 × 8 against 3; from 16 × 16 on
    it is the faster one.
    """
    return SmallMaps() if device.type == "cpu" else nullcontext()


class SmallMaps(TorchFunctionMode):
    """See `fast_on_small_maps`."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """`conv2d` in place of PyTorch's; everything else as it is."""
        given: Mapping[str, Any] = kwargs or {}
        return (conv2d if func is F.conv2d else func)(*args, **given)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: str | int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """As ``torch.nn.functional.conv2d``: ``(B, C, H, W)`` and ``(D, C, h, w)`` to ``(B, D, H', W')``."""
    if _gains(input, weight, stride, padding, dilation, groups):
        assert not isinstance(padding, str)
        cast = [None if each is None else each.to(torch.bfloat16) for each in (input, weight, bias)]
        made: Tensor = _Convolution.apply(*cast, _pair(stride), _pair(padding))
        return made
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def weight_gradient(input: Tensor, gradient: Tensor, kernel: Pair, stride: Pair, padding: Pair) -> Tensor:
    """``dL/dW (D, C, h, w)`` of a convolution of `input` ``(B, C, H, W)``, given ``dL/dŶ`` ``(B, D, H', W')``.

    ``dL/dW = Gᵀ P`` with ``G (B H' W', D)`` and the patches ``P (B H' W', h w C)`` that each output pixel saw (im2col:
    Chellapilla, Puri & Simard 2006). Channels come last, as they lie in memory.
    """
    (height, width), (top, left) = kernel, padding
    padded = F.pad(input.permute(0, 2, 3, 1), (0, 0, left, left, top, top))
    seen = padded.unfold(1, height, stride[0]).unfold(2, width, stride[1])  # (B, H', W', C, h, w)
    patches = seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, height * width * input.shape[1])
    rows = gradient.permute(0, 2, 3, 1).reshape(len(patches), -1)
    return (rows.T @ patches).view(-1, height, width, input.shape[1]).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding, ctx.biased = stride, padding, bias is not None
        return F.conv2d(input, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias = ctx.needs_input_grad[:3]
        back = None
        if of_input:
            mask = (True, False, False)
            shape = (ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1)
            back = torch.ops.aten.convolution_backward(gradient, input, weight, None, *shape, mask)[0]
        found = weight_gradient(input, gradient, weight.shape[2:], ctx.stride, ctx.padding) if of_weight else None
        return back, found, gradient.sum((0, 2, 3)) if of_bias else None, None, None


def _gains(
    input: Tensor, weight: Tensor, stride: int | Pair, padding: str | int | Pair, dilation: int | Pair, groups: int
) -> bool:
    """Whether the matrix product is the faster way and computes the same."""
    plain = groups == 1 and not isinstance(padding, str) and _pair(dilation) == (1, 1) and input.ndim == 4
    if not (plain and weight.requires_grad and torch.is_grad_enabled() and input.device.type == "cpu"):
        return False
    if _precision(input) is not torch.bfloat16:
        return False
    largest = SMALL_OF_MANY if len(weight) >= MANY else SMALL
    sides = zip(input.shape[2:], weight.shape[2:], _pair(stride), _pair(padding), strict=True)  # type: ignore[arg-type]
    return all(1 <= (side + 2 * pad - kernel) // step + 1 <= largest for side, kernel, step, pad in sides)


def _precision(input: Tensor) -> torch.dtype:
    """In which a convolution of `input` is computed."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype


def _pair(size: int | Pair) -> Pair:
    if isinstance(size, int):
        return size, size
    first, *others = size
    return first, others[0] if others else first
