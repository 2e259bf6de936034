"""Whether two engines give the same answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from suwen.core.engine import Engine

TOLERANCE = 1e-4
"""Largest difference of logits and pooled features from torch's that counts as the same answer; of values larger than
1 it is a share."""

BATCHES = (1, 3, 64)
"""Sizes tried: one as in use, and others than the one that a graph was traced with."""


def differences(engine: Engine, reference: Engine, batches: Sequence[Tensor]) -> dict[str, float]:
    """Largest difference over some batches: ``{"logits": …, "pooled": …}``, relative where values exceed 1.

    What is not a number counts as infinitely different, unless both say so.
    """
    found = {"logits": 0.0, "pooled": 0.0}
    for inputs in batches:
        for name, ours, theirs in zip(found, engine(inputs), reference(inputs), strict=True):
            found[name] = max(found[name], _difference(ours, theirs))
    return found


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    scale = theirs.abs().amax().clamp(min=1)
    gap = torch.where(ours.isnan() & theirs.isnan(), 0.0, (ours - theirs).abs() / scale)
    return float(gap.nan_to_num(nan=float("inf"), posinf=float("inf")).amax()) if gap.numel() else 0.0
