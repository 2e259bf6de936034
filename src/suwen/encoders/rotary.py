"""Rotary embedding of time: what a token attends to depends on how many days lie between."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0
"""Su et al., RoFormer, 2021, section 3.2.2: θᵢ = 10000^(-2i/d)."""


def rotations(ages: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``(T, width / 2)`` of ``ages · θ``, in float32 whatever the autocast.

    Ages in days turn the fastest pair by one radian a day and the slowest by one in 27 years (`BASE` days), as FEMR
    does (``fixed_pos_embedding``; Wornow et al., EHRSHOT, 2023).

    Args:
        ages: float32 (T,), days; differences within a sequence are all that counts.
        width: of a head, even.
    """
    steps = torch.arange(0, width, 2, device=ages.device, dtype=torch.float32) / width
    angles = ages.float()[:, None] * BASE**-steps
    return angles.cos(), angles.sin()


def rotate(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair (i, i + d/2) of ``(T, H, d)``; the dtype stays."""
    first, second = states.float().chunk(2, dim=-1)
    cosines, sines = cosines[:, None], sines[:, None]
    turned = torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
    return turned.to(states.dtype)
