from __future__ import annotations

import pytest
import torch

from suwen.core.encoder import build_encoder
from suwen.core.errors import NameUnknown
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.encoders.own import OWN


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("size", [28, 64])
def test_an_own_encoder_is_recorded_as_what_it_is_made_of(name: str, size: int) -> None:
    inputs = ImagePreprocess(size=size, channels=1)
    encoder = build_encoder(f"suwen:{name}", inputs)
    assert isinstance(encoder, TimmEncoder) and encoder.config["name"].startswith("timm:")
    again = build_encoder(**encoder.config, preprocess=inputs)
    assert isinstance(again, TimmEncoder)
    again.load_state_dict(encoder.state_dict())
    images = torch.rand(1, 1, size, size)
    with torch.inference_mode():
        assert torch.equal(encoder.eval()(images).pooled, again.eval()(images).pooled)


def test_the_narrow_resnet_has_half_the_channels_and_a_quarter_of_the_weights() -> None:
    inputs = ImagePreprocess(size=28, channels=1)
    narrow, whole = (build_encoder(name, inputs) for name in ("suwen:resnet18-narrow", "timm:resnet18"))
    sizes = [sum(weight.numel() for _, weight in encoder.named_parameters()) for encoder in (narrow, whole)]
    assert narrow.width * 2 == whole.width and 3.8 < sizes[1] / sizes[0] < 4.2


def test_options_of_the_recipe_win() -> None:
    encoder = build_encoder("suwen:resnet18-narrow", ImagePreprocess(size=28, channels=1), stem="small")
    assert encoder.config["stem"] == "small"


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(NameUnknown, match="did you mean resnet18-narrow"):
        build_encoder("suwen:resnet18", ImagePreprocess(size=28, channels=1))
