"""Tiny models with random weights, and pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.model import Model
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.heads.classify import Classify

LABELS = ("clear", "nodule", "opacity")


def build(name: str, size: int = 32, channels: int = 1) -> Model:
    """Random weights, but batch statistics of real inputs."""
    torch.manual_seed(0)
    preprocess = ImagePreprocess(size=size, channels=channels)
    encoder = TimmEncoder(name, preprocess)
    for _ in range(5):
        encoder(torch.rand(8, channels, size, size))
    head = Classify(encoder.width, LABELS)
    nn.init.normal_(head.linear.weight)
    return Model(IMAGE_CLASSIFICATION, preprocess, encoder.eval(), head.eval())


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    return build


@pytest.fixture(scope="session")
def model() -> Model:
    return build("test_resnet")


@pytest.fixture(scope="session")
def vit() -> Model:
    return build("test_vit", 64)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2])


class Asked(nn.Module):
    """Images → logits, as captum wants it."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.parts = nn.ModuleDict(model.parts())

    def forward(self, images: Tensor) -> Tensor:
        return self.model.logits(images)


@pytest.fixture(scope="session")
def asked(model: Model) -> nn.Module:
    return Asked(model)
