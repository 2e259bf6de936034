from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Outcome, decisions


def test_the_last_label_is_positive_unless_said_otherwise(make_outcome: Any) -> None:
    outcome = make_outcome()
    assert outcome.positive == 1
    assert replace(outcome, positive=0).scored == (0,)


def test_take_keeps_every_part_in_step(make_outcome: Any) -> None:
    outcome = make_outcome(30, 3)
    part = outcome.take([7, 2])
    assert part.ids.tolist() == ["image-7", "image-2"]
    assert part.target.tolist() == outcome.target[[7, 2]].tolist()
    assert part.metadata["age"].tolist() == outcome.metadata["age"].iloc[[7, 2]].tolist()
    assert len(outcome.take(outcome.target == 0)) == (outcome.target == 0).sum()


def test_a_kind_of_question_is_seen_from_the_target(make_outcome: Any) -> None:
    assert make_outcome(9, 2).binary and not make_outcome(9, 2).multi_label
    assert not make_outcome(9, 3).binary
    assert make_outcome(9, 2, multi_label=True).multi_label and not make_outcome(9, 2, multi_label=True).binary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subjects": np.array(["a"])}, "subjects has shape (1,)"),
        ({"probabilities": np.full((4, 3), 1 / 3)}, "probabilities has shape (4, 3)"),
        ({"target": np.array([0, 1, 2, 0])}, "target runs from 0 to 2"),
        ({"target": np.array([0.0, 1.0, np.nan, 0.0])}, "target of type float64"),
        ({"probabilities": np.array([[0.5, 0.5]] * 3 + [[np.nan, 1.0]])}, "the first is scan-3"),
        ({"probabilities": np.array([[-2.0, 3.0]] * 4)}, "4 of 4 samples have no valid probabilities"),
        ({"probabilities": np.array([[0.7, 0.7]] * 4)}, "not logits"),
        ({"positive": 2}, "positive class 2 of 2 labels"),
        ({"metadata": pd.DataFrame({"age": [1]})}, "metadata has 1 rows for 4 samples"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "ids": np.array([f"scan-{row}" for row in range(4)]),
        "subjects": np.array(list("abcd")),
        "target": np.array([0, 1, 1, 0]),
        "probabilities": np.full((4, 2), 0.5),
        "labels": ("healthy", "ill"),
    }
    Outcome(**good)
    with pytest.raises(DataError, match=re.escape(message)):
        Outcome(**{**good, **change})


def test_no_samples_are_refused(make_outcome: Any) -> None:
    with pytest.raises(DataError, match="no samples"):
        make_outcome().take([])


def test_a_tie_at_the_threshold_is_called_positive(make_outcome: Any) -> None:
    outcome = replace(make_outcome(2), probabilities=np.array([[0.5, 0.5], [0.51, 0.49]]))
    assert decisions(outcome)[:, 1].tolist() == [True, False]
    assert decisions(replace(outcome, positive=0))[:, 0].tolist() == [True, True]
    assert decisions(outcome, 0.49)[:, 1].tolist() == [True, True]


def test_each_label_has_its_own_threshold(make_outcome: Any) -> None:
    outcome = replace(make_outcome(1, 2, multi_label=True), probabilities=np.array([[0.3, 0.3]]))
    assert decisions(outcome, [0.2, 0.4]).tolist() == [[True, False]]
