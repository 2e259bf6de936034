"""What a model of records must beat: the prevalence, logistic regression and trees on counts and last values.

Each answers the same rows as the model, from the same training rows; its settings are chosen on validation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import MaxAbsScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from suwen.core.errors import NameUnknown
from suwen.data.records.columns import Columns
from suwen.data.records.events import BIRTH
from suwen.data.records.features import Features

PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Inverse strengths (scikit-learn's C)."""

TREES = (20, 50, 100, 200)
"""Numbers of trees."""

WINDOWS = ("30d", "365d", "all")
Floats = np.ndarray


class Learned(NamedTuple):
    """Rows (n, 2) and their class numbers."""

    rows: np.ndarray
    targets: np.ndarray


Predictor = Callable[[np.ndarray], Floats]
Fit = Callable[[Columns, Learned, Learned, int], Predictor]
"""(events, train, validation, labels) → subjects and times ``(n, 2)`` → probabilities ``(n, K)``."""


def fit_baseline(name: str, columns: Columns, train: Learned, validation: Learned, labels: int) -> Predictor:
    """The baseline of this name, learned.

    Raises:
        NameUnknown: there is none.
    """
    if name not in RECORD_BASELINES:
        raise NameUnknown("baseline", name, RECORD_BASELINES, fix=f"one of {', '.join(RECORD_BASELINES)}")
    return RECORD_BASELINES[name](columns, train, validation, labels)


def _majority(columns: Columns, train: Learned, validation: Learned, labels: int) -> Predictor:
    share = np.bincount(train.targets, minlength=labels) / len(train.targets)
    return lambda rows: np.tile(share, (len(rows), 1))


def _logistic(columns: Columns, train: Learned, validation: Learned, labels: int) -> Predictor:
    """Counts and standardised last values and means: what was never measured counts as the mean."""
    known = Features(
        columns,
        windows=WINDOWS,
        aggregates=("count", "mean", "last"),
        clip=(0.005, 0.995),
        standardize=True,
        min_subjects=_few(train),
    )
    parts = [known.fit(train.rows), _age(columns, train)]
    scale = MaxAbsScaler().fit(_told(parts, train.rows))

    def seen(rows: np.ndarray) -> sparse.csr_matrix:
        return scale.transform(_told(parts, rows))

    inputs = seen(train.rows)
    with threadpool_limits(1):
        models = [LogisticRegression(C=penalty, max_iter=2000).fit(inputs, train.targets) for penalty in PENALTIES]
    return _likeliest([_answers(model, seen, labels) for model in models], validation, labels)


def _trees(columns: Columns, train: Learned, validation: Learned, labels: int) -> Predictor:
    """LightGBM where it is installed, else scikit-learn's boosted trees, which grow as it does."""
    known = Features(
        columns,
        windows=WINDOWS,
        aggregates=("count", "mean", "last", "min", "max", "since"),
        output="dense",
        min_subjects=_few(train),
    )
    known.fit(train.rows)
    inputs = known.transform(train.rows)
    kept = np.flatnonzero(~np.isnan(inputs).all(axis=0))

    def seen(rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = known.transform(rows)[:, kept]
        return found

    models = [_grown(seen(train.rows), train.targets, count) for count in TREES]
    return _likeliest([_answers(model, seen, labels) for model in models], validation, labels)


def _grown(inputs: np.ndarray, targets: np.ndarray, count: int) -> Any:
    from lightgbm import LGBMClassifier

    leaf = max(2, min(20, len(targets) // 20))
    return LGBMClassifier(
        n_estimators=count,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=leaf,
        reg_lambda=5.0,
        colsample_bytree=0.5,
        random_state=0,
        n_jobs=1,
        verbose=-1,
    ).fit(inputs, targets)


def _few(train: Learned) -> int:
    """Codes of fewer training subjects say nothing; of 200 labels those of 5 may."""
    return max(2, min(10, len(train.rows) // 40))


def _age(columns: Columns, train: Learned) -> Features | None:
    if BIRTH not in columns.numbers:
        return None
    age = Features(columns, windows=("all",), aggregates=("since",), codes=[BIRTH], min_subjects=1)
    return age.fit(train.rows)


def _told(parts: list[Features | None], rows: np.ndarray) -> sparse.csr_matrix:
    return sparse.hstack([part.transform(rows) for part in parts if part is not None]).tocsr()


def _answers(model: Any, seen: Callable[[np.ndarray], Any], labels: int) -> Predictor:
    def answer(rows: np.ndarray) -> Floats:
        found = np.zeros((len(rows), labels))
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            found[:, model.classes_] = model.predict_proba(seen(rows))
        found /= found.sum(1, keepdims=True)  # of float32 inputs they add up to 1 but for the last bits
        return found

    return answer


def _likeliest(models: list[Predictor], validation: Learned, labels: int) -> Predictor:
    """The one under which validation is most likely."""
    losses = [log_loss(validation.targets, model(validation.rows), labels=np.arange(labels)) for model in models]
    return models[int(np.argmin(losses))]


RECORD_BASELINES: dict[str, Fit] = {
    "majority": _majority,
    "logistic-features": _logistic,
    "trees-features": _trees,
}
"""Name → what it is; `suwen.clinic.records` names them."""
