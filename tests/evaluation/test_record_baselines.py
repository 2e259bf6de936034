from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from suwen.core.errors import NameUnknown
from suwen.data.records.columns import Columns
from suwen.data.records.units.units import Units
from suwen.evaluation.record_baselines import RECORD_BASELINES, Learned, fit_baseline

DAY = 86_400_000_000
SUBJECTS, EVENTS = 120, 6


@pytest.fixture(scope="module")
def columns() -> Columns:
    """Labs of everybody; those of odd subjects are higher."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(SUBJECTS, EVENTS)) + 3.0 * (np.arange(SUBJECTS) % 2)[:, None]
    return Columns(
        codes=np.zeros(SUBJECTS * EVENTS, np.int32),
        times=np.tile(np.arange(EVENTS) * DAY, SUBJECTS),
        values=values.astype(np.float32).reshape(-1),
        available=None,
        subjects=np.arange(SUBJECTS),
        offsets=np.arange(SUBJECTS + 1) * EVENTS,
        vocabulary=("LAB",),
        counts=np.array([SUBJECTS * EVENTS]),
        units=Units(),
        fingerprint="",
    )


def rows(first: int, last: int) -> Learned:
    subjects = np.arange(first, last)
    return Learned(np.stack([subjects, np.full(len(subjects), 10 * DAY)], 1), subjects % 2)


@pytest.mark.parametrize("name", ["logistic-features", "trees-features"])
def test_what_the_labs_say_is_found(columns: Columns, name: str) -> None:
    predict, asked = fit_baseline(name, columns, rows(0, 60), rows(60, 80), 2), rows(80, 120)
    said = predict(asked.rows)
    assert said.shape == (40, 2) and said.sum(1) == pytest.approx(1)
    assert roc_auc_score(asked.targets, said[:, 1]) > 0.95


def test_the_majority_knows_the_prevalence_alone(columns: Columns) -> None:
    train = rows(0, 60)._replace(targets=np.array([1] * 15 + [0] * 45))
    assert fit_baseline("majority", columns, train, rows(60, 80), 2)(rows(80, 90).rows).tolist() == [[0.75, 0.25]] * 10


def test_an_unknown_name_offers_those_there_are(columns: Columns) -> None:
    with pytest.raises(NameUnknown, match="trees-features"):
        fit_baseline("tree-features", columns, rows(0, 60), rows(60, 80), 2)
    assert set(RECORD_BASELINES) == {"majority", "logistic-features", "trees-features"}
