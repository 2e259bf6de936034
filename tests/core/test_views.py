from __future__ import annotations

import pytest
import torch

from suwen.core.errors import NameUnknown
from suwen.core.views import VIEWS, expand


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 8, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_flip_mirrors_left_and_right_and_undoes_itself(images: torch.Tensor) -> None:
    (flip,) = VIEWS["flip"]
    assert torch.equal(flip(images)[..., 0], images[..., -1])
    assert torch.equal(flip(flip(images)), images)


def test_shift_moves_a_fourteenth_of_the_side_each_way_and_repeats_the_edge() -> None:
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    down, up, right, left = (view(images) for view in VIEWS["shift"])
    assert torch.equal(down[..., 2:, :], images[..., :-2, :]) and torch.equal(down[..., 1, :], images[..., 0, :])
    assert torch.equal(up[..., :-2, :], images[..., 2:, :]) and torch.equal(up[..., -2, :], images[..., -1, :])
    assert torch.equal(right[..., 2:], images[..., :-2]) and torch.equal(left[..., :-2], images[..., 2:])


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_view_keeps_shape_and_type(images: torch.Tensor, name: str, dtype: torch.dtype) -> None:
    for view in VIEWS[name]:
        seen = view(images.to(dtype))
        assert seen.shape == images.shape and seen.dtype == dtype


def test_the_plain_images_come_first_then_every_combination(images: torch.Tensor) -> None:
    seen = list(expand(images, ("flip", "shift")))
    assert len(seen) == (1 + 1) * (1 + 4) and seen[0] is images
    assert len({view.numpy().tobytes() for view in seen}) == len(seen)


def test_an_unknown_view_offers_the_nearest(images: torch.Tensor) -> None:
    with pytest.raises(NameUnknown, match="did you mean flip"):
        list(expand(images, ("flips",)))
