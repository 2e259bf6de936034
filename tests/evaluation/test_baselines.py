from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suwen.core.errors import DataError, NameUnknown
from suwen.evaluation.baselines import BASELINES, SIDE, LabelledImages, baseline_outcomes, small_grey
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome


def _bright_if_ill(target: Any, size: int = 20, seed: int = 0) -> Any:
    noise = np.random.default_rng(seed).integers(60, 140, (len(target), 1, size, size))
    noise[:, 0, : size // 2] += 20 * np.asarray(target)[:, None, None]
    return noise.astype(np.uint8)


def _answers(name: str, outcome: Outcome, target: Any) -> Outcome:
    train = LabelledImages(_bright_if_ill(target), np.asarray(target))
    images = {"val": _bright_if_ill(outcome.target, seed=1), "test": _bright_if_ill(outcome.target, seed=2)}
    return baseline_outcomes(name, train, images, {"val": outcome, "test": outcome})["test"]


@pytest.mark.parametrize("size", [14, 28, 29, 64, 7])
def test_small_grey_keeps_the_mean_and_equals_block_means(size: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 2, size, size)).astype(np.uint8)
    found = small_grey(images)
    assert found.shape == (3, SIDE**2)
    assert found.mean(axis=1) == pytest.approx(images.mean(axis=(1, 2, 3)), rel=1e-5)
    if size % SIDE == 0:
        step = size // SIDE
        blocks = images.mean(axis=1).reshape(3, SIDE, step, SIDE, step).mean(axis=(2, 4))
        assert found == pytest.approx(blocks.reshape(3, -1), rel=1e-5)


def test_images_that_are_not_square_are_averaged_too() -> None:
    assert small_grey(np.full((1, 3, 20, 33), 7, dtype=np.uint8)) == pytest.approx(7.0)


def test_majority_says_the_training_prevalence_and_ranks_nothing(make_outcome: Any) -> None:
    outcome = make_outcome(60)
    found = _answers("majority", outcome, [0, 0, 0, 1])
    assert (found.probabilities == [0.75, 0.25]).all()
    assert METRICS["auroc"].function(found) == 0.5
    assert METRICS["accuracy"].function(found) == (outcome.target == 0).mean()


def test_logistic_regression_sees_what_is_plain_to_see(make_outcome: Any) -> None:
    outcome = make_outcome(80)
    found = _answers("logistic-pixels", outcome, np.arange(200) % 2)
    assert METRICS["auroc"].function(found) > 0.95
    assert found.ids.tolist() == outcome.ids.tolist() and found.metadata.equals(outcome.metadata)


@pytest.mark.parametrize("name", BASELINES)
def test_a_class_absent_from_training_is_never_said(make_outcome: Any, name: str) -> None:
    found = _answers(name, make_outcome(40, 3), np.arange(90) % 2)
    assert (found.probabilities[:, 2] == 0).all()
    assert found.probabilities.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("name", BASELINES)
def test_several_labels_are_answered_each_for_itself(make_outcome: Any, name: str) -> None:
    outcome = make_outcome(40, 2, multi_label=True)
    target = np.stack([np.arange(90) % 2, np.zeros(90)], axis=1).astype(np.uint8)
    images = {"val": _bright_if_ill(outcome.target[:, 0])}
    train = LabelledImages(_bright_if_ill(target[:, 0], seed=3), target)
    found = baseline_outcomes(name, train, images, {"val": outcome})["val"]
    assert found.multi_label and (found.probabilities[:, 1] == 0).all()
    if name == "logistic-pixels":
        part = replace(
            found, target=found.target[:, :1], probabilities=found.probabilities[:, :1], labels=("a",), positive=0
        )
        assert METRICS["auroc"].function(part) > 0.9


def test_the_same_images_give_the_same_answers(make_outcome: Any) -> None:
    first, second = (_answers("logistic-pixels", make_outcome(30), np.arange(60) % 2) for _ in range(2))
    assert (first.probabilities == second.probabilities).all()


def test_real_films_need_seconds_and_are_hard_to_beat(shared_data: Path) -> None:
    with np.load(shared_data / "pneumoniamnist" / "pneumoniamnist.npz", allow_pickle=False) as file:
        split = {
            name: (file[f"{name}_images"][:, None], file[f"{name}_labels"][:, 0]) for name in ("train", "val", "test")
        }
    outcomes = {
        name: Outcome(
            ids=np.arange(len(target)).astype(str),
            subjects=np.arange(len(target)).astype(str),
            target=target,
            probabilities=np.full((len(target), 2), 0.5),
            labels=("normal", "pneumonia"),
        )
        for name, (_, target) in split.items()
        if name != "train"
    }
    start = time.process_time()
    found = baseline_outcomes(
        "logistic-pixels", LabelledImages(*split["train"]), {name: split[name][0] for name in outcomes}, outcomes
    )
    assert time.process_time() - start < 20
    assert 0.85 < METRICS["auroc"].function(found["test"]) < 0.97


def test_bad_requests_are_refused(make_outcome: Any) -> None:
    outcome, images = make_outcome(10), np.zeros((10, 1, 8, 8), dtype=np.uint8)
    train = LabelledImages(images, outcome.target)
    with pytest.raises(NameUnknown, match="did you mean majority"):
        baseline_outcomes("majorty", train, {"val": images}, {"val": outcome})
    with pytest.raises(DataError, match="chosen on validation, never on test"):
        baseline_outcomes("majority", train, {"test": images}, {"test": outcome})
    with pytest.raises(DataError, match="float64"):
        LabelledImages(images.astype(np.float64), outcome.target)  # type: ignore[arg-type]


def test_small_grey_of_volumes_equals_block_means() -> None:
    volumes = np.random.default_rng(1).integers(0, 256, (3, 1, 12, 18, 6), dtype=np.uint8)
    blocks = volumes[:, 0].reshape(3, 6, 2, 6, 3, 6, 1).mean(axis=(2, 4, 6))
    assert small_grey(volumes) == pytest.approx(blocks.reshape(3, -1))
