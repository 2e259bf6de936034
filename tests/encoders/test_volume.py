from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from suwen.core.encoder import build_encoder
from suwen.core.errors import NameUnknown, RecipeError
from suwen.encoders.volume import NETWORKS
from suwen.heads.segment import Segment

pytest.importorskip("monai")


def inputs(dims: int, side: int = 32, channels: int = 1) -> Any:
    return SimpleNamespace(channels=channels, patch=(side,) * dims, size=side)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dims", [2, 3])
def test_every_network_gives_features_and_is_built_again_from_its_config(name: str, dims: int) -> None:
    side = 64 if name in ("swinunetr", "basicunet") else 32
    given = inputs(dims, side)
    encoder: Any = build_encoder(f"monai:{name}", given).eval()  # type: ignore[attr-defined]
    batch = torch.randint(0, 256, (2, 1, *[side] * dims), dtype=torch.uint8)
    again: Any = build_encoder(**encoder.config, preprocess=given).eval()  # type: ignore[attr-defined]
    again.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        features, same = encoder(batch), again(batch)
    assert features.pooled.shape == (2, encoder.width) and torch.equal(features.pooled, same.pooled)
    if NETWORKS[name].width is None:
        assert features.maps is None and encoder.map_widths == ()
        return
    assert features.maps[0].shape == (2, 16, *[side] * dims)
    head = Segment(encoder.width, ("background", "organ"), map_widths=encoder.map_widths, dims=dims).eval()
    with torch.inference_mode():
        assert head(features).shape == (2, 2, *[side] * dims)


def test_what_a_network_does_not_take_is_refused() -> None:
    with pytest.raises(NameUnknown, match="did you mean segresnet"):
        build_encoder("monai:segresnett", inputs(3))
    with pytest.raises(RecipeError, match="does not take these options"):
        build_encoder("monai:segresnet", inputs(3), filters=8)
    with pytest.raises(RecipeError, match="cannot read patches of 20 x 20 x 20"):
        build_encoder("monai:swinunetr", inputs(3, 20))
    with pytest.raises(RecipeError, match="pickles"):
        build_encoder("monai:unet", inputs(3), weights="hub")


def test_a_resnet_has_no_maps_and_cannot_draw() -> None:
    encoder = build_encoder("monai:resnet10", inputs(3))
    with pytest.raises(RecipeError, match="without maps"):
        Segment(encoder.width, ("background", "organ"), map_widths=encoder.map_widths, dims=3)
