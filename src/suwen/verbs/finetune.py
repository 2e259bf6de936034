"""``finetune``: data and a question in, a Run out."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from suwen.core.dataset import DataCheck, Dataset
from suwen.core.errors import RecipeError, RunError
from suwen.core.files import write_json
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe, parse_set, read_recipe
from suwen.core.registry import READERS, TASKS
from suwen.core.run import Run
from suwen.core.sample import SPLITS
from suwen.core.task import Task
from suwen.encoders.catalogue import warn_of
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.summarise import summarise
from suwen.evaluation.threshold import choose_threshold
from suwen.learn.log import ConsoleLog, JsonLog, Log, TensorBoardLog, WandbLog
from suwen.learn.train import Trained, train
from suwen.verbs.explaining import compare_explanations, in_short, warning_of
from suwen.verbs.judge import calibrate, judge, judge_baselines, score_by
from suwen.verbs.reporting import write_run_report

JUDGED: tuple[str, ...] = ("val", "test")
VERSIONS = ("suwen", "torch", "torchvision", "timm", "lightning-fabric", "numpy", "scikit-learn", "pydicom", "pillow")


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
    precision: str | None = None,
    positive: str | None = None,
    by: Sequence[str] = (),
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
        data: a folder of class folders, a manifest CSV, or a MedMNIST-format ``.npz``.
        encoder: ``FAMILY:NAME``, ``"timm:resnet50"``, ``"run:runs/pretrained"``.
        weights: pretrained weights: a ``.safetensors`` file, a folder, ``"hub"``; random ones unless given.
        epochs, batch_size, learning_rate, adapt, precision: see `suwen.core.recipe.TrainingSettings`.
        size: side of the input images in pixels; chosen from the data unless given.
        positive: the positive label of a binary question; the last one unless given.
        by: metadata columns to report subgroups of.
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
        "inputs": {"size": size},
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "adapt": adapt,
            "precision": precision,
        },
        "evaluation": {"positive": positive, "by": tuple(by) or None},
        "seed": seed,
        "task": task,
    }
    settings = full_recipe(read_recipe(Path(recipe)) if recipe else {}, _given(asked), parse_set(set))
    if not settings.data.source:
        raise RecipeError("no data", why="nothing to learn from", fix="suwen finetune TASK DATA --out RUN")
    run = Run(out or Path("runs") / settings.task)
    console = Console(quiet=quiet, highlight=False)
    _refuse_finished(run, overwrite)
    return Finetuning(settings, run, console, tuple(log), overwrite).run_it()


def full_recipe(*layers: Mapping[str, Any]) -> Recipe:
    """The recipe of these layers over the defaults of the task they name."""
    first = make_recipe({"task": "", "data": {"source": ""}}, *layers)
    task: Task = TASKS[first.task]
    # who names epochs means them: the task's own number of steps gives way
    named = any("epochs" in layer.get("training", {}) for layer in layers)
    return make_recipe(
        {"encoder": {"name": task.encoder}}, task.recipe, {"training": {"steps": None}} if named else {}, *layers
    )


@dataclass
class Finetuning:
    """One call of `finetune`, step by step."""

    recipe: Recipe
    run: Run
    console: Console
    logs: tuple[str, ...] = ()
    overwrite: bool = False

    def run_it(self) -> Model:
        """Read, check, train, calibrate, save, judge, report."""
        began = time.monotonic()
        task: Task = TASKS[self.recipe.task]
        dataset, check = self.read(task)
        self.recipe = self.recipe.completed(inputs=dataset.preprocess.model_dump(), rows=len(dataset.where("train")))
        _claim(self.run, self.recipe, self.overwrite)
        self.console.print(
            f"[bold]{self.recipe.encoder.name}[/], {self.recipe.training.epochs} epochs → {self.run.path}"
        )
        trained = train(
            task,
            dataset,
            self.recipe,
            score=score_by(task, dataset),
            folder=self.run.checkpoints,
            logs=self._make_logs(),
        )
        model = trained.model
        calibrate(model, dataset, dataset.where("val"), self.recipe.evaluation)
        explanations = compare_explanations(model, dataset, self.recipe)
        model.card = self._card(model, dataset) | {"explanations": in_short(explanations)}
        self.run.save(model)
        _write_seen(self.run, dataset)
        outcomes = {
            split: judge(model, dataset, dataset.where(split)) for split in ("val", "test") if len(dataset.where(split))
        }
        baselines = judge_baselines(task, dataset, outcomes)
        metrics = self.metrics(model, dataset, trained, outcomes, baselines) | {"explanations": explanations}
        write_json(self.run.metrics, metrics)
        history = trained.progress.history
        write_run_report(self.run, model, dataset, check.to_dict(), self.recipe, metrics, outcomes, baselines, history)
        _clear(self.run.checkpoints)
        self._say(metrics, time.monotonic() - began)
        return model

    def read(self, task: Task) -> tuple[Dataset, DataCheck]:
        """The data, split, decoded, checked; the check is printed."""
        reader, data = READERS[task.reader], self.recipe.data
        self.console.print(f"[bold]{task.name}[/]  {data.source}")
        samples = reader.read(data.source)
        preprocess = reader.preprocess(
            samples, {key: value for key, value in self.recipe.inputs.items() if value is not None}
        )
        dataset = reader.build(
            samples,
            preprocess,
            seed=self.recipe.seed,
            labels=data.labels,
            fractions=(data.train, data.val, data.test),
            skip_bad=data.skip_bad,
        )
        check = reader.check(dataset, allow_leak=data.allow_leak)
        self.console.print(check.render())
        return dataset, check

    def metrics(
        self,
        model: Model,
        dataset: Dataset,
        trained: Trained,
        outcomes: dict[str, Outcome],
        baselines: dict[str, dict[str, Outcome]],
    ) -> dict[str, Any]:
        """The whole of ``metrics.json``."""
        progress = trained.progress
        return {
            "task": self.recipe.task,
            "seed": self.recipe.seed,
            "splits": self._figures(outcomes, model.head.metrics, self.recipe.evaluation.by),
            "baselines": {name: self._figures(found, model.head.metrics, ()) for name, found in baselines.items()},
            "training": {
                "seconds": round(progress.seconds, 2),
                "samples_per_second": round(progress.samples / max(progress.seconds, 1e-9), 1),
                "epochs": progress.epoch,
                "best_epoch": progress.best_epoch,
                "device": trained.device,
                "precision": trained.precision,
            },
            "data": {"fingerprint": dataset.fingerprint, "counts": counts_of(dataset)},
            "versions": versions(),
        }

    def _figures(self, outcomes: dict[str, Outcome], names: Sequence[str], by: Sequence[str]) -> dict[str, Any]:
        settings = self.recipe.evaluation
        threshold = choose_threshold(outcomes["val"], settings.threshold) if "val" in outcomes else None
        return {
            split: summarise(
                outcome, names=names, threshold=threshold, by=by, resamples=settings.resamples, seed=self.recipe.seed
            )
            for split, outcome in outcomes.items()
        }

    def _make_logs(self) -> list[Log]:
        logs: list[Log] = [ConsoleLog(self.console), JsonLog(self.run.log), TensorBoardLog(self.run.path)]
        for name in self.logs:
            if name != "wandb":
                raise RunError(f"--log {name}", why="known logs: wandb", fix="--log wandb")
            logs.append(WandbLog(self.run.path.name, self.recipe.model_dump(mode="json")))
        return logs

    def _card(self, model: Model, dataset: Dataset) -> dict[str, Any]:
        if warning := warn_of(model.encoder.licence):
            self.console.print(f"[yellow]{warning}[/]")
        return {
            "licence": model.encoder.licence,
            "licence_warning": warning,
            "data": {
                "fingerprint": dataset.fingerprint,
                "counts": counts_of(dataset),
                "source": self.recipe.data.source,
            },
            "seed": self.recipe.seed,
            "versions": versions(),
        }

    def _say(self, metrics: dict[str, Any], seconds: float) -> None:
        headline = TASKS[self.recipe.task].metric
        split = "test" if "test" in metrics["splits"] else "val"
        found = metrics["splits"][split]["metrics"][headline]
        value = (
            "not defined"
            if found["value"] is None
            else f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"
        )
        self.console.print(f"\n{split} {headline} [bold]{value}[/]   {seconds:.0f} s in all")
        if warning := warning_of(metrics["explanations"]):
            self.console.print(f"[yellow]{warning}[/]")
        self.console.print(
            f"open    {self.run.report}\n"
            f"type    suwen predict {self.run.path} FILE\n"
            f"        suwen explain {self.run.path} FILE"
        )


def counts_of(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Split → label → number of samples."""
    targets = np.asarray(dataset.targets)
    found: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        rows = targets[dataset.where(split)]
        counts = rows.sum(0) if rows.ndim == 2 else np.bincount(rows[rows >= 0], minlength=len(dataset.labels))
        found[split] = dict(zip(dataset.labels, map(int, counts), strict=True))
    return found


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONS}}


