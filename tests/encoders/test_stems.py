from __future__ import annotations

import pytest
import torch

from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.encoders.stems import has_small_stem

MAPS = frozenset({"maps"})


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("test_resnet", {"small": 32, "half": 16, "plain": 16}),
        ("densenet121", {"small": 32, "half": 16, "plain": 16}),
        ("test_efficientnet", {"small": 32, "half": 16, "plain": 16}),
        ("test_convnext", {"small": 32, "plain": 8}),
        ("test_vit", {"small": 8, "half": 4, "plain": 2}),
    ],
)
def test_a_small_stem_keeps_more_of_the_resolution_of_small_images(name: str, sides: dict[str, int]) -> None:
    for stem, side in sides.items():
        encoder = TimmEncoder(name, ImagePreprocess(size=32, channels=1), needs=MAPS, stem=stem)  # type: ignore[arg-type]
        with torch.inference_mode():
            assert encoder.eval()(torch.zeros(1, 1, 32, 32)).maps[0].shape[-1] == side


def test_half_a_stem_still_spares_the_max_pool() -> None:
    for stem, coarsest in (("small", 4), ("half", 2), ("plain", 1)):
        encoder = TimmEncoder("test_resnet", ImagePreprocess(size=28, channels=1), stem=stem)  # type: ignore[arg-type]
        with torch.inference_mode():
            assert encoder.eval()(torch.zeros(1, 1, 28, 28)).maps[-1].shape[-1] == coarsest


@pytest.mark.parametrize(("size", "stem"), [(28, "small"), (63, "small"), (64, "plain"), (224, "plain")])
def test_the_small_stem_is_for_images_under_64_px(size: int, stem: str) -> None:
    encoder = TimmEncoder("test_resnet", ImagePreprocess(size=size, channels=1))
    assert encoder.config["stem"] == stem and encoder.config["resize"] is None


def test_a_family_without_a_small_stem_sees_small_images_enlarged_fourfold() -> None:
    assert not has_small_stem("regnetx_002") and has_small_stem("resnet18.a1_in1k")
    encoder = TimmEncoder("regnetx_002", ImagePreprocess(size=28, channels=1)).eval()
    assert (encoder.config["stem"], encoder.config["resize"]) == ("plain", 112)
    images = torch.rand(1, 1, 28, 28)
    enlarged = torch.nn.functional.interpolate(images, size=112, mode="bilinear")
    as_large = TimmEncoder("regnetx_002", ImagePreprocess(size=112, channels=1)).eval()
    as_large.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images).pooled, as_large(enlarged).pooled)
