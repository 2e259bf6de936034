from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as peer

from suwen.core.errors import NameUnknown
from suwen.evaluation.metrics import METRICS, choose_threshold, measure, names_for
from suwen.evaluation.outcome import Outcome, decisions


def _peer_binary(outcome: Outcome) -> dict[str, float]:
    truth = outcome.target == outcome.positive
    score = outcome.probabilities[:, outcome.positive]
    said = score >= 0.5
    return {
        "auroc": peer.roc_auc_score(truth, score),
        "auprc": peer.average_precision_score(truth, score),
        "accuracy": peer.accuracy_score(truth, said),
        "balanced_accuracy": peer.balanced_accuracy_score(truth, said),
        "f1_macro": peer.f1_score(truth, said, average="macro"),
        "sensitivity": peer.recall_score(truth, said),
        "specificity": peer.recall_score(~truth, ~said),
        "brier": peer.brier_score_loss(truth, score),
    }


def _peer_multi_class(outcome: Outcome) -> dict[str, float]:
    truth, scores = outcome.target, outcome.probabilities
    said = scores.argmax(axis=1)
    one_hot = np.eye(len(outcome.labels))[truth]
    tables = peer.multilabel_confusion_matrix(truth, said)
    return {
        "auroc": peer.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
        "auprc": peer.average_precision_score(one_hot, scores, average="macro"),
        "accuracy": peer.accuracy_score(truth, said),
        "balanced_accuracy": peer.balanced_accuracy_score(truth, said),
        "f1_macro": peer.f1_score(truth, said, average="macro"),
        "sensitivity": peer.recall_score(truth, said, average="macro"),
        "specificity": float(np.mean(tables[:, 0, 0] / tables[:, 0].sum(axis=1))),
        "brier": peer.brier_score_loss(truth, scores),
    }


def _peer_multi_label(outcome: Outcome) -> dict[str, float]:
    truth, scores = outcome.target, outcome.probabilities
    said = scores >= 0.5
    columns = range(truth.shape[1])
    return {
        "auroc": peer.roc_auc_score(truth, scores, average="macro"),
        "auprc": peer.average_precision_score(truth, scores, average="macro"),
        "accuracy": 1 - peer.hamming_loss(truth, said),
        "balanced_accuracy": float(np.mean([peer.balanced_accuracy_score(truth[:, k], said[:, k]) for k in columns])),
        "f1_macro": peer.f1_score(truth, said, average="macro"),
        "sensitivity": peer.recall_score(truth, said, average="macro"),
        "specificity": peer.recall_score(1 - truth, ~said, average="macro"),
        "brier": float(np.mean([peer.brier_score_loss(truth[:, k], scores[:, k]) for k in columns])),
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"decimals": 1}, _peer_binary),
        ({"classes": 5}, _peer_multi_class),
        ({"classes": 4, "multi_label": True}, _peer_multi_label),
    ],
    ids=["binary", "multi-class", "multi-label"],
)
def test_every_metric_agrees_with_scikit_learn(make_outcome: Any, seed: int, settings: Any, expected: Any) -> None:
    outcome = make_outcome(150, seed=seed, **settings)
    for name, value in expected(outcome).items():
        assert METRICS[name].function(outcome) == pytest.approx(value, abs=1e-12), name


def test_turning_the_positive_class_round_swaps_sensitivity_and_specificity(make_outcome: Any) -> None:
    outcome = make_outcome()
    turned = replace(outcome, positive=0)
    for name, other in (("sensitivity", "specificity"), ("auroc", "auroc"), ("brier", "brier")):
        assert METRICS[name].function(outcome) == pytest.approx(METRICS[other].function(turned))


def test_one_class_alone_leaves_what_needs_two_undefined(make_outcome: Any) -> None:
    outcome = make_outcome()
    ill = outcome.take(outcome.target == 1)
    found = measure(ill, names_for(ill), 0.5)
    undefined = {name for name, value in found.items() if np.isnan(value)}
    expected = {"auroc", "auprc", "balanced_accuracy", "f1_macro", "specificity"}
    assert undefined == expected | {"balanced_accuracy_at_threshold", "specificity_at_threshold"}
    assert found["sensitivity"] == found["accuracy"]


def test_a_label_nobody_has_is_left_out_of_the_mean(make_outcome: Any) -> None:
    outcome = make_outcome(100, 3, multi_label=True)
    target = outcome.target.copy()
    target[:, 2] = 0
    rest = replace(
        outcome, target=target[:, :2], probabilities=outcome.probabilities[:, :2], labels=("a", "b"), positive=-1
    )
    for name in ("auroc", "auprc", "balanced_accuracy", "sensitivity"):
        assert METRICS[name].function(replace(outcome, target=target)) == pytest.approx(METRICS[name].function(rest))


def test_the_chosen_threshold_moves_only_the_figures_at_the_threshold(make_outcome: Any) -> None:
    outcome = make_outcome()
    low, high = (measure(outcome, METRICS, threshold) for threshold in (0.2, 0.8))
    changed = {name for name in METRICS if low[name] != high[name]}
    assert changed and changed <= {name for name, metric in METRICS.items() if metric.at_threshold}
    said = outcome.probabilities[:, 1] >= 0.2
    assert low["sensitivity_at_threshold"] == peer.recall_score(outcome.target, said)
    assert np.isnan(measure(outcome, ["accuracy_at_threshold"])["accuracy_at_threshold"])


def test_multi_class_has_no_threshold(make_outcome: Any) -> None:
    outcome = make_outcome(60, 3)
    assert choose_threshold(outcome) is None
    assert not any(METRICS[name].at_threshold for name in names_for(outcome))


def test_every_row_states_its_case(make_outcome: Any) -> None:
    assert all(metric.name == name and metric.summary for name, metric in METRICS.items())
    assert decisions(make_outcome(60, 3)).sum() == 60


def test_a_misspelt_metric_offers_the_right_one(make_outcome: Any) -> None:
    with pytest.raises(NameUnknown, match="did you mean auroc"):
        measure(make_outcome(), ["aurok"])


def test_a_hundred_resamples_of_ten_thousand_samples_take_well_under_a_second(make_outcome: Any) -> None:
    outcome = make_outcome(10_000)
    weights = np.random.default_rng(0).integers(0, 3, (100, len(outcome))).astype(np.float64)
    start = time.process_time()
    for name in names_for(outcome):
        METRICS[name].prepare(outcome, 0.5)(weights)
    assert time.process_time() - start < 1.0
