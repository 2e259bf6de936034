"""A small Model of the real kind, with random weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.calibration import Calibration
from suwen.core.model import Model
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.heads.classify import Classify

LABELS = ("clear", "nodule", "opacity")


@pytest.fixture
def make_model() -> Callable[..., Model]:
    """`make_model(encoder)`: an image classifier whose batch statistics and calibration are not the defaults."""

    def make(encoder: str = "test_resnet", *, size: int = 32, views: tuple[str, ...] = ()) -> Model:
        torch.manual_seed(0)
        preprocess = ImagePreprocess(size=size, channels=1)
        made = TimmEncoder(encoder, preprocess)
        for _ in range(3):
            made(torch.rand(4, 1, size, size))
        head = Classify(made.width, LABELS, class_weights=[1.0, 2.0, 3.0], dropout=0.1)
        calibration = Calibration(temperature=1.7, coverage=0.8, quantile=0.6)
        card = {"licence": "CC BY-NC 4.0", "data": {"fingerprint": "abc"}}
        return Model(IMAGE_CLASSIFICATION, preprocess, made.eval(), head.eval(), calibration, views, card)

    return make
