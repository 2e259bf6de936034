"""Small Models with batch statistics that are not the defaults, and Runs of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.model import Model
from suwen.core.run import Run
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.heads.classify import Classify

LABELS = ("clear", "nodule", "opacity")


def make_model(encoder: str = "test_resnet", *, seed: int = 0, size: int = 32) -> Model:
    """An untrained image classifier."""
    torch.manual_seed(seed)
    preprocess = ImagePreprocess(size=size, channels=1)
    made = TimmEncoder(encoder, preprocess)
    for _ in range(3):
        made(torch.rand(4, 1, size, size))
    head = Classify(made.width, LABELS)
    return Model(IMAGE_CLASSIFICATION, preprocess, made.eval(), head.eval())


@pytest.fixture(scope="session")
def make() -> Callable[..., Model]:
    return make_model


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = Run(tmp_path / "run")
    found.save(make_model())
    return found
