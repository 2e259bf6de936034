"""LIME: a linear model of the answer, fitted nearby."""

from __future__ import annotations

import torch
from torch import Tensor

from suwen.core.model import Model
from suwen.explanation.coalitions import draw_evenly, proximity, refuse_too_few, ridge
from suwen.explanation.methods import at_least
from suwen.explanation.parts import Game, parts_of


def lime(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    samples: int = 500,
    segments: str = "slic",
    count: int = 64,
    width: float = 0.25,
    ridge_strength: float = 1.0,
    baseline: str = "blur",
    seed: int = 0,
    batch: int | None = None,
) -> Tensor:
    """Signed attributions: the coefficients of a ridge regression of the logit on which segments are kept.

    Ribeiro et al. 2016, equation 2, with the kernel of section 3.3 and, for the sparse model, a ridge, as their own
    implementation uses for images.

    Args:
        model: any encoder–head pair whose reader has `Parts`.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        samples: perturbed images, each keeping every segment with probability 1/2.
        segments, count: kind and about the number of segments, see `suwen.explanation.image_parts.SEGMENTS`.
        width: of the proximity kernel.
        ridge_strength: of the penalty on squared coefficients.
        baseline: what stands where a segment is removed, see `suwen.explanation.image_parts.BASELINES`.
        seed: of the draws; the same for every image.
        batch: perturbed images evaluated at once.

    Returns:
        ``(B, H, W)``, in logits a segment; every pixel of a segment has the segment's value.

    Raises:
        RecipeError: fewer samples than segments.
    """
    at_least(1, samples=samples, count=count)
    at_least(1e-6, width=width)
    at_least(0, ridge_strength=ridge_strength)
    parts = parts_of(model)
    found = []
    for x, label in zip(parts.read(images), labels, strict=True):
        cut = parts.segments(x, segments, count)
        number = int(cut.max()) + 1
        refuse_too_few(samples, number)
        kept = draw_evenly(samples, number, torch.Generator().manual_seed(seed))
        values = Game(model, parts, x, label, parts.baseline(x, baseline), batch).of_segments(kept, cut)
        found.append(ridge(kept, values, proximity(kept, width), ridge_strength).float()[cut])
    return torch.stack(found)
