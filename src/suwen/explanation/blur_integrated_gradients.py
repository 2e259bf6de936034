"""Blur integrated gradients: what each pixel adds while a blurred image becomes sharp."""

from __future__ import annotations

import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.explanation.ask import batch_of, gradients
from suwen.explanation.methods import at_least
from suwen.explanation.parts import parts_of


def blur_integrated_gradients(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 32,
    widest: float = 3 / 64,
    smooth: float = 1 / 32,
) -> Tensor:
    """Signed attributions that add up to ``f(x) - f(x blurred)``, up to the error of the quadrature.

    ``∫ ∂f(z_σ) / ∂z · ∂z_σ / ∂σ dσ`` from the widest blur to none, with ``z_σ`` the image under a Gaussian of deviation
    σ (Xu, Venugopalan & Sundararajan, Attribution in scale and space, 2020, section 3), summed over channels; by the
    midpoint rule over equal steps of σ. The way leads through images that are blurred less and less, not through
    mixtures of a blurred and a sharp one; a finding enters when the blur gets narrower than it.

    Args:
        model: any encoder that lets gradients through, and its head.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        steps: of the way.
        widest: the largest σ, as a share of the longer side.
        smooth: share of the side by which the map is blurred, since single pixels are noisy; the sum stays.

    Returns:
        ``(B, H, W)``, in logits.

    Raises:
        RecipeError: fewer than one step, no blur, or inputs without neighbours that could be blurred into each other.
    """
    at_least(1, steps=steps)
    at_least(1e-6, widest=widest)
    parts = parts_of(model)
    batch = batch_of(parts.shape(images[0]))
    found = []
    for x, label in zip(parts.read(images), labels, strict=True):
        way = torch.stack([parts.smooth(x, widest * step / steps) for step in range(steps + 1)])
        if x.max() > x.min() and torch.equal(way[0], way[-1]):
            raise RecipeError(
                f"inputs read by {model.task.reader!r} cannot be blurred",
                why="their elements have no neighbours",
                fix="--method integrated-gradients",
            )
        slopes = gradients(model, (way[:-1] + way[1:]) / 2, label.expand(steps), batch=batch)
        found.append((slopes * (way[:-1] - way[1:])).sum(0))
    return parts.smooth(torch.stack(found).sum(1), smooth)
