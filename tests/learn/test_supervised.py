from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.recipe import Recipe
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.heads.classify import Classify
from suwen.learn.adaptation import ADAPTATIONS
from suwen.learn.supervised import Supervised


@pytest.fixture
def make(tiny: Callable[..., Recipe]) -> Callable[[str], Supervised]:
    def made(adapt: str) -> Supervised:
        torch.manual_seed(0)
        encoder = TimmEncoder("test_resnet", ImagePreprocess(size=16, channels=1))
        ADAPTATIONS[adapt].prepare(encoder, tiny(training={"adapt": adapt}).training)
        return Supervised(encoder, Classify(encoder.width, ("a", "b")), tiny(training={"adapt": adapt}))

    return made


@pytest.fixture
def batch() -> dict[str, Any]:
    return {"inputs": torch.rand(4, 1, 16, 16), "target": torch.tensor([0, 1, 0, 1]), "index": np.arange(4)}


def test_the_loss_is_the_heads_of_the_encoders_features(
    make: Callable[[str], Supervised], batch: dict[str, Any]
) -> None:
    module = make("full").eval()
    found = module(batch)
    expected = module.head(module.encoder(batch["inputs"]))
    torch.testing.assert_close(found["output"], expected)
    torch.testing.assert_close(found["loss"], module.head.loss(expected, batch["target"]))  # type: ignore[operator]
    assert found["loss"].requires_grad


def test_a_frozen_encoder_learns_nothing_and_keeps_its_statistics(
    make: Callable[[str], Supervised], batch: dict[str, Any]
) -> None:
    module = make("head").train()
    before = {key: value.clone() for key, value in module.encoder.state_dict().items()}
    module(batch)["loss"].backward()
    assert all(parameter.grad is None for parameter in module.encoder.parameters())
    assert all(parameter.grad is not None for parameter in module.head.parameters())
    assert all(torch.equal(before[key], value) for key, value in module.encoder.state_dict().items())
    assert module.head.training and not module.encoder.training


def test_a_whole_model_updates_its_statistics(make: Callable[[str], Supervised], batch: dict[str, Any]) -> None:
    module = make("full").train()
    before = {key: value.clone() for key, value in module.encoder.state_dict().items()}
    module(batch)["loss"].backward()
    assert any(not torch.equal(before[key], value) for key, value in module.encoder.state_dict().items())


def test_the_loss_is_float32_in_bfloat16_too(make: Callable[[str], Supervised], batch: dict[str, Any]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert make("full")(batch)["loss"].dtype == torch.float32
