from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from suwen.evaluation.mask_pixels import mistakes, uncertainty_figures
from suwen.evaluation.outcome import Outcome


def pixels(honest: bool, count: int = 6000) -> Outcome:
    """Each pixel is what it is with the probability said, or (dishonest) far less often."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet((0.4, 0.4, 0.4), count)
    drawn = p if honest else np.sqrt(p) / np.sqrt(p).sum(1, keepdims=True)
    target = (rng.random((count, 1)) > drawn.cumsum(1)).sum(1)
    subjects = (np.arange(count) % 8).astype(str)
    return Outcome(ids=subjects, subjects=subjects, target=target, probabilities=p, labels=("a", "b", "c"))


def test_honest_probabilities_come_true_and_others_do_not() -> None:
    honest, other = (uncertainty_figures(pixels(each), resamples=50, seed=0) for each in (True, False))
    assert honest["pixels"] == 6000
    error = honest["metrics"]["ece"]
    assert error["low"] <= error["value"] <= error["high"] < 0.05 < other["metrics"]["ece"]["value"]


def test_entropy_finds_the_mistakes_as_scikit_learn_says() -> None:
    found = pixels(True)
    wrong = found.probabilities.argmax(1) != found.target
    entropy = -(found.probabilities * np.log(found.probabilities)).sum(1)
    asked = mistakes(found)
    assert np.array_equal(asked.target == 1, wrong)
    figure = uncertainty_figures(found, resamples=20, seed=0)["metrics"]["error_auroc"]["value"]
    assert np.isclose(figure, roc_auc_score(wrong, entropy), atol=1e-6) and figure > 0.6


def test_where_nothing_is_wrong_there_is_no_auroc() -> None:
    sure = Outcome(ids=np.array(["x", "y"]), subjects=np.array(["x", "y"]), target=np.array([0, 1]),
                   probabilities=np.eye(2), labels=("a", "b"))  # fmt: skip
    assert uncertainty_figures(sure, resamples=20, seed=0)["metrics"]["error_auroc"]["value"] is None
