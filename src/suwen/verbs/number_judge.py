"""The judge of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, Recipe
from suwen.core.task import Task
from suwen.evaluation.baselines import small_grey
from suwen.evaluation.domain import fit_domain
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.number_outcome import NumberOutcome
from suwen.evaluation.outcome import Threshold
from suwen.evaluation.summarise import summarise
from suwen.verbs.judge import DOMAIN_ROWS, Rows
from suwen.verbs.judges import Outcomes

PENALTIES = tuple(10.0**power for power in range(-1, 5))


class NumberJudge:
    """See `suwen.verbs.judges.Judge`."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def watching(self, dataset: Dataset) -> dict[str, Any]:
        """The headline metric on validation, lower being better."""
        metric = metric_of(self.task.metric)
        sign = 1 if metric.higher_is_better else -1

        def score(model: Model, logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
            value = metric.function(_outcome(dataset, rows, model.head.values(logits)))  # type: ignore[attr-defined]
            return {metric.name: value, "score": sign * value}

        return {"score": score}

    def calibrate(self, model: Model, dataset: Dataset, settings: EvaluationSettings) -> None:
        """Half the width of intervals on validation: the split-conformal quantile of |said - true| (Lei et al., JASA
        2018;113:1094, section 2.2); and the domain."""
        rows = dataset.where("val")
        if not len(rows):
            return
        logits, features = model.infer(dataset, rows)
        errors = np.sort(np.abs(model.head.values(logits) - np.asarray(dataset.targets)[rows]))  # type: ignore[attr-defined]
        place = math.ceil((len(errors) + 1) * settings.coverage)
        quantile = float(errors[place - 1]) if place <= len(errors) else None
        model.calibration = Calibration(coverage=settings.coverage, quantile=quantile)
        train = dataset.where("train")
        some = np.sort(np.random.default_rng(0).choice(train, min(len(train), DOMAIN_ROWS), replace=False))
        model.domain = fit_domain(model.infer(dataset, some, views=())[1], features)

    def explanations(self, model: Model, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
        """None are compared while training."""
        return {}

    def judge(self, model: Model, dataset: Dataset, rows: np.ndarray) -> NumberOutcome:
        """The model's numbers on some rows."""
        return _outcome(dataset, rows, model.head.values(model.infer(dataset, rows)[0]))  # type: ignore[attr-defined]

    def rows(self, dataset: Dataset, split: str | None) -> np.ndarray:
        """See `suwen.verbs.judges.Judge.rows`."""
        wanted = dataset.where(split or "test")
        if split is None and not len(wanted):
            wanted = np.arange(len(dataset))
        known: np.ndarray = wanted[np.isfinite(np.asarray(dataset.targets)[wanted])]
        if not len(known):
            raise DataError("no images with numbers", why="nothing to judge by", fix="check the split and the labels")
        return known

    def baselines(self, dataset: Dataset, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """The mean of the training numbers, and ridge regression on tiny grey pixels."""
        train = dataset.where("train")
        if not len(train):
            return {}
        values = np.asarray(dataset.targets)[train]
        ridge = RidgeCV(PENALTIES).fit(small_grey(Rows(dataset, train)), values)  # type: ignore[arg-type]
        found: dict[str, dict[str, Any]] = {"mean": {}, "ridge-pixels": {}}
        for split in outcomes:
            rows = dataset.where(split)
            found["mean"][split] = _outcome(dataset, rows, np.full(len(rows), values.mean()))
            pixels = small_grey(Rows(dataset, rows))  # type: ignore[arg-type]
            found["ridge-pixels"][split] = _outcome(dataset, rows, ridge.predict(pixels))
        return found

    def threshold(self, outcomes: Outcomes, settings: EvaluationSettings) -> Threshold:
        """None: a number is judged as it is."""
        return None

    def figures(
        self,
        outcome: NumberOutcome,
        *,
        names: Sequence[str],
        threshold: Threshold,
        by: Sequence[str],
        resamples: int,
        seed: int,
    ) -> dict[str, Any]:
        """See `summarise`."""
        return summarise(outcome, names=names, threshold=threshold, by=by, resamples=resamples, seed=seed)

    def report(self, model: Model, dataset: Dataset, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """Nothing besides."""
        return {}


def _outcome(dataset: Dataset, rows: np.ndarray, said: np.ndarray) -> NumberOutcome:
    return NumberOutcome(
        ids=np.array(dataset.ids[rows].tolist(), np.str_),
        subjects=np.array(dataset.subjects[rows].tolist(), np.str_),
        target=np.asarray(dataset.targets, np.float64)[rows],
        said=np.asarray(said, np.float64),
        labels=tuple(dataset.labels),
        metadata=dataset.metadata.iloc[rows].reset_index(drop=True),
    )
