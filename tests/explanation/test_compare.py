from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.core.explanation import Method
from suwen.core.model import Model
from suwen.core.registry import EXPLANATIONS
from suwen.explanation.compare import affordable, compare, mean_interval, telling


@pytest.fixture
def corner(model: Model, monkeypatch: pytest.MonkeyPatch) -> Model:
    def logits(self: Model, inputs: Tensor) -> Tensor:
        x = inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs
        said = 40 * (x[:, :, :8, :8].mean((1, 2, 3)) - 0.6)
        return torch.stack([-said, said, torch.full_like(said, -9)], 1)

    monkeypatch.setattr(Model, "logits", logits)
    return model


def pictures(n: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 80, (n, 1, 32, 32), generator=generator, dtype=torch.uint8)
    images[:, :, :8, :8] += 150
    return images


def opposite(model: Model, inputs: Tensor, labels: Tensor) -> Tensor:
    """Points away from the corner."""
    away = torch.ones(len(inputs), 32, 32)
    away[:, :8, :8] = 0
    return away


def test_the_method_that_finds_the_corner_is_best_and_beats_random_maps(corner: Model) -> None:
    found = compare(corner, pictures(), torch.ones(4, dtype=torch.int64), methods=["occlusion"])
    json.dumps(found, allow_nan=False)
    assert found["examples"] == 4 and found["methods"]["occlusion"]["over_random"]["low"] > 0
    assert found["methods"]["occlusion"]["infidelity"] < found["random"]["infidelity"]
    # this model has no weights to shuffle: its maps stay the same, and the check says so
    assert found["methods"]["occlusion"]["sanity"] == pytest.approx(1)
    assert found["best"] is None and not found["beats_random"]


def test_a_map_that_points_away_does_not_beat_them(corner: Model) -> None:
    EXPLANATIONS.add("opposite", Method(name="opposite", summary="", function=opposite))
    try:
        found = compare(corner, pictures(), torch.ones(4, dtype=torch.int64), methods=["opposite"])
    finally:
        del EXPLANATIONS._added["opposite"]
    assert found["methods"]["opposite"]["over_random"]["high"] < 0 and not found["beats_random"]


def test_methods_that_do_not_fit_are_named(model: Model, images: Tensor, labels: Tensor) -> None:
    found = compare(model, images, labels, methods=["attention-rollout", "grad-cam", "counterfactual"])
    assert set(found["methods"]) == {"grad-cam"}
    assert "no attention" in found["skipped"]["attention-rollout"] and "examples" in found["skipped"]["counterfactual"]
    assert found["best"] == "grad-cam"


def test_the_same_seed_gives_the_same_figures(model: Model, images: Tensor, labels: Tensor) -> None:
    first, again = (compare(model, images, labels, methods=["grad-cam"], seed=3) for _ in range(2))
    for found in (first, again):
        del found["methods"]["grad-cam"]["seconds_each"]
    assert first == again


def test_larger_inputs_are_compared_by_fewer_methods() -> None:
    small, _ = affordable(None, 64 * 64, 6)
    large, skipped = affordable(None, 512 * 512, 6)
    assert {"grad-cam", "integrated-gradients", "smooth-grad", "occlusion"} <= set(small)
    assert (
        large
        and set(large) < set(small)
        and "explanation.methods" in skipped["lime"]
        and "examples" in skipped["counterfactual"]
    )
    assert affordable(["lime"], 10**9, 6) == (["lime"], {})


def test_inputs_whose_answer_nothing_moves_take_no_part(corner: Model) -> None:
    images = pictures(4)
    images[1] = 0
    labels = torch.tensor([1, 0, 1, 1])  # a black image stays "clear" when it is blurred
    assert set(telling(corner, images, labels, 9).tolist()) == {0, 2, 3}
    assert len(telling(corner, images, labels, 2)) == 2


def test_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(1, 2, 400)
    found = mean_interval(values.tolist())
    assert found["value"] == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert found["low"] == pytest.approx(values.mean() - half, abs=0.04)
    assert found["high"] == pytest.approx(values.mean() + half, abs=0.04)
