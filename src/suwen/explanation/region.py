"""What a drawn region rests on: the question of a mask made one of labels, so that every method can be asked.

The answer explained is the mean of the logits over the region, a label at a time: ``f_k(x) = 1/|R| Σ_{p ∈ R} z_k(p)``
(Vinogradova et al., Grad-CAM for segmentation, AAAI 2020, equation 3, with the mean for the sum).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.errors import DataError, NameUnknown
from suwen.core.features import Features
from suwen.core.model import Model
from suwen.data.case import DensePreprocess
from suwen.heads.draw import Drawn, draw


class RegionHead(nn.Module):
    """A head of masks, asked about one region.

    Args:
        head: `suwen.heads.segment.Segment`.
        region: bool ``(*S)``, of the size of the inputs.
    """

    region: Tensor

    def __init__(self, head: Any, region: np.ndarray) -> None:
        super().__init__()
        self.head = head
        self.labels, self.needs, self.config, self.metrics = head.labels, head.needs, head.config, head.metrics
        self.register_buffer("region", torch.from_numpy(region.astype(np.float32)), persistent=False)

    def forward(self, features: Features) -> Tensor:
        """``(B, K)``: logits averaged over the region; where labels overlap, the log-odds of each."""
        logits: Tensor = self.head(features)
        axes = tuple(range(2, logits.ndim))
        region: Tensor = self.region
        codes: Tensor = (logits * region).sum(axes)[:, : len(self.head.codebook)] / region.sum()
        members: Tensor | None = self.head.members
        return codes if members is None else log_odds(codes, members)

    def probabilities(self, logits: Tensor, calibration: Any) -> Tensor:
        """``(B, K)``, as of pixels."""
        if self.head.members is not None:
            return torch.sigmoid(logits / calibration.temperature)
        found: Tensor = self.head.probabilities(logits, calibration)
        return found


def log_odds(logits: Tensor, members: Tensor) -> Tensor:
    """Logits ``(B, codes)`` → ``(B, K)``: log p / (1 - p) with p the softmax of all codes that mean a label."""
    spread = logits[..., None].expand(*logits.shape, members.shape[1])
    with_it, others = (spread.masked_fill(~chosen, -torch.inf).logsumexp(1) for chosen in (members, ~members))
    return with_it - others


@dataclass(frozen=True)
class Region:
    """A window around what was drawn of one label.

    Attributes:
        model: asked about the region: logits ``(B, K)``.
        pixels: uint8 ``(C, *S)`` of the window.
        label: whose region it is.
        drawn: the whole mask.
    """

    model: Model
    pixels: np.ndarray
    label: str
    drawn: Drawn


def region_of(model: Model, source: Any, label: str | None) -> Region:
    """The window in which most of a label was drawn; of the label with most pixels unless one is named.

    Raises:
        NameUnknown: there is no such label.
        DataError: nothing was drawn of it, so that there is no region to ask about.
    """
    preprocess: DensePreprocess = model.preprocess  # type: ignore[assignment]
    opened = preprocess.open(source)
    pixels = preprocess.prepare(opened)
    drawn = draw(model, pixels, opened.grid)
    labels = model.head.labels
    if label is not None and label not in labels[1:]:
        raise NameUnknown("label", label, labels[1:])
    codes = draw(model, pixels, type(opened.grid)(pixels.shape[1:])).codes
    codebook = model.head.codebook  # type: ignore[attr-defined]
    counts = codebook.counts(np.bincount(codes.ravel(), minlength=len(codebook)))
    chosen = int(counts[1:].argmax()) + 1 if label is None else labels.index(label)
    if not counts[chosen]:
        raise DataError(
            f"nothing was drawn of {labels[chosen] if label else 'any label'}",
            why="an explanation says what a drawn region rests on, and there is none",
            fix="--label with one that was drawn, or another input",
        )
    mask = codebook.mask(codes, chosen)
    window = _window(mask, preprocess.window)
    head = RegionHead(model.head, mask[window])
    asked = replace(model, head=head, views=(), engine=None, domain=None)  # type: ignore[arg-type]
    return Region(asked, pixels[(slice(None), *window)], labels[chosen], drawn)


def _window(mask: np.ndarray, size: tuple[int, ...]) -> tuple[slice, ...]:
    """A window around the middle of a mask's largest crowd, inside the image."""
    places = np.argwhere(mask)
    middle = places[np.abs(places - np.median(places, axis=0)).sum(axis=1).argmin()]
    found = []
    for centre, side, whole in zip(middle, size, mask.shape, strict=True):
        start = int(np.clip(centre - side // 2, 0, max(0, whole - side)))
        found.append(slice(start, min(start + side, whole)))
    return tuple(found)
