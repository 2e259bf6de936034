"""``finetune``: data and a question in, a Run out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from suwen.core.errors import RecipeError
from suwen.core.files import write_json
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe, parse_set, read_recipe
from suwen.core.registry import HEADS, TASKS
from suwen.core.run import Run
from suwen.core.task import Task
from suwen.evaluation.intervals import bootstrap_difference
from suwen.evaluation.summarise import as_json
from suwen.learn.adaptation import adaptation_of
from suwen.learn.device import check_devices, rank_here
from suwen.learn.train import Trained
from suwen.verbs.explaining import in_short
from suwen.verbs.first import write_fisher
from suwen.verbs.folder import claim, clear, refuse_finished
from suwen.verbs.judges import Judge, groups_of
from suwen.verbs.material import Material, read_material
from suwen.verbs.reporting import warnings_of, write_run_report
from suwen.verbs.seen import bases_of, write_seen
from suwen.verbs.sources import split_seed
from suwen.verbs.unlabelled import refuse_unlabelled
from suwen.verbs.work import card_of, counts_of, make_logs, versions

JUDGED: tuple[str, ...] = ("val", "test")

COMPARED = ("auprc", "brier", "ece")
"""Figures whose difference to each baseline is given beside the headline's, where the model is judged by them."""


def finetune(
    task: str | None = None,
    data: str | Path | None = None,
    *,
    encoder: str | None = None,
    weights: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    size: int | None = None,
    adapt: str | None = None,
    head: str | None = None,
    precision: str | None = None,
    devices: int | None = None,
    nodes: int | None = None,
    strategy: str | None = None,
    compile: str | bool | None = None,
    positive: str | None = None,
    by: Sequence[str] = (),
    labels: Sequence[str | Path] = (),
    extend: str | Path | None = None,
    keep: str | None = None,
    also: str | Path | None = None,
    unlabelled: str | Path | None = None,
    seed: int | None = None,
    recipe: str | Path | None = None,
    set: Sequence[str] = (),
    out: str | Path | None = None,
    log: Sequence[str] = (),
    skip_bad: bool = False,
    allow_leak: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> Model:
    """Fine-tune an encoder and a head on labelled data, judge it, and leave a Run.

    Settings come from, each over the one before: the general defaults, the task's, the `recipe` file, these keywords,
    `set`.
    The same call on an unfinished Run with the same settings goes on where it stopped.

    Args:
        task: a name that ``suwen tasks`` lists.
        data: a folder of class folders, or of ``images`` and ``masks``, a manifest CSV, or a MedMNIST-format ``.npz``.
        encoder: ``FAMILY:NAME``, ``"timm:resnet50"``, ``"run:runs/pretrained"``.
        weights: pretrained weights: a ``.safetensors`` file, a folder, ``"hub"``; random ones unless given.
        epochs, batch_size, learning_rate, adapt, precision: see `suwen.core.recipe.TrainingSettings`. A batch is
            that of all devices together, so that their number changes nothing but the time and the last bits.
        devices: GPUs of each machine to train on; without a GPU, processes that share its cores.
        nodes: machines; the same command is started on each, with ``MASTER_ADDR``, ``MASTER_PORT``, ``NODE_RANK``.
        strategy: of several devices: ``"ddp"``.
        compile: ``torch.compile`` of the training step: True, False, or ``"auto"``, which does on GPUs and not on CPUs.
        head: a row of ``suwen.heads``: ``"classify"`` (linear) or ``"knn"``; the task's own unless given.
        size: side of the input images in pixels; chosen from the data unless given.
        positive: the positive label of a binary question; the last one unless given.
        by: metadata columns to report subgroups of.
        labels: further labelled data to train on, such as a ``query.csv`` that was filled in; paths as in any manifest.
        extend: a Run whose recipe and data this one takes over, with `labels` added. Validation and test stay what
            they were. It starts as that Run started; from what it learned with ``encoder="run:…"``.
        keep: how to keep what the Run in ``encoder="run:FIRST"`` learned: ``"l2sp"``, ``"ewc"``, ``"rehearsal"``, or
            ``"plain"`` to start from its head too and keep nothing.
        also: data of that first Run's site: to rehearse, and for its figures before and after.
        unlabelled: further images to learn from, whose labels are not known or not looked at: a folder, a manifest or
            an ``.npz``. Where the model is sure of one, that teaches it the same answer to a harder view of it
            (`suwen.core.recipe.UnlabelledSettings`).
        seed: of the split, the weights, the order and the augmentation.
        recipe: a YAML file of settings, such as the ``recipe.yaml`` of another Run.
        set: single settings, ``"training.epochs=20"``.
        out: folder of the Run; ``runs/TASK`` unless given.
        log: further logs: ``"wandb"``.
        skip_bad: leave out unreadable files and count them.
        allow_leak: go on although the test split leaks; the report says so at its top.
        overwrite: replace a Run of other settings, or a finished one.
        quiet: print nothing.

    Returns:
        The calibrated Model.

    Raises:
        SuwenError: bad data, an impossible setting, a Run in the way; the message says what to do.
    """
    asked = {
        "data": {
            "skip_bad": skip_bad or None,
            "allow_leak": allow_leak or None,
            "source": None if data is None else str(data),
        },
        "encoder": {"name": encoder, "weights": weights},
        "head": {"name": head},
        "inputs": {"size": size},
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "adapt": adapt,
            "precision": precision,
            "devices": devices,
            "nodes": nodes,
            "strategy": strategy,
            "compile": compile,
        },
        "first": {"keep": keep, "data": None if also is None else str(also)},
        "unlabelled": {"source": None if unlabelled is None else str(unlabelled)},
        "evaluation": {"positive": positive, "by": tuple(by) or None},
        "seed": seed,
        "task": task,
    }
    below = start_from(recipe=recipe, extend=extend, encoder=encoder)
    more = {"data": {"more": [*below.get("data", {}).get("more", ()), *map(str, labels)]}} if labels else {}
    settings = full_recipe(below, more, given(asked), parse_set(set))
    _needs_labels(TASKS[settings.task])
    refuse_unlabelled(TASKS[settings.task], settings)
    if not settings.data.source:
        raise RecipeError("no data", why="nothing to learn from", fix="suwen finetune TASK DATA --out RUN")
    check_devices(settings.training)
    run = Run(out or Path("runs") / settings.task)
    if rank_here(settings.training):
        return Finetuning(settings, run, Console(quiet=True)).join()
    console = Console(quiet=quiet, highlight=False)
    refuse_finished(run, overwrite)
    return Finetuning(settings, run, console, tuple(log), overwrite, Run(extend) if extend else None).run_it()


