from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.explanation.coalitions import (
    draw_evenly,
    proximity,
    refuse_too_few,
    ridge,
    shapley,
    shapley_coalitions,
    shapley_kernel,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shapley_by_definition(value: Callable[[frozenset[int]], float], d: int) -> list[float]:
    """The mean gain of joining, over all orders (Shapley 1953)."""
    found = [0.0] * d
    for order in itertools.permutations(range(d)):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            found[player] += (value(before | {player}) - value(before)) / math.factorial(d)
    return found


def solve(value: Callable[[frozenset[int]], float], d: int, samples: int) -> Tensor:
    kept, weights = shapley_coalitions(samples, d, generator())
    values = torch.tensor([value(frozenset(row.nonzero()[:, 0].tolist())) for row in kept])
    none, whole = torch.tensor(value(frozenset())), torch.tensor(value(frozenset(range(d))))
    return shapley(kept, values, weights, none, whole)


@given(st.lists(st.floats(-5, 5), min_size=32, max_size=32))
@settings(max_examples=30, deadline=None)
def test_all_coalitions_give_the_shapley_values_of_any_game(table: list[float]) -> None:
    def value(coalition: frozenset[int]) -> float:
        return table[sum(1 << player for player in coalition)]

    expected = torch.tensor(shapley_by_definition(value, 5), dtype=torch.float64)
    torch.testing.assert_close(solve(value, 5, 30), expected, atol=1e-4, rtol=1e-4)


def test_drawn_coalitions_come_near_and_add_up_exactly() -> None:
    rng = np.random.default_rng(0)
    alone, together = rng.normal(size=9), rng.normal(size=(9, 9))

    def value(coalition: frozenset[int]) -> float:
        return float(sum(alone[i] for i in coalition) + sum(together[i, j] for i in coalition for j in coalition))

    exact, drawn = solve(value, 9, 510), solve(value, 9, 300)
    assert float(drawn.sum()) == pytest.approx(value(frozenset(range(9))), abs=1e-4)
    assert float((drawn - exact).abs().max()) < 0.1 * float(exact.abs().max())


def test_the_kernel_is_lundbergs() -> None:
    kept = torch.tensor(list(itertools.product((False, True), repeat=4)))
    for row, weight in zip(kept, shapley_kernel(kept).tolist(), strict=True):
        s = int(row.sum())
        assert weight == (0 if s in (0, 4) else pytest.approx(3 / (math.comb(4, s) * s * (4 - s))))


def test_sizes_are_drawn_as_often_as_the_kernel_weighs_them() -> None:
    kept, weights = shapley_coalitions(20_000, 20, generator())
    assert torch.equal(weights, torch.ones(20_000, dtype=torch.float64))
    assert torch.equal(kept[0::2], ~kept[1::2])
    sizes = torch.arange(1, 20)
    expected = 1 / (sizes * (20 - sizes)).double()
    found = torch.bincount(kept.sum(1), minlength=20)[1:20].double()
    torch.testing.assert_close(found / found.sum(), expected / expected.sum(), atol=0.01, rtol=0)


@given(st.integers(0, 1000), st.floats(0.01, 10))
@settings(max_examples=20, deadline=None)
def test_ridge_is_scikit_learns(seed: int, strength: float) -> None:
    kept = draw_evenly(60, 9, generator(seed))
    values, weights = torch.randn(60, generator=generator(seed)), proximity(kept, 0.25)
    rival = Ridge(alpha=strength).fit(kept.numpy(), values.double().numpy(), weights.numpy())
    np.testing.assert_allclose(ridge(kept, values, weights, strength).numpy(), rival.coef_, atol=1e-8)


def test_the_whole_weighs_most_and_nothing_least() -> None:
    kept = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    assert proximity(kept, 0.25).tolist() == pytest.approx(
        [1, math.exp(-((1 - 0.5**0.5) ** 2) / 0.0625), math.exp(-16)]
    )


def test_fewer_samples_than_segments_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"--samples 320"):
        refuse_too_few(63, 64)
    refuse_too_few(64, 64)
