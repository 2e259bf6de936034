from __future__ import annotations

import numpy as np
import pytest

from suwen.learn.query import cover, strategy
from suwen.learn.query.cover import CORESET
from suwen.learn.query.strategy import Facts, Places, Pool


def make(n: int, labelled: int, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(
        probabilities=np.full((n, 2), 0.5),
        multi_label=False,
        features=rng.normal(size=(n, 6)).astype(np.float32),
        labelled=rng.normal(size=(labelled, 6)).astype(np.float32),
        subjects=np.arange(n),
    )


def naive(pool: Pool, budget: int) -> tuple[list[int], list[float]]:
    """Algorithm 1 of Sener & Savarese: argmax over i of min over j in s of the distance, with s as a growing list."""
    centres, rows, scores = [np.float64(each) for each in pool.labelled], [], []
    for _ in range(budget):
        distances = [
            -1.0 if i in rows else min(float(np.linalg.norm(np.float64(z) - c)) for c in centres)
            for i, z in enumerate(pool.features)
        ]
        rows.append(int(np.argmax(distances)))
        scores.append(max(distances))
        centres.append(np.float64(pool.features[rows[-1]]))
    return rows, scores


@pytest.mark.parametrize("block", [7, 4096])
def test_it_is_the_greedy_k_centre_of_the_paper_whatever_the_blocks(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategy, "BLOCK", block)
    monkeypatch.setattr(cover, "LABELLED_BLOCK", block)
    pool = make(60, 9)
    choice = CORESET.choose(pool, 12, Places(pool.subjects), np.random.default_rng(0))
    rows, scores = naive(pool, 12)
    assert choice.rows.tolist() == rows
    assert np.allclose(choice.scores, scores)


def test_the_neighbour_named_is_the_nearest() -> None:
    pool = make(30, 4)
    choice = CORESET.choose(pool, 6, Places(pool.subjects), np.random.default_rng(0))
    everything = np.concatenate([pool.labelled, pool.features])
    for row, score, neighbour in zip(choice.rows, choice.scores, choice.neighbours, strict=True):
        assert np.isclose(np.linalg.norm(pool.features[row] - everything[neighbour]), score, rtol=1e-5)


def test_no_chosen_point_leaves_another_farther_away_than_itself() -> None:
    """The distances chosen at never grow: each new centre covers what was farthest."""
    choice = CORESET.choose(pool := make(80, 3), 20, Places(pool.subjects), np.random.default_rng(0))
    assert (np.diff(choice.scores) <= 1e-9).all()


def test_without_labels_it_starts_in_the_middle() -> None:
    pool = make(40, 0)
    choice = CORESET.choose(pool, 3, Places(pool.subjects), np.random.default_rng(0))
    middle = np.linalg.norm(pool.features - pool.features.mean(0), axis=1).argmin()
    assert choice.rows[0] == middle and choice.neighbours[0] == -1
    assert "middle" in CORESET.because(Facts(score=0, answers=[("a", 1.0)]))