def start_from(*, recipe: str | Path | None, extend: str | Path | None, encoder: str | None = None) -> dict[str, Any]:
    """The settings that others are laid over: a recipe file's, or those of a Run that is extended.

    An extended Run fixes its labels (a misspelt one must not become a class) and its split, whatever the new seed. A
    new encoder drops the old one's weights and options, and what had been kept for it.
    """
    if extend is None:
        return read_recipe(Path(recipe)) if recipe else {}
    if recipe is not None:
        raise RecipeError("--extend and --recipe", why="a Run brings its own recipe", fix="drop one of them")
    kept = make_recipe(read_recipe(Run(extend).recipe))
    nested = kept.model_dump(mode="json")
    nested["data"] |= {"labels": list(Run(extend).load().head.labels), "seed": split_seed(kept)}
    if encoder is not None:
        nested = {name: value for name, value in nested.items() if name not in ("encoder", "first")}
    return nested


def full_recipe(*layers: Mapping[str, Any]) -> Recipe:
    """The recipe of these layers over the defaults of the task they name."""
    first = make_recipe({"task": "", "data": {"source": ""}}, *layers)
    adaptation_of(first)
    task: Task = TASKS[first.task]
    # who names epochs means them: the task's own number of steps gives way
    named = any("epochs" in layer.get("training", {}) for layer in layers)
    # a penalty that pulls weights to where they were replaces decay, which pulls them to 0
    pulled = first.first.keep in ("l2sp", "ewc")
    # smoothed targets hold answers below the threshold from which they would teach
    sharp = first.unlabelled.source is not None and "label_smoothing" in task.recipe.get("head", {}).get("options", {})
    # options of the task's own head mean nothing to another one
    kept = first.head.name in (None, task.head)
    own = task.recipe if kept else {**task.recipe, "head": {}}
    return make_recipe(
        {"encoder": {"name": task.encoder}, "head": {"name": task.head}},
        own,
        {"training": {"steps": None}} if named else {},
        {"training": {"weight_decay": 0.0}} if pulled else {},
        {"head": {"options": {"label_smoothing": 0.0}}} if sharp and kept else {},
        *layers,
    )


