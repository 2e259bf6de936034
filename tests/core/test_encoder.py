from __future__ import annotations

import pytest

from suwen.core.encoder import build_encoder
from suwen.core.errors import NameUnknown, RecipeError
from suwen.data.preprocess import ImagePreprocess

INPUTS = ImagePreprocess(size=32, channels=1)


@pytest.mark.parametrize("name", ["resnet18", "resnet18:", "weights.pt"])
def test_a_name_without_a_family_says_how_encoders_are_named(name: str) -> None:
    with pytest.raises(RecipeError, match="has no family") as refused:
        build_encoder(name, INPUTS)
    assert "timm" in refused.value.fix and "FAMILY:NAME" in refused.value.why


def test_an_unknown_family_offers_the_nearest() -> None:
    with pytest.raises(NameUnknown, match="did you mean timm"):
        build_encoder("tim:resnet18", INPUTS)


def test_options_reach_the_family() -> None:
    encoder = build_encoder("timm:test_resnet", INPUTS, stem="plain", needs=frozenset({"maps"}))
    assert encoder.config["stem"] == "plain" and len(encoder.map_widths) > 1
