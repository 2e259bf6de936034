"""A `Judge`: what a fine-tuning and an evaluation ask of a Model, whatever the kind of its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, Recipe
from suwen.core.task import Task, load_object
from suwen.evaluation.outcome import Threshold

Outcomes = Mapping[str, Any]
"""Split → an outcome of the judge's own kind: ids, subjects, metadata, and whatever its metrics look at."""


class Judge(Protocol):
    """One kind of answers. A row of `suwen.core.task.Task.judge`, called with the Task."""

    def __init__(self, task: Task) -> None: ...

    def watching(self, dataset: Dataset) -> dict[str, Any]:
        """Keywords of `suwen.learn.train.train` by which it judges epochs on validation."""
        ...

    def calibrate(self, model: Model, dataset: Dataset, settings: EvaluationSettings) -> None:
        """Fit on validation, in place, what turns logits into honest answers."""
        ...

    def explanations(self, model: Model, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
        """``explanations`` of ``metrics.json``."""
        ...

    def judge(self, model: Model, dataset: Dataset, rows: np.ndarray) -> Any:
        """The model's answers on some rows, beside the truth."""
        ...

    def rows(self, dataset: Dataset, split: str | None) -> np.ndarray:
        """Rows of a split; unless one is named of ``test`` if there is one, else of all that is labelled."""
        ...

    def baselines(self, dataset: Dataset, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """Name → split → the answers of what is printed beside the model, learned from the same training rows."""
        ...

    def threshold(self, outcomes: Outcomes, settings: EvaluationSettings) -> Threshold:
        """The operating threshold that metrics look at, chosen on validation."""
        ...

    def figures(
        self,
        outcome: Any,
        *,
        names: Sequence[str],
        threshold: Threshold,
        by: Sequence[str],
        resamples: int,
        seed: int,
    ) -> dict[str, Any]:
        """What ``metrics.json`` says of one split."""
        ...

    def report(self, model: Model, dataset: Dataset, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """Keywords of `suwen.evaluation.content.ReportContent` that only this kind has: examples, calibration …"""
        ...


def groups_of(judge: Judge, dataset: Dataset) -> tuple[str, ...]:
    """Metadata columns whose subgroups are reported where the user names none; of most kinds of answers none."""
    found: tuple[str, ...] = judge.groups(dataset) if hasattr(judge, "groups") else ()
    return found


def judge_of(task: Task) -> Judge:
    """The judge of a task's answers."""
    made: Judge = load_object(task.judge)(task)
    return made
