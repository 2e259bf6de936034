from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError


def inputs(dims: int, channels: int = 1) -> Any:
    return SimpleNamespace(channels=channels, patch=(32,) * dims, size=32)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("side", [32, 33, 21])
def test_maps_halve_from_the_full_size_on_whatever_it_is(dims: int, side: int) -> None:
    encoder = build_encoder("suwen:unet", inputs(dims, 2), widths=[4, 8, 16])
    features = encoder(torch.rand(2, 2, *[side] * dims))
    assert features.maps is not None and features.size == (side,) * dims
    sides = [math.ceil(side / 2**level) for level in range(3)]
    assert [tuple(each.shape[1:]) for each in features.maps] == [
        (width, *[size] * dims) for width, size in zip((4, 8, 16), sides, strict=True)
    ]
    assert features.pooled.shape == (2, encoder.width)


def test_bytes_and_shares_of_one_are_the_same_input() -> None:
    encoder: Any = build_encoder("suwen:unet", inputs(2), widths=[4]).eval()  # type: ignore[attr-defined]
    images = torch.randint(0, 256, (1, 1, 16, 16), dtype=torch.uint8)
    assert torch.allclose(encoder(images).pooled, encoder(images.float() / 255).pooled)


def test_it_is_built_again_from_its_config() -> None:
    encoder: Any = build_encoder("suwen:unet", inputs(2), widths=[4, 8], blocks=2)
    again: Any = build_encoder(**encoder.config, preprocess=inputs(2))
    again.load_state_dict(encoder.state_dict())
    assert set(encoder.depths().values()) == {0, 1} and encoder.licence is None


def test_weights_and_levels_that_there_are_not_are_refused() -> None:
    with pytest.raises(RecipeError, match="no pretrained weights"):
        build_encoder("suwen:unet", inputs(2), weights="hub")
    with pytest.raises(RecipeError, match="each level has channels"):
        build_encoder("suwen:unet", inputs(2), widths=[])
