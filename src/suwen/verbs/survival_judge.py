"""The judge of times: when an event comes, of people some of whom were not followed to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from suwen.core.calibration import Calibration
from suwen.core.dataset import Dataset
from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, Recipe
from suwen.core.task import Task
from suwen.evaluation.domain import fit_domain
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Threshold
from suwen.evaluation.summarise import summarise
from suwen.evaluation.survival_baselines import TimedRows, answering, survival_baseline
from suwen.evaluation.survival_interval import outlived
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_summary import at_horizons
from suwen.heads.hazard_scaling import curves_of, fit_scaling
from suwen.heads.time_to_event import TimeToEvent
from suwen.verbs.judge import DOMAIN_ROWS
from suwen.verbs.judges import Outcomes

POINTS = 100
"""Times of the grid on which curves are judged, evenly spaced, besides the horizons."""


class SurvivalJudge:
    """See `suwen.verbs.judges.Judge`."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def watching(self, dataset: Dataset) -> dict[str, Any]:
        """The headline metric on validation."""
        metric = metric_of(self.task.metric)
        sign = 1 if metric.higher_is_better else -1

        def score(model: Model, logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
            value = metric.function(outcome_of(model, dataset, rows, logits))
            return {metric.name: value, "score": sign * value}

        return {"score": score}

    def calibrate(self, model: Model, dataset: Dataset, settings: EvaluationSettings) -> None:
        """On training rows Cox's baseline; on validation the scale of hazards, the bound of times, and the domain."""
        head, rows, train = _head(model), dataset.where("val"), dataset.where("train")
        targets = np.asarray(dataset.targets, np.float64)
        if head.kind == "cox":
            head.fit_baseline(model.infer(dataset, train)[0], targets[train])
        if not len(rows):
            return
        logits, features = model.infer(dataset, rows)
        calibration = Calibration(coverage=settings.coverage)
        if (targets[rows, 1] > 0).any():
            temperature, shifts = fit_scaling(head, logits, targets[rows])
            calibration = Calibration(temperature=temperature, coverage=settings.coverage, shifts=shifts)
        model.calibration = _with_bound(head, calibration, logits, targets[rows])
        some = np.sort(np.random.default_rng(0).choice(train, min(len(train), DOMAIN_ROWS), replace=False))
        model.domain = fit_domain(model.infer(dataset, some, views=())[1], features)

    def explanations(self, model: Model, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
        """None are compared while training."""
        return {}

    def judge(self, model: Model, dataset: Dataset, rows: np.ndarray) -> SurvivalOutcome:
        """The model's curves of some rows."""
        return outcome_of(model, dataset, rows, model.infer(dataset, rows)[0])

    def rows(self, dataset: Dataset, split: str | None) -> np.ndarray:
        """See `suwen.verbs.judges.Judge.rows`."""
        wanted = dataset.where(split or "test")
        if split is None and not len(wanted):
            wanted = np.arange(len(dataset))
        known: np.ndarray = wanted[np.isfinite(np.asarray(dataset.targets, np.float64)[wanted]).all(axis=1)]
        if not len(known):
            raise DataError(
                "nobody whose time is known", why="nothing to judge by", fix="check the split and the times"
            )
        return known

    def baselines(self, dataset: Dataset, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """Those of the task that can be run here, learned from the same training rows; settings are chosen on
        validation."""
        train, val = dataset.where("train"), dataset.where("val")
        if not len(train) or not len(val) or not outcomes:
            return {}
        learned, checked = timed_rows(dataset, train), timed_rows(dataset, val)
        first: SurvivalOutcome = next(iter(outcomes.values()))
        found: dict[str, dict[str, Any]] = {}
        for name in self.task.baselines:
            predict = survival_baseline(name, learned, checked, first)
            found[name] = {
                split: answering(outcome, predict, timed_rows(dataset, dataset.where(split)).inputs)
                for split, outcome in outcomes.items()
            }
        return found

    def threshold(self, outcomes: Outcomes, settings: EvaluationSettings) -> Threshold:
        """None: a curve is judged as it is."""
        return None

    def figures(
        self,
        outcome: SurvivalOutcome,
        *,
        names: Sequence[str],
        threshold: Threshold,
        by: Sequence[str],
        resamples: int,
        seed: int,
    ) -> dict[str, Any]:
        """See `summarise`; with figures at each horizon and the separation of thirds of risk."""
        found = summarise(outcome, names=names, threshold=threshold, by=by, resamples=resamples, seed=seed)
        return found | at_horizons(outcome, names, resamples=resamples, seed=seed)

    def report(self, model: Model, dataset: Dataset, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """What one sample is called."""
        return {"unit": "people"}


def outcome_of(model: Model, dataset: Dataset, rows: np.ndarray, logits: np.ndarray) -> SurvivalOutcome:
    """What became of some rows, and the calibrated curves that the model says of them."""
    head = _head(model)
    grid = grid_of(head)
    targets = np.asarray(dataset.targets, np.float64)[rows]
    return SurvivalOutcome(
        ids=np.array(dataset.ids[rows].tolist(), np.str_),
        subjects=np.array(dataset.subjects[rows].tolist(), np.str_),
        time=targets[:, 0],
        event=targets[:, 1].astype(np.int64),
        incidence=curves_of(head, logits, model.calibration, grid),
        grid=grid,
        horizons=np.asarray(head.horizons),
        labels=tuple(dataset.labels),
        metadata=dataset.metadata.iloc[rows].reset_index(drop=True),
    )


def grid_of(head: TimeToEvent) -> np.ndarray:
    """The times at which curves are judged: evenly to the last edge, and the horizons."""
    last = float(head.config["edges"][-1])
    return np.union1d(np.linspace(0, last, POINTS + 1)[1:], np.asarray(head.horizons))


def timed_rows(dataset: Dataset, rows: np.ndarray) -> TimedRows:
    """Inputs ``(N, D)`` and targets of some rows.

    Raises:
        DataError: inputs that are no rows of numbers.
    """
    inputs = np.asarray(dataset.take(rows))
    if inputs.ndim != 2:
        raise DataError(
            f"inputs of shape {inputs.shape[1:]} a person",
            why="the baselines of survival learn from a row of numbers",
            fix="leave the baselines out of the task",
        )
    targets = np.asarray(dataset.targets, np.float64)[rows]
    return TimedRows(inputs.astype(np.float64), targets[:, 0], targets[:, 1].astype(np.int64))


def _head(model: Model) -> TimeToEvent:
    if not isinstance(model.head, TimeToEvent):
        raise DataError(
            f"a head of kind {type(model.head).__name__}", why="curves come from hazards", fix="--head time-to-event"
        )
    return model.head


def _with_bound(head: TimeToEvent, calibration: Calibration, logits: np.ndarray, targets: np.ndarray) -> Calibration:
    """With the said probability that a share `coverage` of validation people outlive."""
    last = float(head.config["edges"][-1])
    time, event = np.minimum(targets[:, 0], last), (targets[:, 1] > 0) & (targets[:, 0] <= last)
    grid = np.union1d(grid_of(head), np.unique(np.quantile(time, np.linspace(0, 1, 200))))
    curves = np.pad(curves_of(head, logits, calibration, grid).sum(axis=1), ((0, 0), (1, 0)))
    said = np.array([np.interp(at, np.concatenate([[0.0], grid]), row) for at, row in zip(time, curves, strict=True)])
    return replace(calibration, quantile=outlived(said, event, calibration.coverage))
