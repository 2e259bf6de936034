"""KernelSHAP: Shapley values of segments, by regression."""

from __future__ import annotations

import torch
from torch import Tensor

from suwen.core.model import Model
from suwen.explanation.coalitions import refuse_too_few, shapley, shapley_coalitions
from suwen.explanation.methods import at_least
from suwen.explanation.parts import Game, parts_of


def kernel_shap(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    samples: int = 500,
    segments: str = "slic",
    count: int = 64,
    baseline: str = "blur",
    seed: int = 0,
    batch: int | None = None,
) -> Tensor:
    """Signed attributions that add up to ``f(x) - f(x')`` over the segments.

    Lundberg & Lee 2017, theorem 2; exact where `samples` are enough for all coalitions (2ᵈ - 2 of d segments).

    Args:
        model: any encoder–head pair whose reader has `Parts`.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        samples: coalitions evaluated, besides the whole image and the empty one.
        segments, count: kind and about the number of segments, see `suwen.explanation.image_parts.SEGMENTS`.
        baseline: x', what stands where a segment is removed, see `suwen.explanation.image_parts.BASELINES`.
        seed: of the draws; the same for every image.
        batch: perturbed images evaluated at once.

    Returns:
        ``(B, H, W)``, in logits a segment; every pixel of a segment has the segment's value.

    Raises:
        RecipeError: fewer samples than segments.
    """
    at_least(1, samples=samples, count=count)
    parts = parts_of(model)
    found = []
    for x, label in zip(parts.read(images), labels, strict=True):
        cut = parts.segments(x, segments, count)
        number = int(cut.max()) + 1
        refuse_too_few(samples, number)
        kept, weights = shapley_coalitions(samples, number, torch.Generator().manual_seed(seed))
        ends = torch.tensor([False, True])[:, None].expand(2, number)
        game = Game(model, parts, x, label, parts.baseline(x, baseline), batch)
        none, whole, *_ = values = game.of_segments(torch.cat([ends, kept]), cut)
        found.append(shapley(kept, values[2:], weights, none, whole).float()[cut])
    return torch.stack(found)
