"""From a Model's logits to Outcomes, calibration and figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings
from suwen.core.task import Task
from suwen.evaluation.baselines import LabelledImages, baseline_outcomes
from suwen.evaluation.calibration import fit_temperature
from suwen.evaluation.conformal import fit_quantile
from suwen.evaluation.domain import fit_domain
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.threshold import choose_threshold
from suwen.learn.train import Score

DOMAIN_ROWS = 4096
"""How many training rows the domain is fitted on."""


def outcome_of(model: Model, dataset: Dataset, rows: np.ndarray, logits: np.ndarray) -> Outcome:
    """What was true and what the model says of some rows."""
    probabilities = model.head.probabilities(torch.from_numpy(logits).double(), model.calibration).numpy()
    return outcome_from(dataset, rows, probabilities, positive=getattr(model.head, "positive", -1))


def outcome_from(dataset: Dataset, rows: np.ndarray, probabilities: np.ndarray, *, positive: int = -1) -> Outcome:
    """What was true and what was said, ``(n, K)``, of some rows."""
    return Outcome(
        ids=np.array(dataset.ids[rows].tolist(), np.str_),
        subjects=np.array(dataset.subjects[rows].tolist(), np.str_),
        target=np.asarray(dataset.targets)[rows],
        probabilities=probabilities,
        labels=tuple(dataset.labels),
        metadata=dataset.metadata.iloc[rows].reset_index(drop=True),
        positive=positive,
    )


def score_by(task: Task, dataset: Dataset) -> Score:
    """The task's headline metric on validation, higher being better whichever it is."""
    metric = METRICS[task.metric]
    sign = 1 if metric.higher_is_better else -1

    def score(model: Model, logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        value = metric.function(outcome_of(model, dataset, rows, logits))
        return {task.metric: value, "score": sign * value}

    return score


Beside = tuple[np.ndarray, np.ndarray]
"""Row numbers, and logits of them that were not fitted to them."""


def calibrate(
    model: Model, dataset: Dataset, rows: np.ndarray, settings: EvaluationSettings, beside: Beside | None = None
) -> None:
    """Fit temperature, threshold, prediction sets and domain on these rows (validation), in place.

    Args:
        model: whose calibration and domain are set.
        dataset, rows: what to fit them on.
        settings: which threshold, and how many sets shall hold the truth.
        beside: further rows for the temperature. All else is of validation alone: its promise is about answers of this
            very model.
    """
    if not len(rows):
        return
    logits, features = model.infer(dataset, rows)
    further, said = (rows[:0], logits[:0]) if beside is None else beside
    every, all_logits = np.concatenate([rows, further]), np.concatenate([logits, said.astype(logits.dtype)])
    targets = np.asarray(dataset.targets)[every]
    model.calibration = Calibration(temperature=fit_temperature(all_logits, targets), coverage=settings.coverage)
    outcome = outcome_of(model, dataset, rows, logits)
    threshold = choose_threshold(outcome, settings.threshold)
    model.calibration = replace(
        model.calibration,
        threshold=threshold if isinstance(threshold, float) else None,
        quantile=fit_quantile(outcome, settings.coverage),
    )
    train = dataset.where("train")
    some = np.sort(np.random.default_rng(0).choice(train, min(len(train), DOMAIN_ROWS), replace=False))
    model.domain = fit_domain(model.infer(dataset, some, views=())[1], features)


def judge(model: Model, dataset: Dataset, rows: np.ndarray) -> Outcome:
    """The model's answers on some rows."""
    return outcome_of(model, dataset, rows, model.infer(dataset, rows)[0])


def rows_to_judge(dataset: Dataset, split: str | None) -> np.ndarray:
    """Row numbers of a split; unless one is named of ``test`` if there is one, else of all that is labelled.

    Raises:
        DataError: there are none.
    """
    wanted = dataset.where(split or "test")
    if len(wanted):
        return wanted
    if split is not None:
        raise DataError(f"no samples in the split {split!r}", why="nothing to judge", fix="leave out --split")
    targets = np.asarray(dataset.targets)
    return np.flatnonzero(targets >= 0) if targets.ndim == 1 else np.arange(len(dataset))


def judge_baselines(task: Task, dataset: Dataset, outcomes: dict[str, Outcome]) -> dict[str, dict[str, Outcome]]:
    """Name → split → the answers of what is printed beside the model, learned from the same training rows."""
    if "val" not in outcomes:
        return {}
    rows = dataset.where("train")
    train = LabelledImages(Rows(dataset, rows), np.asarray(dataset.targets)[rows])  # type: ignore[arg-type]
    images: dict[str, Any] = {split: Rows(dataset, dataset.where(split)) for split in outcomes}
    return {name: baseline_outcomes(name, train, images, outcomes) for name in task.baselines}


class Rows:
    """Some rows of a Dataset as an array that is only read where it is indexed, so that no split is held in memory."""

    def __init__(self, dataset: Dataset, rows: np.ndarray) -> None:
        self.dataset, self.rows = dataset, rows
        first = dataset.take(rows[:1])
        self.shape, self.dtype, self.ndim = (len(rows), *first.shape[1:]), first.dtype, first.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        taken: np.ndarray = self.dataset.take(self.rows[index])
        return taken
