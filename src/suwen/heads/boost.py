"""Gradient-boosted trees by LightGBM (Ke et al., NeurIPS 2017): how deep, and how many of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from suwen.heads.inner_folds import log_loss

MOST_ROUNDS = 400
LOOK_EVERY = 10
"""Rounds between two looks at the cross-fitted likelihood."""

ONE_THREAD = 20_000
"""Rows below which one thread is as fast, and gives the same trees on every machine."""

SHARED: dict[str, Any] = {
    "learning_rate": 0.05,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "min_data_per_group": 10,
    "max_cat_to_onehot": 8,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
"""Stochastic gradient boosting (Friedman, Computational Statistics & Data Analysis 2002;38:367): each tree sees part of
the rows and columns. Usual values for small tables, set by hand."""


@dataclass(frozen=True)
class Shape:
    """How large a tree may grow."""

    depth: int
    leaves: int
    least: int

    def settings(self) -> dict[str, Any]:
        """In LightGBM's words."""
        return {"max_depth": self.depth, "num_leaves": self.leaves, "min_data_in_leaf": self.least}


SHAPES = (Shape(2, 4, 15), Shape(3, 7, 15), Shape(5, 20, 20))
"""From few interactions to many; that with the largest cross-fitted likelihood is taken."""


@dataclass(frozen=True)
class Question:
    """What trees are asked: yes or no, or one of K."""

    answer: np.ndarray
    classes: int
    levels: tuple[int, ...]

    def settings(self) -> dict[str, Any]:
        """In LightGBM's words."""
        several = {"objective": "multiclass", "num_class": self.classes}
        threads = 1 if len(self.answer) < ONE_THREAD else 0
        return (several if self.classes > 2 else {"objective": "binary"}) | {"num_threads": threads}


def grow(inputs: np.ndarray, question: Question, settings: dict[str, Any], rounds: int, *, seed: int) -> Any:
    """A booster of so many rounds."""
    import lightgbm

    levels = [f"c{place}" for place in question.levels]
    names = [f"c{place}" for place in range(inputs.shape[1])]
    data = lightgbm.Dataset(
        inputs, question.answer, feature_name=names, categorical_feature=levels, params={"verbose": -1}
    )
    every = SHARED | question.settings() | settings | {"seed": seed}
    return lightgbm.train(every, data, num_boost_round=rounds)


def scores_of(booster: Any, inputs: np.ndarray, *, start: int = 0, rounds: int | None = None) -> np.ndarray:
    """Log-odds (N,), or unnormalised log-probabilities (N, K), of all rounds or of some from `start` on."""
    found: np.ndarray = booster.predict(
        inputs, raw_score=True, start_iteration=start, num_iteration=rounds, num_threads=1
    )
    return found


def choose(
    inputs: np.ndarray, question: Question, fold: np.ndarray, shapes: tuple[Shape, ...], most: int, *, seed: int
) -> tuple[Shape, int, np.ndarray]:
    """The shape and the number of rounds with the largest cross-fitted likelihood, and the scores they gave."""
    best: tuple[float, Shape, int, np.ndarray] | None = None
    looks = range(LOOK_EVERY, most + 1, LOOK_EVERY) if most >= LOOK_EVERY else [most]
    for shape in shapes:
        wide = (len(question.answer), question.classes) if question.classes > 2 else (len(question.answer),)
        scores = {rounds: np.zeros(wide) for rounds in looks}
        for number in np.unique(fold):
            out = fold == number
            inside = Question(question.answer[~out], question.classes, question.levels)
            booster = grow(inputs[~out], inside, shape.settings(), most, seed=seed)
            done, added = 0, np.zeros_like(next(iter(scores.values()))[out])
            for rounds, found in scores.items():
                added = added + scores_of(booster, inputs[out], start=done, rounds=rounds - done)
                found[out], done = added, rounds
        losses = {rounds: log_loss(found, question.answer) for rounds, found in scores.items()}
        rounds = min(losses, key=losses.__getitem__)
        if best is None or losses[rounds] < best[0]:
            best = losses[rounds], shape, rounds, scores[rounds]
    assert best is not None
    return best[1:]
