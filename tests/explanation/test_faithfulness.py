from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captums_infidelity
from torch import Tensor, nn

from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.explanation.faithfulness import Gauge, Removals, infidelity, measure
from suwen.explanation.parts import parts_of


def gauge_of(model: Model, image: Tensor, label: int, baseline: str = "black") -> Gauge:
    return Gauge.of(model, parts_of(model).read(image[None])[0], torch.tensor(label), baseline)


def probability(model: Model, image: Tensor, label: int) -> float:
    with torch.no_grad():
        return float(model.logits(image[None]).softmax(1)[0, label])


def test_curves_are_those_of_a_plain_loop(model: Model, images: Tensor) -> None:
    attribution = np.random.default_rng(0).random((32, 32))
    order = np.argsort(-attribution.ravel())
    deletion, insertion = gauge_of(model, images[0], 1).curves(attribution, steps=8)
    for step in range(9):
        first = np.zeros(1024, bool)
        first[order[: step * 128]] = True
        mask = torch.from_numpy(first.reshape(32, 32))
        assert deletion[step] == pytest.approx(probability(model, images[0] * ~mask, 1), abs=1e-5)
        assert insertion[step] == pytest.approx(probability(model, images[0] * mask, 1), abs=1e-5)


def test_areas_are_trapezoids_and_the_gain_is_their_difference(model: Model, images: Tensor) -> None:
    gauge, attribution = gauge_of(model, images[0], 1), np.random.default_rng(0).random((32, 32))
    deletion, _ = gauge.curves(attribution, 8)
    found = gauge.areas(attribution, 8)
    area = sum((a + b) / 2 / 8 for a, b in pairwise(deletion))
    assert found["deletion"] == pytest.approx(area)
    assert found["gain"] == pytest.approx(found["insertion"] - found["deletion"])
    # a map turned round swaps the two curves, read backwards
    turned = gauge.areas(-attribution, 8)
    assert turned["gain"] == pytest.approx(-found["gain"], abs=1e-5)


def test_infidelity_is_captums_as_a_share(model: Model, asked: nn.Module, images: Tensor) -> None:
    removals = gauge_of(model, images[0], 2).removals(count=20)
    masks = torch.from_numpy(removals.removed).float()[:, None]
    # a map that points the right way, as the scale may not be negative
    attribution = (masks[:, 0] * torch.from_numpy(removals.loss).float()[:, None, None]).mean(0)

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return masks, inputs * (1 - masks)

    theirs = captums_infidelity(
        asked,
        perturb,
        images[:1],
        attribution[None, None],
        target=2,
        n_perturb_samples=20,
        max_examples_per_batch=20,
        normalize=True,
    )
    ours = infidelity(attribution.numpy(), removals)
    assert ours == pytest.approx(float(theirs) / float((removals.loss**2).mean()), rel=1e-3)


def test_the_truth_has_no_infidelity_and_zeros_and_its_opposite_all_of_it() -> None:
    rng = np.random.default_rng(0)
    truth, removed = rng.normal(size=(6, 6)), rng.random((40, 6, 6)) < 0.3
    removals = Removals(removed, (removed * truth).sum((1, 2)))
    assert infidelity(7 * truth, removals) == pytest.approx(0, abs=1e-12)
    assert infidelity(np.zeros((6, 6)), removals) == infidelity(-truth, removals) == 1


def test_random_maps_stand_beside(model: Model, images: Tensor, labels: Tensor) -> None:
    found = measure(model, images[:1], labels[:1], np.random.default_rng(0).random((32, 32)))
    names = {"deletion", "insertion", "gain", "infidelity"}
    assert set(found) == names | {f"random_{name}" for name in names}
    assert found == measure(model, images[:1], labels[:1], np.random.default_rng(0).random((32, 32)))


def test_a_map_with_nan_is_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(DataError, match="NaN"):
        measure(model, images[:1], labels[:1], np.full((32, 32), np.nan))
