from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch import Tensor

from suwen.core.explanation import Method
from suwen.core.model import Model
from suwen.explanation.methods import INTEGRATED_GRADIENTS
from suwen.explanation.sanity import LIMIT, rank_correlation, sanity, shuffled


def test_shuffling_keeps_each_layers_weights_and_leaves_the_model_alone(model: Model) -> None:
    before = {name: tensor.clone() for name, tensor in model.parts()["encoder"].state_dict().items()}
    other = shuffled(model, seed=0)
    moved = 0
    for name, tensor in other.parts()["encoder"].named_parameters():
        assert torch.equal(tensor.flatten().sort()[0], before[name].flatten().sort()[0])
        moved += not torch.equal(tensor, before[name])
    assert moved > 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.parts()["encoder"].state_dict().items())


def test_rank_correlation_is_spearmans_of_magnitudes() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(6, 6)), rng.normal(size=(6, 6))
    expected = np.corrcoef(rankdata(abs(one)), rankdata(abs(other)))[0, 1]
    assert rank_correlation(one, other) == pytest.approx(expected)
    assert rank_correlation(one, -one) == pytest.approx(1) and rank_correlation(one, np.ones((6, 6))) == 0


def brightness(model: Model, inputs: Tensor, labels: Tensor) -> Tensor:
    """Explains every model alike."""
    return inputs.float().mean(1)


def test_a_map_of_the_image_alone_fails_and_one_of_the_model_passes(
    model: Model, images: Tensor, labels: Tensor
) -> None:
    blind = Method(name="brightness", summary="", function=brightness)
    assert sanity(model, blind, images, labels, brightness(model, images, labels).numpy()) == pytest.approx(1)
    maps = INTEGRATED_GRADIENTS(model, images, labels).numpy()
    assert sanity(model, INTEGRATED_GRADIENTS, images, labels, maps) < LIMIT
