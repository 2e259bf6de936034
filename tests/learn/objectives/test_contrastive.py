from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import RecipeError
from suwen.learn.objectives.contrastive import Contrastive, nt_xent


def by_the_formula(projected: np.ndarray, temperature: float) -> float:
    """Equation 1 of the paper, one pair at a time."""
    views, inputs, _ = projected.shape
    unit = projected / np.linalg.norm(projected, axis=-1, keepdims=True)
    flat = [(source, unit[view, source]) for view in range(views) for source in range(inputs)]
    losses = []
    for i, (source, z) in enumerate(flat):
        below = sum(math.exp(z @ other / temperature) for k, (_, other) in enumerate(flat) if k != i)
        for j, (same, other) in enumerate(flat):
            if j != i and same == source:
                losses.append(-math.log(math.exp(z @ other / temperature) / below))
    return float(np.mean(losses))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(1, 6), st.integers(2, 5), st.floats(0.1, 2), st.integers(0, 10_000))
def test_the_loss_is_that_of_the_paper(views: int, inputs: int, width: int, temperature: float, seed: int) -> None:
    projected = np.random.default_rng(seed).normal(size=(views, inputs, width))
    assert float(nt_xent(torch.from_numpy(projected), temperature)) == pytest.approx(
        by_the_formula(projected, temperature), rel=1e-6
    )


def test_agreeing_views_cost_less_than_disagreeing_ones() -> None:
    one = torch.eye(4)
    agree, disagree = torch.stack([one, one]), torch.stack([one, one.roll(1, 0)])
    assert nt_xent(agree, 0.1) < 0.01 < nt_xent(disagree, 0.1)


def test_encoder_and_projection_learn(flat: Any, embed: Any, recipe: Any, batch: Any) -> None:
    module = Contrastive(flat, embed, recipe())
    module(batch(torch.rand(2, 5, 1, 4, 4)))["loss"].backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_an_unknown_setting_offers_the_nearest(flat: Any, embed: Any, recipe: Any) -> None:
    with pytest.raises(RecipeError, match="did you mean temperature"):
        Contrastive(flat, embed, recipe(temprature=0.1))
    with pytest.raises(RecipeError, match=r"from 0\.01 to 10"):
        Contrastive(flat, embed, recipe(temperature=0))
