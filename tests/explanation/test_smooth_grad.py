from __future__ import annotations

import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import Tensor, nn

from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.explanation.smooth_grad import mean_gradient, smooth_grad


def test_with_the_same_noise_it_is_captums(model: Model, asked: nn.Module, images: Tensor, labels: Tensor) -> None:
    for x, label in zip(images, labels, strict=True):
        torch.manual_seed(3)
        noise = torch.normal(torch.zeros(8, 1, 32, 32), 0.2)
        torch.manual_seed(3)
        tunnel = NoiseTunnel(Saliency(asked))
        rival = tunnel.attribute(
            x[None],
            nt_type="smoothgrad",
            nt_samples=8,
            stdevs=0.2,
            target=int(label),
            abs=False,
            draw_baseline_from_distrib=False,
        )
        torch.testing.assert_close(mean_gradient(model, x, label, noise), rival[0], atol=1e-5, rtol=1e-4)


def test_without_noise_it_is_the_plain_gradient(model: Model, asked: nn.Module, images: Tensor, labels: Tensor) -> None:
    rival = Saliency(asked).attribute(images, target=labels)[:, 0]
    torch.testing.assert_close(
        smooth_grad(model, images, labels, samples=2, deviation=0, smooth=0), rival, atol=1e-5, rtol=1e-4
    )


def test_the_seed_decides(model: Model, images: Tensor, labels: Tensor) -> None:
    first, again, other = (smooth_grad(model, images, labels, samples=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_constant_image_has_a_finite_map_and_nan_is_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    assert smooth_grad(model, torch.zeros(3, 1, 32, 32), labels, samples=3).isfinite().all()
    images[0] = torch.inf
    with pytest.raises(DataError, match="infinite"):
        smooth_grad(model, images, labels)
