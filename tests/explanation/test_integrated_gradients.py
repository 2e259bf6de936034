from __future__ import annotations

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from suwen.core.errors import DataError, RecipeError
from suwen.core.model import Model
from suwen.explanation.image_parts import blurred
from suwen.explanation.integrated_gradients import integrated_gradients


def test_it_is_captums(model: Model, asked: nn.Module, images: Tensor, labels: Tensor) -> None:
    rival = IntegratedGradients(asked).attribute(images, baselines=0.0, target=labels, n_steps=20).sum(1)
    found = integrated_gradients(model, images, labels, steps=20, baseline="black", smooth=0)
    torch.testing.assert_close(found, rival.float(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("baseline", ["blur", "mean", "white"])
def test_the_parts_add_up_to_the_whole(model: Model, images: Tensor, labels: Tensor, baseline: str) -> None:
    start = {
        "blur": torch.stack([blurred(x) for x in images]),
        "mean": images.mean((2, 3), keepdim=True).expand_as(images),
        "white": torch.ones_like(images),
    }[baseline]
    with torch.no_grad():
        gap = (model.logits(images) - model.logits(start)).gather(1, labels[:, None])[:, 0]
    found = integrated_gradients(model, images, labels, steps=128, baseline=baseline)
    torch.testing.assert_close(found.sum((1, 2)), gap, atol=0.05, rtol=0.02)


def test_an_image_that_is_its_own_baseline_has_nothing_to_explain(model: Model, labels: Tensor) -> None:
    constant = torch.full((3, 1, 32, 32), 100, dtype=torch.uint8)
    assert integrated_gradients(model, constant, labels).abs().max() < 1e-5


def test_bad_input_is_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    images[1, 0, 3, 3] = torch.nan
    with pytest.raises(DataError, match="NaN"):
        integrated_gradients(model, images, labels)
    with pytest.raises(RecipeError, match="steps = 0"):
        integrated_gradients(model, images, labels, steps=0)
    with pytest.raises(RecipeError, match="blur"):
        integrated_gradients(model, torch.rand(3, 1, 32, 32), labels, baseline="blurr")
