"""SmoothGrad: the gradient, averaged over noisy copies of the input."""

from __future__ import annotations

import torch
from torch import Tensor

from suwen.core.model import Model
from suwen.explanation.ask import batch_of, gradients
from suwen.explanation.methods import at_least
from suwen.explanation.parts import parts_of


def smooth_grad(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    samples: int = 32,
    deviation: float = 0.05,
    smooth: float = 1 / 64,
    seed: int = 0,
) -> Tensor:
    """How fast the logit changes with each pixel, in either direction, near the image.

    ``|1/n Σ ∂f(x + N(0, σ²)) / ∂x|`` (Smilkov et al. 2017, section 2), summed over channels, with σ a share of the
    image's own range. A constant image has no range, and gets its plain gradient.

    Args:
        model: any encoder that lets gradients through, and its head.
        images: ``(B, C, H, W)``, uint8 or float in [0, 1].
        labels: ``(B,)`` label numbers.
        samples: n.
        deviation: σ as a share of the range.
        smooth: share of the side by which the map is blurred, since single pixels are noisy.
        seed: of the noise.

    Returns:
        ``(B, H, W)``, in logits for the whole range of brightness; not negative.
    """
    at_least(1, samples=samples)
    at_least(0, deviation=deviation)
    generator = torch.Generator().manual_seed(seed)
    found = []
    parts = parts_of(model)
    for x, label in zip(parts.read(images), labels, strict=True):
        noise = torch.randn(samples, *x.shape, generator=generator) * (deviation * (x.max() - x.min()))
        found.append(mean_gradient(model, x, label, noise))
    return parts.smooth(torch.stack(found).abs().sum(1), smooth)


def mean_gradient(model: Model, x: Tensor, label: Tensor, noise: Tensor) -> Tensor:
    """``(C, H, W)``: the gradient averaged over ``x + noise``, noise ``(N, C, H, W)``."""
    return gradients(model, x + noise, label.expand(len(noise)), batch=batch_of(tuple(x.shape[1:]))).mean(0)
