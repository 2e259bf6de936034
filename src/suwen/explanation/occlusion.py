"""Occlusion: what the logit loses when a window is covered."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from suwen.core.model import Model
from suwen.explanation.parts import Game, Parts, parts_of


def occlusion(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    window: int | None = None,
    stride: int | None = None,
    baseline: str = "blur",
    batch: int | None = None,
) -> Tensor:
    """Signed attributions: ``f(x) - f(x with the window covered)``, averaged over the windows that hold an element.

    Zeiler & Fergus 2014, section 4.2.

    Args:
        model: any encoder–head pair whose reader has `Parts`.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        window: side of the window in pixels; an eighth of an image, a quarter of a volume, unless given.
        stride: pixels from one window to the next; half a window unless given.
        baseline: what covers, see `suwen.explanation.image_parts.BASELINES`.
        batch: windows evaluated at once.

    Returns:
        ``(B, H, W)``, in logits.
    """
    parts = parts_of(model)
    found = []
    for x, label in zip(parts.read(images), labels, strict=True):
        game = Game(model, parts, x, label, parts.baseline(x, baseline), batch)
        found.append(cover(game, windows_of(parts, x, window, stride)))
    return torch.stack(found)


def windows_of(parts: type[Parts], x: Any, window: int | None, stride: int | None) -> Tensor:
    """The windows of these settings, or of their defaults."""
    window = window if window is not None else max(1, min(parts.shape(x)) // parts.WINDOW)
    return parts.windows(x, window, stride if stride is not None else max(1, window // 2))


def cover(game: Game, windows: Tensor) -> Tensor:
    """Windows ``(N, *S)`` bool → attributions ``S``: the mean loss over the windows that hold each element."""
    whole = torch.ones(1, *game.shape, dtype=torch.bool)
    values = game(torch.cat([whole, ~windows]))
    held = windows.flatten(1).float()
    total = (values[0] - values[1:]) @ held
    return (total / held.sum(0).clamp_min(1)).reshape(game.shape)
