"""The judge of labels: one answer an input, judged by its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import EvaluationSettings, Recipe
from suwen.core.task import Task
from suwen.evaluation.outcome import Outcome, Threshold
from suwen.evaluation.summarise import summarise
from suwen.evaluation.threshold import choose_threshold
from suwen.verbs.explaining import compare_explanations
from suwen.verbs.judge import calibrate, judge, judge_baselines, rows_to_judge, score_by
from suwen.verbs.judges import Outcomes
from suwen.verbs.reporting import examples, unscaled


class LabelJudge:
    """See `suwen.verbs.judges.Judge`."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def watching(self, dataset: Dataset) -> dict[str, Any]:
        """The headline metric of the validation logits."""
        return {"score": score_by(self.task, dataset)}

    def calibrate(self, model: Model, dataset: Dataset, settings: EvaluationSettings) -> None:
        """See `calibrate`."""
        calibrate(model, dataset, dataset.where("val"), settings)

    def explanations(self, model: Model, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
        """See `compare_explanations`."""
        return compare_explanations(model, dataset, recipe)

    def judge(self, model: Model, dataset: Dataset, rows: np.ndarray) -> Outcome:
        """See `judge`."""
        return judge(model, dataset, rows)

    def rows(self, dataset: Dataset, split: str | None) -> np.ndarray:
        """See `rows_to_judge`."""
        return rows_to_judge(dataset, split)

    def baselines(self, dataset: Dataset, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """See `judge_baselines`."""
        return judge_baselines(self.task, dataset, dict(outcomes))

    def threshold(self, outcomes: Outcomes, settings: EvaluationSettings) -> Threshold:
        """By the recipe's criterion."""
        return choose_threshold(outcomes["val"], settings.threshold) if "val" in outcomes else None

    def figures(
        self,
        outcome: Outcome,
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
        """Right and wrong examples, and the answers as they were before scaling."""
        split = "test" if "test" in outcomes else next(iter(outcomes))
        temperature = model.calibration.temperature
        return {
            "examples": examples(model, dataset, rows, outcomes[split]),
            "temperature": temperature,
            "uncalibrated": unscaled(outcomes[split], temperature),
        }
