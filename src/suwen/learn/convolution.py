"""Convolution on small maps as matrix products, which learn several times faster in bfloat16 on a CPU.

| maps, after the convolution | as products |
|---|---|
| up to 4 × 4 of 256 channels or more | output, gradient of the weights, gradient of the input |
| other up to 4 × 4; up to 8 × 8 of 128 channels or more | gradient of the weights |
| larger | nothing: PyTorch's own (oneDNN 3) is the faster one |

With 64 images on two cores of a Xeon with AMX, 512 channels of 2 × 2 pixels: output 2.5 ms against 11.0, gradient of
the input 2.2 against 10.4, of the weights 2.5 against 35.7. 128 channels of 8 × 8: of the weights 3.6 against 6.9, but
output 2.4 against 1.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from suwen.learn.instead import Instead

SMALL, SMALL_OF_MANY, MANY, WIDE = 4, 8, 128, 256
"""The bounds of the table: sides in pixels, and output channels."""

Pair = tuple[int, int]


def fast_on_small_maps(device: torch.device) -> AbstractContextManager[Any]:
    """While it lasts, convolutions in bfloat16 on a CPU are computed as the table above says."""
    return Instead(F.conv2d, conv2d) if device.type == "cpu" else nullcontext()


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
    plain = groups == 1 and not isinstance(padding, str) and _pair(dilation) == (1, 1) and input.ndim == 4
    if plain and weight.requires_grad and torch.is_grad_enabled() and _precision(input) is torch.bfloat16:
        window = Window(_pair(weight.shape[2:]), _pair(stride), _pair(padding))  # type: ignore[arg-type]
        side, many = max(window.grid(input.shape)), len(weight)
        if side <= (SMALL_OF_MANY if many >= MANY else SMALL):
            cast = [None if each is None else each.to(torch.bfloat16) for each in (input, weight, bias)]
            made: Tensor = Convolution.apply(*cast, window, side <= SMALL and many >= WIDE)
            return made
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


@dataclass(frozen=True)
class Window:
    """What slides over a map: its rows and columns, its steps, and the zeros around the map."""

    kernel: Pair
    stride: Pair
    padding: Pair

    def grid(self, shape: Sequence[int]) -> Pair:
        """Rows and columns of the places it has on maps ``(B, C, H, W)``."""
        sides = zip(shape[2:], self.kernel, self.stride, self.padding, strict=True)
        rows, columns = ((side + 2 * pad - kernel) // step + 1 for side, kernel, step, pad in sides)
        return rows, columns

    def patches(self, maps: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B H' W', h w C)``, what it sees at each place, channels last as they lie in memory.

        im2col: Chellapilla, Puri & Simard, High performance convolutional neural networks for document processing,
        2006.
        """
        (height, width), (top, left) = self.kernel, self.padding
        padded = F.pad(maps.permute(0, 2, 3, 1), (0, 0, left, left, top, top))
        seen = padded.unfold(1, height, self.stride[0]).unfold(2, width, self.stride[1])  # (B, H', W', C, h, w)
        return seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, height * width * maps.shape[1])

    def summed(self, patches: Tensor, shape: Sequence[int]) -> Tensor:
        """The transpose of `patches`: ``(B H' W', h w C)`` → maps of `shape`, each pixel the sum over its places."""
        (batch, channels, height, width), (top, left) = shape, self.padding
        rows, columns = self.grid(shape)
        padded = patches.new_zeros(batch, height + 2 * top, width + 2 * left, channels)
        parts = patches.view(batch, rows, columns, *self.kernel, channels)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                down, right = self.stride
                padded[:, i : i + down * rows : down, j : j + right * columns : right] += parts[:, :, :, i, j]
        return padded[:, top : top + height, left : left + width].permute(0, 3, 1, 2)


class Convolution(torch.autograd.Function):
    """``Y = P Wᵀ + b`` with the patches ``P (B H' W', h w C)``; ``dL/dW = Gᵀ P`` and ``dL/dP = G W``."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, window: Window, whole: bool) -> Tensor:
        """`whole`: not the gradient of the weights alone is a product."""
        ctx.save_for_backward(input, weight)
        ctx.window, ctx.whole = window, whole
        if not whole:
            return F.conv2d(input, weight, bias, window.stride, window.padding)
        made = F.linear(window.patches(input), _flat(weight), bias)
        return made.view(len(input), *window.grid(input.shape), -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Of input, weight and bias."""
        input, weight = ctx.saved_tensors
        of_input = of_weight = of_bias = None
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, len(weight))
        if ctx.needs_input_grad[0]:
            of_input = _input_gradient(ctx, gradient, rows, input, weight)
        if ctx.needs_input_grad[1]:
            flat = rows.T @ ctx.window.patches(input)
            of_weight = flat.view(len(weight), *ctx.window.kernel, -1).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_input, of_weight, of_bias, None, None


def _input_gradient(ctx: Any, gradient: Tensor, rows: Tensor, input: Tensor, weight: Tensor) -> Tensor:
    window: Window = ctx.window
    if ctx.whole:
        return window.summed(rows @ _flat(weight), input.shape)
    shape = (window.stride, window.padding, (1, 1), False, (0, 0), 1)
    found: Tensor = torch.ops.aten.convolution_backward(gradient, input, weight, None, *shape, (True, False, False))[0]
    return found


def _flat(weight: Tensor) -> Tensor:
    """``(D, C, h, w)`` → ``(D, h w C)``; no copy where channels lie last."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _precision(input: Tensor) -> torch.dtype | None:
    """In which a CPU computes a convolution of `input`; None on another device."""
    if input.device.type != "cpu":
        return None
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype


def _pair(size: int | Sequence[int]) -> Pair:
    if isinstance(size, int):
        return size, size
    return size[0], size[-1]
