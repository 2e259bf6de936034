"""The judge of answers about records: as of labels, with baselines that see the same histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import Recipe
from suwen.data.records.sequences import RecordDataset
from suwen.evaluation.record_baselines import Learned, fit_baseline
from suwen.verbs.judges import Outcomes
from suwen.verbs.label_judge import LabelJudge
from suwen.verbs.reporting import unscaled


class RecordJudge(LabelJudge):
    """See `suwen.verbs.judges.Judge`."""

    def explanations(self, model: Model, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
        """None: no explanation of records is built yet."""
        return {}

    def baselines(self, dataset: Dataset, outcomes: Outcomes) -> dict[str, dict[str, Any]]:
        """Those that the task names, learned on train and chosen on validation."""
        if "val" not in outcomes or not isinstance(dataset, RecordDataset):
            return {}
        train, validation = (_learned(dataset, split) for split in ("train", "val"))
        if len(np.unique(train.targets)) < 2:
            return {}
        columns, found = dataset.sequences.columns, {}
        for name in self.task.baselines:
            predict = fit_baseline(name, columns, train, validation, len(dataset.labels))
            found[name] = {
                split: replace(outcome, probabilities=predict(dataset.when(dataset.where(split))))
                for split, outcome in outcomes.items()
            }
        return found

    def report(self, model: Model, dataset: Dataset, rows: np.ndarray, outcomes: Outcomes) -> dict[str, Any]:
        """The answers as they were before scaling; no examples, which would show a patient."""
        split = "test" if "test" in outcomes else next(iter(outcomes))
        temperature = model.calibration.temperature
        return {
            "unit": "labels",
            "temperature": temperature,
            "uncalibrated": unscaled(outcomes[split], temperature),
        }


def _learned(dataset: RecordDataset, split: str) -> Learned:
    rows = dataset.where(split)
    rows = rows[dataset.targets[rows] >= 0]
    return Learned(dataset.when(rows), dataset.targets[rows])
