from __future__ import annotations

import itertools
import math
from typing import Any

import lightgbm
import numpy as np
import pytest

from suwen.explanation.tree_kernel import read_trees


def table(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Five columns: two with gaps, one of levels, one of zeros mostly."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 5))
    x[rng.random(rows) < 0.3, 0] = np.nan
    x[:, 1] = rng.integers(0, 40, rows)
    x[:, 2] = np.where(rng.random(rows) < 0.6, 0, x[:, 2])
    score = np.nan_to_num(x[:, 0], nan=1) * x[:, 3] + (x[:, 1] % 3 == 0) + x[:, 2] + rng.logistic(size=rows)
    return x, score


def grow(x: np.ndarray, y: np.ndarray, *, rounds: int = 30, **settings: Any) -> Any:
    every = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 3, "min_data_per_group": 3, "num_threads": 1}
    data = lightgbm.Dataset(x, y, categorical_feature=[1], params={"verbose": -1})
    return lightgbm.train(every | settings, data, num_boost_round=rounds)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_depth": 1, "num_leaves": 2},
        {"max_depth": 3},
        {"max_depth": 12, "num_leaves": 200},
        {"max_cat_to_onehot": 100},
        {"zero_as_missing": True},
        {"use_missing": False},
    ],
    ids=["stumps", "shallow", "deep", "one-hot", "zero-missing", "none-missing"],
)
def test_shares_are_those_of_lightgbm(settings: dict) -> None:
    x, score = table()
    booster = grow(x, score > 0, **settings)
    unseen = x[:50].copy()
    unseen[0] = np.nan
    unseen[1, 1] = 99  # a level that training did not have
    unseen[2, 0] = 0
    shares, base = read_trees(booster.model_to_string()).shares(unseen)
    theirs = booster.predict(unseen, pred_contrib=True)
    assert shares[:, 0] == pytest.approx(theirs[:, :-1], abs=1e-9)
    assert base[0] == pytest.approx(theirs[0, -1], abs=1e-9)


def test_each_class_has_its_own_trees() -> None:
    x, score = table()
    booster = grow(x, np.digitize(score, [-1, 1]), objective="multiclass", num_class=3, max_depth=4)
    shares, base = read_trees(booster.model_to_string()).shares(x[:20])
    theirs = booster.predict(x[:20], pred_contrib=True).reshape(20, 3, 6)
    assert shares == pytest.approx(theirs[:, :, :-1], abs=1e-9) and base == pytest.approx(theirs[0, :, -1], abs=1e-9)


def test_a_booster_that_found_nothing_to_split_has_no_shares() -> None:
    booster = grow(np.zeros((20, 5)), np.arange(20) % 2, rounds=3)
    shares, base = read_trees(booster.model_to_string()).shares(np.zeros((2, 5)))
    assert not shares.any() and base[0] == pytest.approx(booster.predict(np.zeros((1, 5)), raw_score=True)[0])


def test_shares_are_shapley_values_by_their_definition() -> None:
    """Over all coalitions of five columns, each tree walked both ways, by counts, where a column is not known."""
    x, score = table()
    booster = grow(x, score > 0, rounds=2, max_depth=4)
    row = x[7]
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]

    def count(node: dict) -> int:
        return node["leaf_count"] if "leaf_value" in node else node["internal_count"]

    def left(node: dict) -> bool:
        value = row[node["split_feature"]]
        if node["decision_type"] == "==":
            return not np.isnan(value) and str(int(value)) in node["threshold"].split("||")
        if np.isnan(value) and node["missing_type"] == "NaN":
            return node["default_left"]
        return (0 if np.isnan(value) else value) <= node["threshold"]

    def walk(node: dict, known: tuple[int, ...]) -> float:
        if "leaf_value" in node:
            return node["leaf_value"]
        sides = node["left_child"], node["right_child"]
        if node["split_feature"] in known:
            return walk(sides[0] if left(node) else sides[1], known)
        return sum(walk(side, known) * count(side) for side in sides) / count(node)

    value = {
        some: sum(walk(tree, some) for tree in trees)
        for size in range(6)
        for some in itertools.combinations(range(5), size)
    }
    shares, base = read_trees(booster.model_to_string()).shares(row[None])
    assert base[0] == pytest.approx(value[()])
    for column in range(5):
        exact = sum(
            math.factorial(len(some)) * math.factorial(4 - len(some)) / 120
            * (value[tuple(sorted((*some, column)))] - value[some])
            for some in value
            if column not in some
        )  # fmt: skip
        assert shares[0, 0, column] == pytest.approx(exact, abs=1e-12)
