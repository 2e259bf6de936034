"""Test-time views: the same inputs seen a little differently, whose answers are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from suwen.core.errors import NameUnknown

if TYPE_CHECKING:
    from torch import Tensor


View = Callable[["Tensor"], "Tensor"]


def _flip(images: Tensor) -> Tensor:
    return images.flip(-1)


def _shift(down: int, right: int) -> View:
    """Moved by so many fourteenths of the side (2 pixels of 28), edges repeated."""

    def shift(images: Tensor) -> Tensor:
        import torch.nn.functional as F

        height, width = images.shape[-2:]
        pad = max(1, round(max(height, width) / 14))
        framed = F.pad(images.float(), (pad, pad, pad, pad), mode="replicate")
        top, left = pad - down * pad, pad - right * pad
        return framed[..., top : top + height, left : left + width].to(images.dtype)

    return shift


VIEWS: dict[str, tuple[View, ...]] = {
    "flip": (_flip,),
    "shift": (_shift(1, 0), _shift(-1, 0), _shift(0, 1), _shift(0, -1)),
}
"""Name → the views it adds, each ``(B, C, H, W) → (B, C, H, W)``."""


def expand(images: Tensor, names: tuple[str, ...]) -> Iterator[Tensor]:
    """The plain images first, then every combination of the views that `names` ask for."""
    if not names:
        yield images
        return
    name, *others = names
    if name not in VIEWS:
        raise NameUnknown("view", name, VIEWS, fix="--set evaluation.views=[flip]")
    for seen in expand(images, tuple(others)):
        yield seen
        for view in VIEWS[name]:
            yield view(seen)
