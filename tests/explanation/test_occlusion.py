from __future__ import annotations

import pytest
import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.explanation.image_parts import ImageParts
from suwen.explanation.occlusion import occlusion


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 4), (7, 3), (5, 5), (32, 1)])
def test_it_is_captums(
    model: Model, asked: nn.Module, images: Tensor, labels: Tensor, window: int, stride: int
) -> None:
    rival = Occlusion(asked).attribute(
        images, (1, window, window), strides=(1, stride, stride), baselines=0.0, target=labels
    )
    found = occlusion(model, images, labels, window=window, stride=stride, baseline="black")
    torch.testing.assert_close(found, rival[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_batches_change_nothing(model: Model, images: Tensor, labels: Tensor, batch: int) -> None:
    expected = occlusion(model, images, labels)
    torch.testing.assert_close(occlusion(model, images, labels, batch=batch), expected, atol=1e-5, rtol=1e-4)


def test_every_pixel_is_covered() -> None:
    for size, stride in ((1, 1), (3, 2), (8, 8), (30, 1), (31, 17)):
        assert ImageParts.windows(torch.zeros(1, 31, 37), min(size, 31), stride).any(0).all()


@pytest.mark.parametrize("given", [{"window": 0}, {"window": 33}, {"window": 4, "stride": 5}, {"stride": 0}])
def test_impossible_windows_are_refused(model: Model, images: Tensor, labels: Tensor, given: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match="window"):
        occlusion(model, images, labels, **given)  # type: ignore[arg-type]
