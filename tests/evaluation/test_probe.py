from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from suwen.evaluation.probe import TEMPERATURE, linear_probe, vote_of_neighbours


def clouds(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, n)
    return rng.normal(size=(n, 5)) + 3 * np.eye(5)[targets], targets


def test_votes_equal_those_of_scikit_learn() -> None:
    known, targets = clouds(200)
    asked, _ = clouds(60, seed=1)
    rival = KNeighborsClassifier(20, metric="cosine", weights=lambda far: np.exp((1 - far) / TEMPERATURE))
    expected = rival.fit(known, targets).predict_proba(asked)
    assert np.allclose(vote_of_neighbours(known, targets, asked, 3), expected)


def test_several_labels_are_voted_on_one_by_one() -> None:
    known, targets = clouds(100)
    several = np.eye(3, dtype=np.uint8)[targets]
    assert np.allclose(
        vote_of_neighbours(known, several, known[:9], 3), vote_of_neighbours(known, targets, known[:9], 3)
    )
    assert linear_probe(known, several, known[:9], 3).shape == (9, 3)


def test_the_linear_probe_tells_clouds_apart() -> None:
    asked, truth = clouds(300, seed=2)
    said = linear_probe(*clouds(300), asked, 3)
    assert (said.argmax(1) == truth).mean() > 0.9 and said.sum(1) == pytest.approx(1)


def test_a_label_that_was_never_seen_gets_no_probability() -> None:
    known, targets = clouds(50)
    said = linear_probe(known, targets % 2, known, 3)
    assert not said[:, 2].any()
    assert linear_probe(known, targets * 0 + 1, known, 3)[:, 1].all()
