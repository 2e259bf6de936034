from __future__ import annotations

import json
from typing import Any

import numpy as np

from suwen.evaluation.metrics import choose_threshold, names_for
from suwen.evaluation.summarise import as_json, summarise


def test_the_shape_is_that_of_metrics_json_and_survives_strict_json(make_outcome: Any) -> None:
    outcome = make_outcome(100)
    found = summarise(outcome, threshold=choose_threshold(outcome), by=["sex", "age"], resamples=50)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["n"] == 100 and found["subjects"] == 100
    assert list(found["metrics"]) == list(names_for(outcome))
    assert set(found["metrics"]["auroc"]) == {"value", "low", "high"}
    assert set(found["subgroups"]) == {"sex", "age"} and set(found["subgroups"]["sex"]) == {"groups", "gaps"}
    assert found["subgroups"]["sex"]["groups"]["F"]["n"] == 50


def test_not_defined_is_null(make_outcome: Any) -> None:
    outcome = make_outcome()
    found = summarise(outcome.take(outcome.target == 1), names=["auroc"], threshold=0.5, resamples=20)
    assert found["metrics"]["auroc"] == {"value": None, "low": None, "high": None}


def test_thresholds_of_several_labels_are_a_list(make_outcome: Any) -> None:
    outcome = make_outcome(80, 3, multi_label=True)
    found = summarise(outcome, threshold=choose_threshold(outcome), resamples=20)
    assert len(found["threshold"]) == 3
    again = summarise(outcome, threshold=found["threshold"], resamples=20)
    assert again["metrics"] == found["metrics"]


def test_bin_edges_come_with_the_column(make_outcome: Any) -> None:
    found = summarise(make_outcome(), names=["auroc"], by={"age": [40], "sex": None}, resamples=20)
    assert list(found["subgroups"]["age"]["groups"]) == ["under 40", "40 and over"]


def test_json_knows_no_nan_and_no_arrays() -> None:
    assert as_json({"a": np.array([1.0, np.nan]), 2: (np.float64(0.5), np.inf)}) == {"a": [1.0, None], "2": [0.5, None]}
