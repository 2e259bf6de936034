"""Counterfactual: what would have to look as in the nearest example of another answer."""

from __future__ import annotations

import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.explanation.neighbours import Examples, as_tensor, nearest
from suwen.explanation.occlusion import cover, windows_of
from suwen.explanation.parts import Game, parts_of


def counterfactual(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    examples: Examples | None = None,
    window: int | None = None,
    stride: int | None = None,
    batch: int | None = None,
) -> Tensor:
    """Signed attributions: the logits lost when a window is replaced by the same window of the nearest other example.

    The idea of Goyal et al. 2019 (which region of a distractor image, put here, changes the answer), without a search
    for the matching place: it supposes that the inputs lie alike, as films of one projection do.

    Args:
        model: any encoder–head pair whose reader has `Parts`.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        examples: where the other example is looked for.
        window, stride, batch: as of `suwen.explanation.occlusion.occlusion`.

    Returns:
        ``(B, H, W)``, in logits.

    Raises:
        RecipeError: no examples were given.
    """
    if examples is None:
        raise RecipeError(
            "a counterfactual without examples",
            why="a Run keeps no training inputs (they may be private); the nearest other example must come from you",
            fix="--examples FOLDER",
        )
    parts = parts_of(model)
    found = []
    for x, label, (row,) in zip(parts.read(images), labels, nearest(model, images, labels, examples), strict=True):
        other = parts.read(as_tensor(examples.inputs[row])[None])[0]
        found.append(cover(Game(model, parts, x, label, other, batch), windows_of(parts, x, window, stride)))
    return torch.stack(found)
