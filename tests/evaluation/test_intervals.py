from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import norm

from suwen.core.errors import DataError
from suwen.evaluation.intervals import bootstrap, bootstrap_difference, subject_weights
from suwen.evaluation.outcome import Outcome


def _scored(scores: Any, target: Any, subjects: Any = None) -> Outcome:
    second = np.asarray(scores)
    names = np.arange(len(second)).astype(str)
    return Outcome(
        ids=names,
        subjects=names if subjects is None else np.asarray(subjects),
        target=np.asarray(target),
        probabilities=np.stack([1 - second, second], axis=1),
        labels=("healthy", "ill"),
    )


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    truth = {"auroc": norm.cdf(1 / np.sqrt(2)), "accuracy": norm.cdf(0.5)}
    held = dict.fromkeys(truth, 0)
    for repeat in range(200):
        target = np.repeat([0, 1], 60)
        scores = norm.cdf(rng.normal(size=120) + target - 0.5)
        for name, interval in bootstrap(_scored(scores, target), truth, resamples=200, seed=repeat).items():
            held[name] += interval["low"] <= truth[name] <= interval["high"]
    assert all(0.90 <= count / 200 <= 0.985 for count in held.values()), held


def test_an_image_seen_four_times_adds_nothing(make_outcome: Any) -> None:
    once = make_outcome(60)
    four = once.take(np.repeat(np.arange(60), 4))
    apart = replace(four, subjects=np.arange(240).astype(str))
    names = ["auroc", "accuracy", "brier"]
    by_subject, by_image = bootstrap(four, names), bootstrap(apart, names)
    for name, expected in bootstrap(once, names).items():
        assert by_subject[name] == pytest.approx(expected)
        width = expected["high"] - expected["low"]
        assert (by_image[name]["high"] - by_image[name]["low"]) == pytest.approx(width / 2, rel=0.15)


def test_the_interval_agrees_with_scipy(make_outcome: Any) -> None:
    outcome = make_outcome(200)
    right = ((outcome.probabilities[:, 1] >= 0.5) == outcome.target).astype(float)
    expected = scipy_bootstrap((right,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    found = bootstrap(outcome, ["accuracy"], resamples=4000)["accuracy"]
    assert found["low"] == pytest.approx(expected.low, abs=0.01)
    assert found["high"] == pytest.approx(expected.high, abs=0.01)


def test_the_seed_decides(make_outcome: Any) -> None:
    outcome = make_outcome()
    assert bootstrap(outcome, ["auroc"], seed=3) == bootstrap(outcome, ["auroc"], seed=3)
    assert bootstrap(outcome, ["auroc"], seed=3) != bootstrap(outcome, ["auroc"], seed=4)


def test_images_of_one_subject_are_drawn_together(make_outcome: Any) -> None:
    outcome = make_outcome(40, images_each=4)
    weights = np.concatenate(list(subject_weights(outcome, 50, 0)))
    assert weights.shape == (50, 40) and (weights.sum(axis=1) == 40).all()
    assert (weights.reshape(50, 10, 4) == weights.reshape(50, 10, 4)[:, :, :1]).all()


def test_one_subject_has_no_interval(make_outcome: Any) -> None:
    outcome = make_outcome(20, images_each=20)
    found = bootstrap(outcome, ["accuracy"])["accuracy"]
    assert np.isfinite(found["value"]) and np.isnan(found["low"]) and np.isnan(found["high"])


def test_a_figure_not_defined_has_no_interval_and_does_not_crash(make_outcome: Any) -> None:
    outcome = make_outcome()
    found = bootstrap(outcome.take(outcome.target == 0), ["auroc", "specificity"])
    assert np.isnan(list(found["auroc"].values())).all()
    assert np.isfinite(list(found["specificity"].values())).all()


def test_resamples_without_the_only_positive_are_left_out() -> None:
    found = bootstrap(_scored([0.9, 0.2, 0.8, 0.1, 0.3], [1, 0, 0, 0, 0]), ["sensitivity"])["sensitivity"]
    assert found == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_a_paired_difference_is_sharper_than_two_intervals(make_outcome: Any) -> None:
    first = make_outcome(300)
    rng = np.random.default_rng(5)
    second_score = np.clip(first.probabilities[:, 1] + rng.normal(0, 0.05, 300), 0, 1)
    second = replace(first, probabilities=np.stack([1 - second_score, second_score], axis=1))
    difference = bootstrap_difference(first, second, ["auroc"])["auroc"]
    one, other = bootstrap(first, ["auroc"])["auroc"], bootstrap(second, ["auroc"])["auroc"]
    assert difference["value"] == pytest.approx(one["value"] - other["value"])
    assert difference["high"] - difference["low"] < (one["high"] - one["low"]) / 2
    same = bootstrap_difference(first, first, ["auroc"])["auroc"]
    assert same == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_difference_between_different_samples_is_refused(make_outcome: Any) -> None:
    outcome = make_outcome()
    with pytest.raises(DataError, match="not the same, or not in the same order"):
        bootstrap_difference(outcome, outcome.take(np.arange(119, -1, -1)), ["auroc"])
