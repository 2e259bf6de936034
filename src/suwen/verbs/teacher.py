"""The teacher of a Run: what is learned from it, and how its student compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.dataset import Dataset
from suwen.core.errors import RecipeError
from suwen.core.model import Model, evaluating
from suwen.core.recipe import Recipe
from suwen.core.run import Run
from suwen.core.task import Task
from suwen.engines.timing import BATCHES, measure
from suwen.evaluation.intervals import bootstrap, bootstrap_difference
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.summarise import as_json
from suwen.learn.distil import taught
from suwen.verbs.judge import judge

SECONDS = 1.0
"""About how long student and teacher are timed at each batch size."""


@dataclass(frozen=True)
class Teacher:
    """A Run that another one learns from.

    Attributes:
        run, model: as its folder holds them.
        recipe: of the student.
    """

    run: Run
    model: Model
    recipe: Recipe

    def refuse_others(self, dataset: Dataset) -> None:
        """It must read the student's inputs and know the student's labels.

        Raises:
            RecipeError: it does not.
        """
        if tuple(dataset.labels) != tuple(self.model.head.labels):
            raise RecipeError(
                f"the labels {', '.join(dataset.labels)}; the teacher {self.run.path} knows "
                f"{', '.join(self.model.head.labels)}",
                why="a student learns the teacher's answer to its own question",
                fix="data with the teacher's labels, or another teacher",
            )
        if dataset.preprocess != self.model.preprocess:
            mine, theirs = dataset.preprocess.model_dump(), self.model.preprocess.model_dump()
            other = {name: value for name, value in theirs.items() if mine.get(name) != value}
            raise RecipeError(
                f"inputs with {_settings({name: mine.get(name) for name in other})}; the teacher {self.run.path} reads "
                f"{_settings(other)}",
                why="both see the same batch",
                fix=" ".join(f"--set inputs.{name}={value}" for name, value in other.items())
                + "   (encoder.options.resize makes a student look at less)",
            )

    def facts(self) -> dict[str, Any]:
        """Whose answers the student learned, and how."""
        settings = self.recipe.teacher
        return {"model": self.model.name, "temperature": settings.temperature, "alpha": settings.alpha}

    def signed(self, card: dict[str, Any]) -> dict[str, Any]:
        """The student's card with its teacher, whose licence may forbid what the student's own does not."""
        theirs = self.model.card
        warning = card.get("licence_warning") or theirs.get("licence_warning")
        return card | {"teacher": self.facts() | {"licence": theirs.get("licence")}, "licence_warning": warning}

    def beside(self, student: Model, outcome: Outcome, dataset: Dataset, split: str) -> dict[str, Any]:
        """``metrics.json``'s ``teacher``: accuracy, headline, size and speed of both on one split.

        Args:
            student: calibrated.
            outcome: what it says of that split.
            dataset: of the student.
            split: ``"test"``, or ``"val"`` where there is no test split.
        """
        # as its Run holds it: training may have moved the other one
        model, rows = self.run.load(str(student.device)), dataset.where(split)
        theirs = judge(model, dataset, rows)
        names = [
            name
            for name in dict.fromkeys(("accuracy", "accuracy_at_threshold", student.task.metric))
            if name in student.head.metrics
        ]
        seed, resamples = self.recipe.seed, self.recipe.evaluation.resamples
        thresholds = student.calibration.threshold, model.calibration.threshold
        pair = {"student": student, "teacher": model}
        found: dict[str, Any] = as_json(
            {
                **self.facts(),
                "split": split,
                "n": len(outcome),
                "subjects": len(np.unique(outcome.subjects)),
                "student": bootstrap(outcome, names, thresholds[0], resamples=resamples, seed=seed),
                "teacher": bootstrap(theirs, names, thresholds[1], resamples=resamples, seed=seed),
                "change": bootstrap_difference(outcome, theirs, names, thresholds, resamples=resamples, seed=seed),
                "parameters": {who: count_parameters(each) for who, each in pair.items()},
                "latency": _latency(pair, dataset, rows),
            }
        )
        return found | {"warning": size_warning(found["parameters"])}


def teacher_of(recipe: Recipe) -> Teacher | None:
    """The Run that this recipe names as its teacher.

    Raises:
        RecipeError: something else than the labels is learned from besides.
        RunError: it is not a finished Run.
    """
    if recipe.teacher.run is None:
        return None
    if recipe.first.keep is not None:
        raise RecipeError(
            f"teacher.run and first.keep = {recipe.first.keep}",
            why="each adds its own term to the loss, and nobody has measured both",
            fix="drop one of them",
        )
    run = Run(recipe.teacher.run)
    return Teacher(run, run.load(), recipe)


def taught_task(task: Task, teacher: Teacher | None) -> Task:
    """The task that learns from the teacher too, or the task itself where there is none."""
    return task if teacher is None else taught(task, teacher.model)


def count_parameters(model: Model) -> int:
    """Of encoder and head."""
    return sum(each.numel() for part in model.parts().values() for each in part.parameters())


def size_warning(parameters: Mapping[str, int]) -> str:
    """A sentence where the student is not smaller than its teacher, else empty."""
    student, teacher = parameters["student"], parameters["teacher"]
    if student < teacher:
        return ""
    return (
        f"The student has {student:,} parameters, its teacher {teacher:,}: distillation makes a smaller model, "
        "such as --encoder timm:resnet10t."
    )


def _latency(pair: Mapping[str, Model], dataset: Dataset, rows: np.ndarray) -> dict[str, dict[str, float]]:
    """Batch size → median seconds of both in torch, in turns on the same inputs."""
    found = {}
    with evaluating([part for model in pair.values() for part in model.parts().values()]), torch.inference_mode():
        for size in BATCHES:
            inputs = torch.from_numpy(dataset.take(np.sort(np.resize(rows, size))))
            calls = {who: partial(_answer, model, inputs) for who, model in pair.items()}
            found[str(size)] = {who: each.median for who, each in measure(calls, seconds=SECONDS).items()}
    return found


def _answer(model: Model, inputs: Tensor) -> Tensor:
    # .cpu() waits for the device
    return model.see(inputs.to(model.device), ())[0].cpu()


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