@dataclass
class Finetuning:
    """One call of `finetune`, step by step."""

    recipe: Recipe
    run: Run
    console: Console
    logs: tuple[str, ...] = ()
    overwrite: bool = False
    extends: Run | None = None

    def run_it(self) -> Model:
        """Read, check, train, calibrate, save, judge, report."""
        began = time.monotonic()
        material = read_material(self.recipe, self.console, self.extends)
        dataset, pool, teacher, judge = material.dataset, material.pool, material.teacher, material.judge
        self.recipe = material.completed(self.recipe)
        claim(self.run, self.recipe, self.overwrite)
        head = self.recipe.head.name or material.task.head
        how = f"{head} solved at once" if hasattr(HEADS[head], "solve") else f"{self.recipe.training.epochs} epochs"
        self.console.print(f"[bold]{self.recipe.encoder.name}[/], {how} → {self.run.path}")
        logs = make_logs(self.logs, self.run, self.console, self.recipe)
        trained = material.train(
            self.recipe,
            folder=self.run.checkpoints,
            logs=logs,
            say=lambda line: self.console.print(line, highlight=False),
        )
        model, history = trained.model, trained.progress.history
        judge.calibrate(model, dataset, self.recipe.evaluation)
        explanations = judge.explanations(model, dataset, self.recipe)
        beside = {} if pool is None else {"unlabelled": pool.to_json(history)}
        model.card = card_of(model, dataset, self.recipe, self.console) | {"explanations": in_short(explanations)}
        model.card["data"] |= beside
        if teacher is not None:
            model.card = teacher.signed(model.card)
        self.run.save(model)
        write_seen(self.run, dataset, bases_of(self.recipe), material.unlabelled)
        write_fisher(self.run, model, dataset, self.recipe)
        split_rows = {split: rows for split in JUDGED if len(rows := dataset.where(split))}
        outcomes = {split: judge.judge(model, dataset, rows) for split, rows in split_rows.items()}
        baselines = judge.baselines(dataset, outcomes)
        metrics = self.metrics(material, trained, outcomes, baselines) | {"explanations": explanations}
        metrics["data"] |= beside
        metrics |= self.compared(material, model, outcomes)
        write_json(self.run.metrics, metrics)
        check = material.checked()
        last = next(reversed(split_rows.values()), None)
        shown = {} if last is None else judge.report(model, dataset, last, outcomes)
        write_run_report(self.run, model, dataset, check, self.recipe, metrics, outcomes, baselines, history, shown)
        clear(self.run.checkpoints)
        self._say(metrics, time.monotonic() - began)
        return model

    def join(self) -> Model:
        """What every process but the first does: train with it. It writes nothing and judges nothing."""
        material = read_material(self.recipe, self.console)
        self.recipe = material.completed(self.recipe)
        return material.train(self.recipe).model

    def compared(self, material: Material, model: Model, outcomes: dict[str, Any]) -> dict[str, Any]:
        """What ``metrics.json`` says of other Runs: the first site before and after, the teacher."""
        found: dict[str, Any] = {}
        first, teacher = material.first, material.teacher
        if first is not None and self.recipe.first.data is not None:
            found["first"] = first.before_and_after(model, self.recipe.evaluation.resamples)
        if teacher is not None and outcomes:
            split = "test" if "test" in outcomes else "val"
            found["teacher"] = teacher.beside(model, outcomes[split], material.dataset, split)
        return found

    def metrics(
        self,
        material: Material,
        trained: Trained,
        outcomes: dict[str, Any],
        baselines: dict[str, dict[str, Any]],
    ) -> dict[str, Any]:
        """The whole of ``metrics.json``."""
        judge, dataset, names = material.judge, material.dataset, trained.model.head.metrics
        by = self.recipe.evaluation.by or groups_of(judge, dataset)
        return {
            "task": self.recipe.task,
            "seed": self.recipe.seed,
            "splits": self._figures(judge, outcomes, names, by),
            "baselines": {
                name: self._beside(outcomes, found, self._figures(judge, found, names, ()))
                for name, found in baselines.items()
            },
            "training": trained.to_json(),
            "data": {"fingerprint": dataset.fingerprint, "counts": counts_of(dataset)},
            "versions": versions(),
        }

    def _figures(
        self, judge: Judge, outcomes: dict[str, Any], names: Sequence[str], by: Sequence[str]
    ) -> dict[str, Any]:
        settings = self.recipe.evaluation
        threshold = judge.threshold(outcomes, settings)
        return {
            split: judge.figures(
                outcome, names=names, threshold=threshold, by=by, resamples=settings.resamples, seed=self.recipe.seed
            )
            for split, outcome in outcomes.items()
        }

    def _beside(self, outcomes: dict[str, Any], found: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
        """A baseline's figures with ``difference``: the model's less its, on the very same resamples of subjects."""
        settings, headline = self.recipe.evaluation, TASKS[self.recipe.task].metric
        for split, figure in figures.items():
            names = [name for name in (headline, *COMPARED) if name in figure["metrics"]]
            difference = bootstrap_difference(
                outcomes[split], found[split], dict.fromkeys(names), resamples=settings.resamples, seed=self.recipe.seed
            )
            figure["difference"] = as_json(difference)
        return figures

    def _say(self, metrics: dict[str, Any], seconds: float) -> None:
        headline = TASKS[self.recipe.task].metric
        split = "test" if "test" in metrics["splits"] else "val"
        found = metrics["splits"][split]["metrics"][headline]
        value = "not defined" if found["value"] is None else f"{found['value']:.3f}"
        if found["low"] is not None:  # without resamples there is no interval
            value += f" ({found['low']:.3f}–{found['high']:.3f})"
        self.console.print(f"\n{split} {headline} [bold]{value}[/]   {seconds:.0f} s in all")
        for warning in warnings_of(metrics):
            self.console.print(f"[yellow]{warning}[/]")
        self.console.print(
            f"open    {self.run.report}\n"
            f"type    suwen predict {self.run.path} FILE\n"
            f"        suwen explain {self.run.path} FILE"
        )


def _needs_labels(task: Task) -> None:
    if not task.labelled:
        raise RecipeError(
            f"{task.name} is a pretraining objective",
            why="it learns without labels and answers nothing yet",
            fix=f"suwen pretrain {task.name} DATA --out RUN, then suwen finetune TASK DATA --encoder run:RUN",
        )


def given(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without the None: what was not asked for must not hide a recipe's value."""
    kept = {key: given(value) if isinstance(value, Mapping) else value for key, value in nested.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}
