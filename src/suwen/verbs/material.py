"""What a fine-tuning learns from: labelled data, and whatever its recipe names besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console

from suwen.core.dataset import DataCheck, Dataset, bound
from suwen.core.preprocess import settings_of
from suwen.core.recipe import Recipe
from suwen.core.registry import READERS, TASKS
from suwen.core.run import Run
from suwen.core.task import Task
from suwen.data.heap import give_back
from suwen.learn.train import Trained, train
from suwen.verbs.first import First, first_of, keeping_task
from suwen.verbs.judges import Judge, judge_of
from suwen.verbs.seen import bases_of, seen_before
from suwen.verbs.sources import build_dataset, same_held_out
from suwen.verbs.teacher import Teacher, taught_task, teacher_of
from suwen.verbs.unlabelled import Unlabelled, read_unlabelled
from suwen.verbs.work import preprocess_of
from suwen.verbs.workers import workers


@dataclass(frozen=True, kw_only=True)
class Material:
    """All of it.

    Attributes:
        task: the question.
        dataset: labelled, split and decoded.
        check: of the data, those without labels among them.
        first: the Run whose knowledge is kept, if any is.
        teacher: the Run whose answers are learned too, if any are.
        pool: the unlabelled data, if there are any.
    """

    task: Task
    dataset: Dataset
    check: DataCheck
    first: First | None
    teacher: Teacher | None
    pool: Unlabelled | None

    @property
    def judge(self) -> Judge:
        """What judges the answers to the question."""
        return judge_of(self.task)

    @property
    def unlabelled(self) -> Dataset | None:
        """The unlabelled data as a Dataset."""
        return None if self.pool is None else self.pool.dataset

    def completed(self, recipe: Recipe) -> Recipe:
        """The recipe with what only the data decide."""
        return recipe.completed(
            inputs=settings_of(self.dataset.preprocess),
            rows=len(self.dataset.where("train")),
            unlabelled=0 if self.pool is None else len(self.pool.rows),
        )

    def checked(self) -> dict[str, Any]:
        """The check as the report shows it."""
        found = self.check.to_dict()
        if self.pool is not None:
            found["tables"].append(self.pool.table())
        return found

    def train(self, recipe: Recipe, **options: Any) -> Trained:
        """`suwen.learn.train.train` on it, on all devices."""
        task = taught_task(keeping_task(self.task, self.first, tuple(self.dataset.labels)), self.teacher)
        with workers(recipe, "finetune"):
            return train(
                task,
                self.dataset,
                recipe,
                **self.judge.watching(self.dataset),
                unlabelled=self.unlabelled,
                **options,
            )


def read_material(recipe: Recipe, console: Console, extends: Run | None = None) -> Material:
    """The data, split, decoded, checked and held against everything that may not be among them; the check is printed.

    Args:
        recipe: what to read, and how.
        console: where the check is printed.
        extends: a Run whose validation and test these data must have.

    Raises:
        SuwenError: bad data, a leak, or things that do not go together.
    """
    task: Task = TASKS[recipe.task]
    first, teacher = first_of(recipe), teacher_of(recipe)
    console.print(f"[bold]{task.name}[/]  {recipe.data.source}")
    dataset = _labelled(task, recipe, first)
    check = READERS[task.reader].check(dataset, allow_leak=recipe.data.allow_leak)
    check.leaks += seen_before(bases_of(recipe), dataset, dataset.where("test"), allow_leak=recipe.data.allow_leak)
    if extends is not None:
        same_held_out(extends, dataset)
    if first is not None and recipe.first.data is not None:
        first.refuse_leaks(dataset)
    if teacher is not None:
        teacher.refuse_others(dataset)
    console.print(check.render())
    pool = _beside(task, recipe, dataset, check, first, console)
    give_back()
    return Material(task=task, dataset=dataset, check=check, first=first, teacher=teacher, pool=pool)


def _labelled(task: Task, recipe: Recipe, first: First | None) -> Dataset:
    settings = {key: value for key, value in recipe.inputs.items() if value is not None}
    reader = bound(READERS[task.reader], settings)
    samples = reader.read(recipe.data.source)
    preprocess = preprocess_of(reader, samples, recipe)
    rehearsed = first.rehearsed() if first is not None and recipe.first.keep == "rehearsal" else []
    return build_dataset(reader, samples, preprocess, recipe, rehearsed)


def _beside(
    task: Task, recipe: Recipe, dataset: Dataset, check: DataCheck, first: First | None, console: Console
) -> Unlabelled | None:
    """The unlabelled data, if there are any; what became of them is printed, and the check hears of it."""
    pool = read_unlabelled(task, recipe, dataset)
    if pool is None:
        return None
    if first is not None and recipe.first.data is not None:
        first.refuse_leaks(pool.dataset)
    check.leaks += pool.leaks
    check.warnings += pool.warnings
    console.print(f"[bold]without labels[/]  {pool.source}")
    for what, count in pool.counts.items():
        console.print(f"{count:>8}  {what}")
    for kind, lines in (("leak", pool.leaks), ("warning", pool.warnings)):
        for line in lines:
            console.print(f"{kind}: {line}", style="bold red" if kind == "leak" else "yellow", markup=False)
    return pool
