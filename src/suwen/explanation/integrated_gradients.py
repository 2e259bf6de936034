"""Integrated gradients: what each element adds on the straight way from a baseline to the input."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from suwen.core.model import Model
from suwen.explanation.ask import batch_of, gradients
from suwen.explanation.methods import at_least
from suwen.explanation.parts import parts_of


def integrated_gradients(
    model: Model, images: Tensor, labels: Tensor, *, steps: int = 32, baseline: str = "blur", smooth: float = 1 / 64
) -> Tensor:
    """Signed attributions that add up to ``f(x) - f(x')``.

    ``(x - x') ∫₀¹ ∂f(x' + α (x - x')) / ∂x dα`` (Sundararajan et al. 2017, equation 1), summed over channels; the
    integral by Gauss-Legendre quadrature, which is exact for polynomials of degree ``2 steps - 1``.

    Args:
        model: any encoder that lets gradients through, and its head.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        steps: points of the quadrature.
        baseline: x', see `suwen.explanation.image_parts.BASELINES`.
        smooth: share of the side by which the map is blurred, since single pixels are noisy; the sum stays.

    Returns:
        ``(B, H, W)``, in logits.
    """
    at_least(1, steps=steps)
    parts = parts_of(model)
    batch = batch_of(parts.shape(images[0]))
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    along = (steps, *[1] * (images.ndim - 1))
    alphas = torch.from_numpy((1 + nodes) / 2).float().reshape(along)
    shares = torch.from_numpy(weights / 2).float().reshape(along)
    found = []
    for x, label in zip(parts.read(images), labels, strict=True):
        start = parts.baseline(x, baseline)
        slopes = gradients(model, start + alphas * (x - start), label.expand(steps), batch=batch)
        found.append((shares * slopes).sum(0) * (x - start))
    return parts.smooth(torch.stack(found).sum(1), smooth)
