"""Losses of masks, one row each. All are given logits, the share of each code in each pixel, and which pixels count.

Shapes: logits and shares ``(B, codes, *S)``, known ``(B, 1, *S)``. Codes are exclusive; what overlaps is a label, and
``members``, ``(codes, K)``, says which labels a code means; None where each code is one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]

SMOOTH = 1e-5
ALPHA, BETA, GAMMA = 0.7, 0.3, 0.75
"""Of the focal Tversky loss: weights of misses and of false alarms, and the exponent 1/γ with γ = 4/3 (Abraham & Khan,
ISBI 2019, section 3)."""


def cross_entropy(logits: Tensor, shares: Tensor, known: Tensor, members: Tensor | None) -> Tensor:
    """Mean cross-entropy of the pixels that count, over codes."""
    losses = -(shares * logits.log_softmax(1)).sum(1, keepdim=True)
    return (losses * known).sum() / known.sum().clamp_min(1)


def dice(logits: Tensor, shares: Tensor, known: Tensor, members: Tensor | None) -> Tensor:
    """1 - soft Dice, 2 Σpy / (Σp + Σy) over the whole batch, averaged over labels but the background.

    Over the batch, as nnU-Net does in 2-D: in a single patch a label is often absent, and its Dice undefined.
    Source: Milletari et al., 3DV 2016, without squares in the denominator (Drozdzal et al. 2016).
    """
    p, y = _foreground(logits.softmax(1) * known, shares * known, members)
    axes = (0, *range(2, p.ndim))
    overlap, total = (p * y).sum(axes), p.sum(axes) + y.sum(axes)
    return 1 - ((2 * overlap + SMOOTH) / (total + SMOOTH)).mean()


def focal_tversky(logits: Tensor, shares: Tensor, known: Tensor, members: Tensor | None) -> Tensor:
    """(1 - TI)^γ with TI = TP / (TP + α FN + β FP) (Abraham & Khan, ISBI 2019, equations 2 and 3)."""
    p, y = _foreground(logits.softmax(1) * known, shares * known, members)
    axes = (0, *range(2, p.ndim))
    hit, missed, false = (p * y).sum(axes), ((1 - p) * y).sum(axes), (p * (1 - y)).sum(axes)
    index = (hit + SMOOTH) / (hit + ALPHA * missed + BETA * false + SMOOTH)
    return ((1 - index).clamp_min(1e-7) ** GAMMA).mean()


def boundary(logits: Tensor, shares: Tensor, known: Tensor, members: Tensor | None) -> Tensor:
    """Mean of probability times signed distance to the label's surface, negative inside (Kervadec et al., MIDL 2019).

    Distances are in pixels over the patch's side. Where a label is absent it adds nothing.
    """
    p, y = _foreground(logits.softmax(1), shares, members)
    distances = torch.from_numpy(signed_distances(y.detach().cpu().numpy() > 0.5)).to(p.device, p.dtype)
    return (p * distances * known).sum() / known.expand_as(p).sum().clamp_min(1)


def signed_distances(masks: np.ndarray) -> np.ndarray:
    """float32 ``(B, K, *S)``: distance to the surface of each mask, negative inside, as a share of the longest side."""
    found = np.zeros(masks.shape, np.float32)
    for place in np.ndindex(masks.shape[:2]):
        mask = masks[place]
        if mask.any() and not mask.all():
            outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
            found[place] = np.where(mask, 1 - inside, outside) / max(mask.shape)
    return found


def _foreground(p: Tensor, y: Tensor, members: Tensor | None) -> tuple[Tensor, Tensor]:
    """Of each label but the background: the sum over the codes that mean it."""
    if members is None:
        return p[:, 1:], y[:, 1:]
    weights = members[:, 1:].to(p.dtype)
    return torch.einsum("bc...,ck->bk...", p, weights), torch.einsum("bc...,ck->bk...", y, weights)


LOSSES: dict[str, tuple[tuple[float, Loss], ...]] = {
    "ce": ((1.0, cross_entropy),),
    "dice": ((1.0, dice),),
    "dice-ce": ((1.0, dice), (1.0, cross_entropy)),
    "focal-tversky": ((1.0, focal_tversky),),
    "focal-tversky-ce": ((1.0, focal_tversky), (1.0, cross_entropy)),
    "boundary": ((1.0, dice), (1.0, cross_entropy), (0.5, boundary)),
}
"""Name → the terms that are added, each with its weight. The boundary loss alone finds nothing (Kervadec et al.,
section 2.3): it stands beside overlap and cross-entropy."""
