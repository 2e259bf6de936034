from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from suwen.learn.query.strategy import Facts, Places, Pool, Posterior
from suwen.learn.query.uncertainty import BALD, ENTROPY, MARGIN, entropy_of, margin_of


def draw(n: int, labels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(labels) * 0.5, n)


def pool_of(p: np.ndarray, posterior: Posterior | None = None, *, multi_label: bool = False) -> Pool:
    nothing = np.zeros((0, 1), np.float32)
    features = np.zeros((len(p), 1), np.float32)
    return Pool(
        probabilities=p,
        multi_label=multi_label,
        features=features,
        labelled=nothing,
        subjects=np.arange(len(p)),
        posterior=posterior,
    )


def test_entropy_is_that_of_scipy() -> None:
    p = np.vstack([draw(50, 4), np.eye(4)])
    assert np.allclose(entropy_of(p), scipy_entropy(p, axis=1))
    several = np.random.default_rng(1).random((20, 3))
    naive = [sum(scipy_entropy([value, 1 - value]) for value in row) for row in several]
    assert np.allclose(entropy_of(several, multi_label=True), naive)


def test_margin_is_that_of_a_loop() -> None:
    p = draw(50, 5)
    assert np.allclose(margin_of(p), [sorted(row)[-1] - sorted(row)[-2] for row in p])
    several = np.random.default_rng(1).random((20, 3))
    assert np.allclose(margin_of(several, multi_label=True), [min(abs(2 * v - 1) for v in row) for row in several])


def test_with_two_labels_entropy_and_margin_choose_alike() -> None:
    pool, free = pool_of(draw(80, 2)), np.arange(80)
    generator = np.random.default_rng(0)
    by_entropy = ENTROPY.choose(pool, 20, Places(free), generator)
    by_margin = MARGIN.choose(pool, 20, Places(free), generator)
    assert by_entropy.rows.tolist() == by_margin.rows.tolist()
    assert by_margin.rows.tolist() == np.argsort(np.abs(pool.probabilities[:, 0] - 0.5), kind="stable")[:20].tolist()


@pytest.mark.parametrize("labels", [2, 4])
def test_bald_is_the_mutual_information_of_answer_and_sample(labels: int) -> None:
    """I(y; s) from the joint table p(y, s) = p(y | s) / S, term by term."""
    samples = np.stack([draw(30, labels, seed) for seed in range(6)])
    seen = Posterior(mean=samples.mean(0), entropy=entropy_of(samples).mean(0), samples=6, how="")
    choice = BALD.choose(pool_of(samples[0], seen), 30, Places(np.arange(30)), np.random.default_rng(0))
    naive = np.zeros(30)
    for row in range(30):
        for sample in range(6):
            for label in range(labels):
                joint = samples[sample, row, label] / 6
                naive[row] += joint * np.log(joint / (samples[:, row, label].mean() * (1 / 6)))
    assert np.allclose(choice.scores, naive[choice.rows])
    assert choice.rows.tolist() == np.argsort(-naive, kind="stable").tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 99))
def test_disagreement_lies_between_none_and_all_uncertainty(labels: int, count: int, seed: int) -> None:
    samples = np.stack([draw(5, labels, seed + k) for k in range(count)])
    seen = Posterior(mean=samples.mean(0), entropy=entropy_of(samples).mean(0), samples=count, how="")
    scores = BALD.choose(pool_of(samples[0], seen), 5, Places(np.arange(5)), np.random.default_rng(0)).scores
    assert (scores >= 0).all() and (scores <= np.log(labels) + 1e-9).all()
    assert count > 1 or np.allclose(scores, 0)


def test_sentences_name_the_labels_in_doubt() -> None:
    facts = Facts(score=0.69, answers=[("normal", 0.52), ("pneumonia", 0.48)])
    assert "0.693" in ENTROPY.because(facts) and "normal 0.52, pneumonia 0.48" in ENTROPY.because(facts)
    several = Facts(score=0.6, answers=[("a", 0.99), ("b", 0.9), ("c", 0.51)], multi_label=True)
    assert MARGIN.because(several).startswith("c 0.51")
