"""Test-time views: the same inputs seen a little differently, whose answers are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from suwen.core.errors import NameUnknown

if TYPE_CHECKING:
    from torch import Tensor


def _shifted(rows: int, columns: int) -> Callable[[Tensor], Tensor]:
    def shift(images: Tensor) -> Tensor:
        import torch.nn.functional as F

        pad = max(abs(rows), abs(columns))
        height, width = images.shape[-2:]
        framed = F.pad(images.float(), (pad, pad, pad, pad), mode="replicate")
        return framed[..., pad + rows : pad + rows + height, pad + columns : pad + columns + width].to(images.dtype)

    return shift


VIEWS: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "flip": (lambda images: images.flip(-1),),
    "shift": (_shifted(-1, 0), _shifted(1, 0), _shifted(0, -1), _shifted(0, 1)),
}
"""Name → the views it adds to the plain one, each ``(B, C, H, W) → (B, C, H, W)``."""


def expand(images: Tensor, names: tuple[str, ...]) -> Iterator[Tensor]:
    """The plain images, then each view that `names` ask for."""
    yield images
    for name in names:
        if name not in VIEWS:
            raise NameUnknown("view", name, VIEWS, fix="--set evaluation.views=[flip]")
        for view in VIEWS[name]:
            yield view(images)
