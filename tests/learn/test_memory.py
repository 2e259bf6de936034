from __future__ import annotations

import pytest
import torch

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.model import Model
from suwen.core.recipe import TrainingSettings
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.heads.classify import Classify
from suwen.learn.memory import WEIGHT_BYTES, training_bytes


@pytest.fixture
def model() -> Model:
    preprocess = ImagePreprocess(size=64, channels=1)
    encoder = TimmEncoder("test_resnet", preprocess)
    return Model(IMAGE_CLASSIFICATION, preprocess, encoder, Classify(encoder.width, ("a", "b")))


def saved(model: Model, batch: int) -> int:
    """What autograd really keeps, weights left out."""
    own = {weight.untyped_storage().data_ptr() for part in model.parts().values() for weight in part.parameters()}
    found: dict[int, int] = {}
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.head(model.encoder(torch.rand(batch, 1, 64, 64)))
    return sum(size for place, size in found.items() if place not in own)


@pytest.mark.parametrize("batch", [1, 8])
def test_it_is_what_a_step_keeps(model: Model, batch: int) -> None:
    weights = sum(weight.numel() for part in model.parts().values() for weight in part.parameters())
    found = training_bytes(model, (batch, 1, 64, 64), TrainingSettings(average=None), "32-true")
    assert found is not None
    assert found - WEIGHT_BYTES * weights == pytest.approx(saved(model, batch), rel=0.1, abs=4 * weights)


def test_it_grows_with_the_batch_and_halves_in_16_bits(model: Model) -> None:
    settings = TrainingSettings(average=None)
    one, two = (training_bytes(model, (size, 1, 64, 64), settings, "32-true") or 0 for size in (64, 128))
    half = training_bytes(model, (128, 1, 64, 64), settings, "bf16-mixed") or 0
    assert 1.8 < two / one < 2.05 and 0.5 <= half / two < 0.6


def test_the_model_stays_as_it_was(model: Model) -> None:
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    training_bytes(model, (2, 1, 64, 64), TrainingSettings(), "32-true")
    assert all(torch.equal(before[name], value) for name, value in model.encoder.state_dict().items())
