from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from suwen.core.errors import DataError, RecipeError
from suwen.core.model import Model
from suwen.explanation.blur_integrated_gradients import blur_integrated_gradients
from suwen.explanation.image_parts import ImageParts


def gap(model: Model, images: Tensor, labels: Tensor, widest: float) -> Tensor:
    """What the logits lose by the widest blur."""
    blurred = torch.stack([ImageParts.smooth(x, widest) for x in images])
    with torch.no_grad():
        return (model.logits(images) - model.logits(blurred)).gather(1, labels[:, None])[:, 0]


@pytest.mark.parametrize("widest", [1 / 32, 1 / 8])
def test_the_parts_add_up_to_the_whole(model: Model, images: Tensor, labels: Tensor, widest: float) -> None:
    found = blur_integrated_gradients(model, images, labels, steps=200, widest=widest)
    torch.testing.assert_close(found.sum((1, 2)), gap(model, images, labels, widest), atol=0.05, rtol=0.02)


def test_of_a_linear_model_it_is_the_weight_times_what_blurring_takes_away(
    model: Model, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the way does not matter, and a single step is exact."""
    weight = torch.randn(3, *images.shape[1:], generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(Model, "logits", lambda self, x: torch.einsum("bchw,lchw->bl", x.float(), weight))
    blurred = np.stack([gaussian_filter(x, 4.0, mode="reflect", truncate=3.0, axes=(-2, -1)) for x in images.numpy()])
    expected = (weight[labels] * (images - torch.from_numpy(blurred))).sum(1)
    for steps in (1, 7):
        found = blur_integrated_gradients(model, images, labels, steps=steps, widest=1 / 8, smooth=0)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_constant_image_has_nothing_to_explain(model: Model, labels: Tensor) -> None:
    constant = torch.full((3, 1, 32, 32), 100, dtype=torch.uint8)
    assert blur_integrated_gradients(model, constant, labels).abs().max() < 1e-5


def test_what_cannot_be_blurred_is_refused(
    model: Model, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageParts, "smooth", staticmethod(lambda attribution, share: attribution))
    with pytest.raises(RecipeError, match="cannot be blurred"):
        blur_integrated_gradients(model, images, labels)


def test_bad_input_is_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(RecipeError, match="steps = 0"):
        blur_integrated_gradients(model, images, labels, steps=0)
    with pytest.raises(RecipeError, match="widest = 0"):
        blur_integrated_gradients(model, images, labels, widest=0)
    images[1, 0, 3, 3] = torch.nan
    with pytest.raises(DataError, match="NaN"):
        blur_integrated_gradients(model, images, labels)
