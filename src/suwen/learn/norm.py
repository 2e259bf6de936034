"""Batch normalisation over the whole of a batch that several processes share."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from suwen.learn import processes
from suwen.learn.instead import Instead


def over_whole_batches() -> AbstractContextManager[Any]:
    """While it lasts, every batch normalisation in training, of whatever class, takes its statistics from the parts of
    all processes. `torch.nn.SyncBatchNorm` does so on GPUs alone, and would have to stand in the model's place.
    """
    return Instead(F.batch_norm, batch_norm) if processes.count() > 1 else nullcontext()


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As ``torch.nn.functional.batch_norm``, for ``(B, C, …)`` of which each process has some rows, at least one.

    Means and variances of the parts are joined by Chan, Golub & LeVeque 1983, equation 1.5: with the share ``w`` of
    each part, ``μ = Σ w μᵢ`` and ``σ² = Σ w (σᵢ² + (μᵢ - μ)²)``. Computed in float32 at least.
    """
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    x, channels = input.to(torch.promote_types(input.dtype, torch.float32)), input.shape[1]
    variance, mean = torch.var_mean(x, dim=[0, *range(2, x.ndim)], correction=0)
    size = x.new_tensor([x.numel() / channels])
    parts = _of_all(torch.cat([mean, variance, size]))
    means, variances, sizes = parts[:, :channels], parts[:, channels:-1], parts[:, -1:]
    share = sizes / sizes.sum()
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean).square())).sum(0)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            unbiased = variance * (sizes.sum() / (sizes.sum() - 1).clamp_min(1))
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    shape = (1, channels, *[1] * (x.ndim - 2))
    scale = (variance + eps).rsqrt() * (1 if weight is None else weight.to(x.dtype))
    normed = (x - mean.view(shape)) * scale.view(shape)
    return (normed if bias is None else normed + bias.to(x.dtype).view(shape)).to(input.dtype)


def _of_all(row: Tensor) -> Tensor:
    """``(P, n)``: a row of each process."""
    table = row.new_zeros(processes.count(), len(row))
    own = torch.arange(len(table), device=row.device)[:, None] == processes.rank()
    return processes.total(torch.where(own, row, table))
