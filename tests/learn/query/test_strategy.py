"""What every strategy promises, and the places it chooses from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.registry import STRATEGIES
from suwen.learn.query.strategy import Places, Pool, Posterior, Strategy, ranked
from suwen.learn.query.uncertainty import entropy_of


def make_pool(n: int = 60, *, labels: int = 3, seed: int = 0, multi_label: bool = False, labelled: int = 5) -> Pool:
    rng = np.random.default_rng(seed)
    p = rng.random((n, labels)) if multi_label else rng.dirichlet(np.ones(labels), n)
    samples = np.stack([rng.random((n, labels)) if multi_label else rng.dirichlet(np.ones(labels), n) for _ in "abc"])
    return Pool(
        probabilities=p,
        multi_label=multi_label,
        features=rng.normal(size=(n, 8)).astype(np.float32),
        labelled=rng.normal(size=(labelled, 8)).astype(np.float32),
        subjects=rng.integers(0, n // 2, n),
        posterior=Posterior(
            mean=samples.mean(0), entropy=entropy_of(samples, multi_label).mean(0), samples=3, how="made up"
        ),
    )


@pytest.mark.parametrize("name", STRATEGIES.names())
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("labelled", [0, 5])
def test_a_strategy_chooses_what_is_asked_of_what_is_free(name: str, multi_label: bool, labelled: int) -> None:
    row: Strategy = STRATEGIES[name]
    assert row.name == name and row.summary and row.formula and row.source
    pool = make_pool(multi_label=multi_label, labelled=labelled)
    places = Places(pool.subjects, most=1)
    budget = len(places)
    choice = row.choose(pool, budget, places, np.random.default_rng(1))
    assert len(choice.rows) == len(choice.scores) == len(choice.neighbours) == budget
    assert len(np.unique(pool.subjects[choice.rows])) == budget
    assert np.isfinite(choice.scores).all() and (choice.neighbours < labelled + len(pool)).all()
    again = row.choose(pool, budget, Places(pool.subjects, most=1), np.random.default_rng(1))
    assert np.array_equal(choice.rows, again.rows)


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_a_pool_of_one_image_repeated_is_still_chosen_from(name: str) -> None:
    """No distance is left to go by, and none may be divided by."""
    pool = make_pool(4)
    same = Pool(
        probabilities=np.repeat(pool.probabilities[:1], 4, 0),
        multi_label=False,
        features=np.repeat(pool.features[:1], 4, 0),
        labelled=np.zeros((0, 8), np.float32),
        subjects=np.arange(4),
        posterior=Posterior(mean=np.repeat(pool.probabilities[:1], 4, 0), entropy=np.zeros(4), samples=3, how=""),
    )
    choice = STRATEGIES[name].choose(same, 4, Places(same.subjects), np.random.default_rng(0))
    assert sorted(choice.rows) == [0, 1, 2, 3]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.one_of(st.none(), st.integers(1, 3)))
def test_places_count_what_a_greedy_choice_can_reach(subjects: list[int], most: int | None) -> None:
    numbers = np.array(subjects)
    places = Places(numbers, most)
    expected = len(places)
    choice = ranked(np.random.default_rng(0).random(len(numbers)), len(numbers), places)
    assert len(choice.rows) == expected and len(places) == 0
    assert most is None or np.bincount(numbers[choice.rows]).max(initial=0) <= most


def test_the_highest_scores_come_first_and_ties_in_order() -> None:
    choice = ranked(np.array([1.0, 3.0, 3.0, 2.0]), 3, Places(np.arange(4)))
    assert choice.rows.tolist() == [1, 2, 3] and choice.scores.tolist() == [3, 3, 2]
