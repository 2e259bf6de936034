"""Frozen features judged as pretraining runs: their variety, and what they are good for on a labelled part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from suwen.core.dataset import Dataset
from suwen.core.model import Model
from suwen.core.recipe import Recipe
from suwen.core.task import Task
from suwen.evaluation.collapse import effective_rank, refuse_collapse, spread
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.probe import linear_probe, vote_of_neighbours
from suwen.learn.train import build_model
from suwen.verbs.judge import outcome_from

LOOKED_AT, KNOWN, ASKED = 512, 2000, 1000
"""Most inputs whose variety is measured, and most labelled ones that a probe learns from and is asked about while
training runs. At the end all are."""

PROBES = {"linear": linear_probe, "knn": vote_of_neighbours}


@dataclass
class Probing:
    """What is looked at.

    Attributes:
        data: labelled, with rows in train and val; None where there is none.
        inputs, rows: of the pretraining data, for the variety of the features.
        epoch: how often it has been called.
    """

    data: Dataset | None
    inputs: Dataset
    rows: np.ndarray
    epoch: int = 0

    @classmethod
    def on(cls, data: Dataset | None, inputs: Dataset, rows: np.ndarray) -> Probing:
        """Probe on `data` where it has labels of at least two kinds to learn from, and others to ask about."""
        if data is not None and not (_can_learn(data, _labelled(data, "train")) and len(_labelled(data, "val"))):
            data = None
        return cls(data, inputs, _some(rows, LOOKED_AT))

    def __call__(self, model: Model) -> dict[str, float]:
        """Figures of this moment: ``effective_rank``, ``spread``, and AUROC of each probe.

        Raises:
            TrainingError: the features have collapsed.
        """
        self.epoch += 1
        figures = self.variety(model)
        refuse_collapse(figures["effective_rank"], figures["spread"], epoch=self.epoch)
        auroc = METRICS["auroc"].function
        for name, outcome in self.outcomes(model, known=KNOWN, asked=ASKED).items():
            figures[f"{name}_auroc"] = auroc(outcome)
        return {**figures, "score": figures.get("linear_auroc", figures["effective_rank"])}

    def variety(self, model: Model) -> dict[str, float]:
        """``effective_rank`` and ``spread`` of the features of some inputs."""
        features = model.infer(self.inputs, self.rows, views=())[1]
        return {"effective_rank": effective_rank(features), "spread": spread(features)}

    def outcomes(self, model: Model, *, known: int | None = None, asked: int | None = None) -> dict[str, Outcome]:
        """What each probe answers on validation, having learned from train; nothing where nothing is labelled."""
        if self.data is None:
            return {}
        train, val = _some(_labelled(self.data, "train"), known), _some(_labelled(self.data, "val"), asked)
        learned, judged = (model.infer(self.data, rows, views=())[1] for rows in (train, val))
        targets, width = np.asarray(self.data.targets)[train], len(self.data.labels)
        return {
            name: outcome_from(self.data, val, probe(learned, targets, judged, width)) for name, probe in PROBES.items()
        }

    def before(self, task: Task, dataset: Dataset, recipe: Recipe) -> dict[str, Outcome]:
        """The same of the encoder as it is before pretraining, to be printed beside it."""
        if self.data is None:
            return {}
        state = torch.get_rng_state()
        outcomes = self.outcomes(build_model(task, dataset, recipe))
        torch.set_rng_state(state)
        return outcomes


def _labelled(dataset: Dataset, split: str) -> np.ndarray:
    rows, targets = dataset.where(split), np.asarray(dataset.targets)
    return rows if targets.ndim == 2 else rows[targets[rows] >= 0]


def _can_learn(dataset: Dataset, rows: np.ndarray) -> bool:
    targets = np.asarray(dataset.targets)[rows]
    return len(rows) > 0 and bool((targets != targets[0]).any())


def _some(rows: np.ndarray, most: int | None) -> np.ndarray:
    if most is None or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