def seen_digests(dataset: Dataset) -> np.ndarray:
    """uint64 (N,) digests of the training and validation inputs, sorted: later test data is held against them."""
    digests = getattr(dataset, "digests", None)
    if digests is None:
        return np.zeros(0, np.uint64)
    used = digests[np.concatenate([dataset.where("train"), dataset.where("val")])]
    return np.unique(np.array([int(str(digest)[:16], 16) for digest in used], np.uint64))


def _write_seen(run: Run, dataset: Dataset) -> None:
    from safetensors.numpy import save_file

    from suwen.core.files import atomic_path

    with atomic_path(run.seen) as temporary:
        save_file({"digests": seen_digests(dataset).view(np.int64)}, temporary)


def _given(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Without the None: what was not asked for must not hide a recipe's value."""
    kept = {key: _given(value) if isinstance(value, Mapping) else value for key, value in nested.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def _refuse_finished(run: Run, overwrite: bool) -> None:
    """Before anything is read: is the folder free?"""
    if run.config.is_file() and not overwrite:
        raise RunError(
            f"{run.path} holds a finished Run",
            why="a second training would replace its weights",
            fix="another --out, or --overwrite",
        )
    if run.path.is_dir() and not run.recipe.is_file() and any(run.path.iterdir()):
        raise RunError(f"{run.path} holds other files", why="a Run needs a folder of its own", fix="another --out")


def _claim(run: Run, recipe: Recipe, overwrite: bool) -> None:
    """Make the Run folder ours: new, or an unfinished one of the same settings."""
    same = run.recipe.is_file() and run.recipe.read_text(encoding="utf-8") == recipe.to_yaml()
    if run.recipe.is_file() and not same and not overwrite:
        raise RunError(
            f"{run.path} holds an unfinished Run with other settings or data",
            why="its checkpoint does not fit these",
            fix=f"suwen finetune --recipe {run.recipe} --out {run.path}   goes on; else --overwrite, or another --out",
        )
    if not same or run.config.is_file():
        for stale in (run.config, run.weights, run.metrics, run.report, run.log, run.seen):
            stale.unlink(missing_ok=True)
        for events in run.path.glob("events.*"):
            events.unlink()
        _clear(run.checkpoints)
    recipe.save(run.recipe)


def _clear(folder: Path) -> None:
    for file in folder.glob("*"):
        file.unlink()
    if folder.is_dir():
        folder.rmdir()
