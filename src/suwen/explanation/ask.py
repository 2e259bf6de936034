"""Logits, probabilities and gradients of chosen labels, in batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from suwen.core.model import Model, evaluating

ELEMENTS = 2**18
"""Elements evaluated at once: 64 films of 64 px. Larger batches gain nothing on two cores and cost memory."""


def batch_of(shape: tuple[int, ...]) -> int:
    """How many inputs of this shape are evaluated at once."""
    return max(1, ELEMENTS // max(1, math.prod(shape)))


def scores(model: Model, inputs: Any, labels: Tensor, *, batch: int) -> Tensor:
    """float32 ``(N,)``: the logit of each input's label. This is what every method explains."""
    return _asked(model, inputs, labels, batch, lambda logits: logits)


def probabilities(model: Model, inputs: Any, labels: Tensor, *, batch: int) -> Tensor:
    """float32 ``(N,)``: the calibrated probability of each input's label."""
    return _asked(model, inputs, labels, batch, lambda logits: model.head.probabilities(logits, model.calibration))


def gradients(model: Model, inputs: Tensor, labels: Tensor, *, batch: int) -> Tensor:
    """``∂ logit / ∂ input``, of the inputs' shape."""
    found = []
    with evaluating(model.parts().values()), torch.enable_grad():
        for some, asked in zip(torch.split(inputs, batch), torch.split(labels, batch), strict=True):
            leaf = some.detach().to(model.device).requires_grad_(True)
            chosen = model.logits(leaf).gather(1, asked.to(model.device)[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, leaf)
            found.append(gradient.float().cpu())
    return torch.cat(found)


def _channels_last(inputs: Tensor) -> Tensor:
    """Images with their channels innermost, which convolves about 1.5 times as fast on processors.

    ``contiguous(memory_format=…)`` leaves an image of one channel as it is, since its strides fit both orders.
    """
    if inputs.ndim != 4:
        return inputs
    n, c, h, w = inputs.shape
    return torch.empty_strided((n, c, h, w), (c * h * w, 1, w * c, c), dtype=inputs.dtype, device=inputs.device).copy_(
        inputs
    )


def _asked(model: Model, inputs: Any, labels: Tensor, batch: int, say: Callable[[Tensor], Tensor]) -> Tensor:
    found = []
    with evaluating(model.parts().values()), torch.inference_mode():
        for some, asked in zip(torch.split(inputs, batch), torch.split(labels, batch), strict=True):
            said = say(model.logits(_channels_last(some.to(model.device))).float())
            found.append(said.gather(1, asked.to(model.device)[:, None])[:, 0].cpu())
    return torch.cat(found)
