"""``pretrain``: data without labels in, an encoder out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from suwen.core.dataset import DataCheck, Dataset
from suwen.core.errors import DataError, RecipeError
from suwen.core.files import write_json
from suwen.core.model import Model
from suwen.core.preprocess import settings_of
from suwen.core.recipe import Recipe, parse_set, read_recipe
from suwen.core.registry import READERS, TASKS
from suwen.core.run import Run
from suwen.core.task import Task
from suwen.data.heap import give_back
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.summarise import summarise
from suwen.learn.device import check_devices, rank_here
from suwen.learn.train import Trained, train
from suwen.verbs.finetune import full_recipe, given
from suwen.verbs.folder import claim, clear, refuse_finished
from suwen.verbs.judges import judge_of
from suwen.verbs.probing import Probing
from suwen.verbs.reporting import write_run_report
from suwen.verbs.seen import bases_of, write_seen
from suwen.verbs.work import card_of, make_logs, prepare, versions
from suwen.verbs.workers import workers


def pretrain(
    objective: str | None = None,
    data: str | Path | None = None,
    *,
    encoder: str | None = None,
    weights: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    size: int | None = None,
    precision: str | None = None,
    devices: int | None = None,
    nodes: int | None = None,
    strategy: str | None = None,
    compile: str | bool | None = None,
    probe: str | Path | None = None,
    seed: int | None = None,
    recipe: str | Path | None = None,
    set: Sequence[str] = (),
    out: str | Path | None = None,
    log: Sequence[str] = (),
    skip_bad: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Model:
    """Pretrain an encoder without labels, and leave a Run that any Task can start from (``--encoder run:…``).

    Where the data have labels, or `probe` has, a k-nearest-neighbour vote and a linear classifier on the frozen
    features are judged on validation as training runs. Of data that have splits, only ``train`` is learned from, and
    ``test`` is not looked at. Training stops with an error when the features collapse.

    Args:
        objective: a pretraining task that ``suwen tasks`` lists, ``"image-contrastive"``.
        data: as for ``finetune``, or a folder of unlabelled images.
        encoder, weights, epochs, batch_size, learning_rate, size, precision, devices, nodes, strategy, compile, seed,
            recipe, set, out, log, skip_bad, overwrite, quiet: as for ``finetune``.
        probe: labelled data on which the features are judged, where `data` has no labels.

    Returns:
        The Model; its head gives the features themselves.

    Raises:
        TrainingError: the features collapsed, or the loss is not a number.
        SuwenError: bad data, an impossible setting, a Run in the way; the message says what to do.
    """
    asked = {
        "data": {
            "skip_bad": skip_bad or None,
            "source": None if data is None else str(data),
            "probe": None if probe is None else str(probe),
        },
        "encoder": {"name": encoder, "weights": weights},
        "inputs": {"size": size},
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "precision": precision,
            "devices": devices,
            "nodes": nodes,
            "strategy": strategy,
            "compile": compile,
        },
        "seed": seed,
        "task": objective,
    }
    settings = full_recipe(read_recipe(Path(recipe)) if recipe else {}, given(asked), parse_set(set))
    if not settings.data.source:
        raise RecipeError("no data", why="nothing to learn from", fix="suwen pretrain OBJECTIVE DATA --out RUN")
    _is_objective(TASKS[settings.task])
    _has_no_teacher(settings)
    check_devices(settings.training)
    run = Run(out or Path("runs") / settings.task)
    if rank_here(settings.training):
        return Pretraining(settings, run, Console(quiet=True)).join()
    refuse_finished(run, overwrite)
    return Pretraining(settings, run, Console(quiet=quiet, highlight=False), tuple(log), overwrite).run_it()


@dataclass
class Pretraining:
    """One call of `pretrain`, step by step."""

    recipe: Recipe
    run: Run
    console: Console
    logs: tuple[str, ...] = ()
    overwrite: bool = False

    def run_it(self) -> Model:
        """Read, check, train, save, probe, report."""
        began, task = time.monotonic(), TASKS[self.recipe.task]
        dataset, check = self.read(task)
        rows = dataset.where("train")
        self.recipe = self.recipe.completed(inputs=settings_of(dataset.preprocess), rows=len(rows))
        _enough(len(rows), self.recipe)
        claim(self.run, self.recipe, self.overwrite, verb="pretrain")
        self.console.print(
            f"[bold]{self.recipe.encoder.name}[/], {self.recipe.training.epochs} epochs → {self.run.path}"
        )
        probing = Probing.on(self._labelled(task, dataset), dataset, rows)
        before = probing.before(task, dataset, self.recipe)
        logs = make_logs(self.logs, self.run, self.console, self.recipe)
        with workers(self.recipe, "pretrain"):
            trained = train(task, dataset, self.recipe, probe=probing, folder=self.run.checkpoints, logs=logs)
        model = trained.model
        model.card = card_of(model, dataset, self.recipe, self.console)
        self.run.save(model)
        write_seen(self.run, dataset, bases_of(self.recipe))
        self.report(model, dataset, check, trained, probing, before)
        clear(self.run.checkpoints)
        self._say(probing, trained, time.monotonic() - began)
        return model

    def join(self) -> Model:
        """What every process but the first does: train with it. It writes nothing and probes nothing."""
        task = TASKS[self.recipe.task]
        dataset, _ = self.read(task)
        rows = dataset.where("train")
        self.recipe = self.recipe.completed(inputs=settings_of(dataset.preprocess), rows=len(rows))
        probing = Probing.on(self._labelled(task, dataset), dataset, rows)
        with workers(self.recipe, "pretrain"):
            return train(task, dataset, self.recipe, probe=probing).model

    def read(self, task: Task) -> tuple[Dataset, DataCheck]:
        """The data, decoded and checked; where nothing is labelled and nothing split, all of it is learned from."""
        reader, data = READERS[task.reader], self.recipe.data
        self.console.print(f"[bold]{task.name}[/]  {data.source}")
        samples = reader.read(data.source, labelled=False)
        # where everybody's split is known whatever is asked, those who will be tested on are left out here too
        unlabelled = not getattr(reader, "splits_alike", False) and all(sample.target is None for sample in samples)
        fractions = (1.0, 0.0, 0.0) if unlabelled else (data.train, data.val, data.test)
        dataset = prepare(reader, samples, self.recipe, fractions=fractions)
        check = reader.check(dataset, labelled=False, allow_leak=data.allow_leak)
        self.console.print(check.render())
        give_back()
        return dataset, check

    def report(
        self,
        model: Model,
        dataset: Dataset,
        check: DataCheck,
        trained: Trained,
        probing: Probing,
        before: dict[str, Outcome],
    ) -> None:
        """``metrics.json`` and ``report.html``."""
        after = probing.outcomes(model)
        outcomes = {"val": after["linear"]} if after else {}
        baselines = {"knn": {"val": after["knn"]}} if after else {}
        baselines |= {f"untrained, {name}": {"val": outcome} for name, outcome in before.items()}
        if probing.data is not None:
            named = replace(model.task, baselines=model.task.baselines or BASELINES)
            baselines |= judge_of(named).baselines(probing.data, outcomes)
        metrics = {
            "task": self.recipe.task,
            "seed": self.recipe.seed,
            "splits": self._figures(outcomes),
            "baselines": {name: self._figures(found) for name, found in baselines.items()},
            "pretraining": probing.variety(model),
            "training": trained.to_json(),
            "data": {"fingerprint": dataset.fingerprint, "counts": model.card["data"]["counts"]},
            "versions": versions(),
        }
        write_json(self.run.metrics, metrics)
        shown = probing.data or dataset
        history = trained.progress.history
        examples = {}
        if outcomes:
            examples = judge_of(model.task).report(model, shown, shown.where("val"), outcomes)
        write_run_report(
            self.run, model, shown, check.to_dict(), self.recipe, metrics, outcomes, baselines, history, examples
        )

    def _figures(self, outcomes: dict[str, Outcome]) -> dict[str, Any]:
        settings = self.recipe.evaluation
        return {
            split: summarise(outcome, resamples=settings.resamples, seed=self.recipe.seed)
            for split, outcome in outcomes.items()
        }

    def _labelled(self, task: Task, dataset: Dataset) -> Dataset | None:
        """The data to probe on: `data.probe`, else the data themselves if they have labels; None if neither."""
        source, data = self.recipe.data.probe, self.recipe.data
        if source is None:
            return dataset if len(dataset.labels) > 1 else None
        reader = READERS[task.probe or task.reader]
        found: Dataset = reader.build(
            reader.read(source),
            dataset.preprocess,
            seed=self.recipe.seed,
            labels=data.labels,
            fractions=(data.train, data.val, data.test),
            skip_bad=data.skip_bad,
        )
        reader.check(found, allow_leak=data.allow_leak)
        return found

    def _say(self, probing: Probing, trained: Trained, seconds: float) -> None:
        last = trained.progress.history[-1]
        probed = "".join(f"   {name.removeprefix('val_')} {last[name]:.3f}" for name in last if name.endswith("auroc"))
        self.console.print(
            f"\neffective rank [bold]{last.get('val_effective_rank', 0):.1f}[/]{probed}   {seconds:.0f} s in all"
        )
        self.console.print(
            f"open    {self.run.report}\n"
            f"type    suwen finetune {_next(self.recipe.task)} LABELLED --encoder run:{self.run.path} --out runs/mine"
        )


BASELINES = ("majority", "logistic-pixels")


def _next(objective: str) -> str:
    """The first task that learns from labels what this one pretrains for."""
    kind = objective.partition("-")[0]
    own = f"{kind}-classification"
    return own if own in TASKS else "disease-risk"


def _is_objective(task: Task) -> None:
    if task.labelled:
        objectives = [name for name in TASKS.names() if not TASKS[name].labelled]
        raise RecipeError(
            f"{task.name} learns from labels",
            why=f"pretraining goes without; its objectives here are {', '.join(objectives)}",
            fix=f"suwen finetune {task.name} DATA",
        )


def _has_no_teacher(recipe: Recipe) -> None:
    if recipe.teacher.run is not None:
        raise RecipeError(
            f"teacher.run = {recipe.teacher.run} with the objective {recipe.task}",
            why="a teacher's answers are learned beside labels, and an objective has no labels",
            fix=f"suwen distill {recipe.teacher.run} --encoder run:BASE   after pretraining BASE",
        )


def _enough(rows: int, recipe: Recipe) -> None:
    if rows < recipe.training.batch_size:
        raise DataError(
            f"{rows} images to learn from, in batches of {recipe.training.batch_size}",
            why="there are fewer than one batch holds, and objectives compare the images of a batch",
            fix=f"more images; or, for a trial, --batch-size {max(2, rows // 4)}",
        )
