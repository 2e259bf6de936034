"""`train`: a Task, a Dataset and a Recipe become a Model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from suwen.core.dataset import Dataset
from suwen.core.encoder import Encoder, build_encoder
from suwen.core.errors import DataError, RecipeError
from suwen.core.head import Head
from suwen.core.model import Model, evaluating
from suwen.core.recipe import Recipe
from suwen.core.registry import HEADS
from suwen.core.task import Task, load_object
from suwen.learn.adaptation import Lesson, Place, adaptation_of
from suwen.learn.average import Average
from suwen.learn.batches import Augment, Batches
from suwen.learn.compiled import compile_steps, compiles
from suwen.learn.device import choose_precision, is_sharded, make_fabric
from suwen.learn.fit import fit
from suwen.learn.layout import lay_channels_last
from suwen.learn.log import Log
from suwen.learn.memory import training_bytes
from suwen.learn.objectives.pseudo_labels import with_pseudo_labels
from suwen.learn.optimizer import make_optimizer, make_rate
from suwen.learn.processes import told
from suwen.learn.progress import Progress
from suwen.learn.randomness import derive
from suwen.learn.sharded import shard
from suwen.learn.unlabelled import Views, WithUnlabelled
from suwen.learn.watch import Evaluate, Watch

Score = Callable[[Model, np.ndarray, np.ndarray], dict[str, float]]
"""(model, logits, row numbers) → figures on these rows, with ``"score"`` to be raised."""

Probe = Callable[[Model], dict[str, float]]
"""The model in evaluation mode → figures, with ``"score"`` to be raised: where there are no answers to judge."""

_WEIGHTS = 3  # stream of randomness: initial weights


@dataclass
class Trained:
    """What a training gives."""

    model: Model
    progress: Progress
    precision: str
    device: str
    compiled: bool = False

    def to_json(self) -> dict[str, Any]:
        """``training`` of ``metrics.json``."""
        progress = self.progress
        return {
            "seconds": round(progress.seconds, 2),
            "samples_per_second": round(progress.samples / max(progress.seconds, 1e-9), 1),
            "epochs": progress.epoch,
            "best_epoch": progress.best_epoch,
            "device": self.device,
            "precision": self.precision,
            "compiled": self.compiled,
        }


def train(
    task: Task,
    dataset: Dataset,
    recipe: Recipe,
    *,
    score: Score | None = None,
    probe: Probe | None = None,
    folder: Path | None = None,
    logs: Sequence[Log] = (),
    unlabelled: Dataset | None = None,
    say: Callable[[str], None] | None = None,
) -> Trained:
    """Train on the rows of the split ``train``, choose the epoch on ``val``.

    Args:
        task: the row.
        dataset: decoded and split.
        recipe: every setting.
        score: judges validation logits; None keeps the last weights.
        probe: looks at the model itself instead.
        folder: for checkpoints; an existing one is gone on from.
        logs: told each step and epoch.
        unlabelled: further inputs, whose split ``train`` is learned from without labels.
        say: is told what a step takes, before the first.
    """
    rows = dataset.where("train")
    if not len(rows):
        raise DataError(
            "no training samples", why="the split 'train' is empty", fix="check the split column or folders"
        )
    settings = recipe.training
    precision = choose_precision(settings.precision)
    fabric = make_fabric(precision, settings)
    _same_everywhere(dataset)
    adaptation = adaptation_of(recipe)
    model = build_model(task, dataset, recipe)
    adaptation.prepare(model.encoder, settings)
    bound = (task if unlabelled is None else with_pseudo_labels(task)).bind(model.encoder, model.head, recipe)
    augment = make_augment(task, recipe, len(dataset.labels))
    place = Place(fabric.device, fabric.autocast, precision)
    lesson = adaptation.teach(model, bound, dataset, recipe, augment, place)
    module = lesson.module
    evaluate = _evaluator(model, lesson, dataset, score, probe, fabric.autocast)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        judged = _judge_once(module, len(rows), evaluate, logs)
        return Trained(_ready(model), judged, precision, str(fabric.device))
    if settings.channels_last:
        lay_channels_last(module, volumes=precision == "fp32" and fabric.device.type == "cpu")
    compiled = compiles(settings, fabric.device)
    if compiled:
        compile_steps(module)
    batches = _batches(task, lesson, np.repeat(rows, settings.patches), recipe, fabric.device, unlabelled)
    if say is not None:
        say(_plan(model, batches, recipe, precision))
    progress = _learn(
        module,
        batches,
        recipe,
        fabric,
        depths=_depths(model.encoder),
        folder=folder,
        evaluate=evaluate,
        logs=logs,
        name_rows=lambda numbers: [str(name) for name in dataset.ids[numbers]],
        data=" ".join(each.fingerprint for each in (dataset, unlabelled) if each is not None),
    )
    model.encoder = adaptation.finish(model.encoder)
    return Trained(_ready(model), progress, precision, str(fabric.device), compiled)


def _plan(model: Model, batches: Batches, recipe: Recipe, precision: str) -> str:
    """A sentence about a step: what is in a batch, how many there are, and about how much memory it takes."""
    preprocess: Any = model.preprocess
    if columns := getattr(preprocess, "columns", ()):
        sides: tuple[int, ...] = (len(columns),)
    elif hasattr(preprocess, "channels"):
        sides = (preprocess.channels, *(getattr(preprocess, "patch", None) or (preprocess.size,) * 2))
    else:
        return f"batches of {recipe.training.batch_size} sequences, {len(batches)} an epoch"
    shape = (recipe.training.batch_size, *sides)
    memory = training_bytes(model, shape, recipe.training, precision)
    known = "" if memory is None else f"; about {memory / 2**30:.1f} GiB of memory for a step"
    return f"batches of {' x '.join(map(str, shape))}, {len(batches)} an epoch{known}"


def _learn(
    module: nn.Module, batches: Batches, recipe: Recipe, fabric: Fabric, *, depths: dict[str, int], **watched: Any
) -> Progress:
    """`fit` a module, or the shards that stand for it; `watched` goes to `Watch`."""
    settings = recipe.training
    learner = shard(module, fabric.device) if is_sharded(settings) else module
    optimizer = make_optimizer(learner, settings, depths)
    rate = make_rate(settings, -(-len(batches) // settings.accumulate))
    watch = Watch(
        learner,
        optimizer,
        settings,
        precision=fabric.strategy.precision,
        average=Average(learner.to(fabric.device), settings.average) if settings.average else None,
        rate=rate,
        batches=len(batches),
        whole=module,
        **watched,
    )
    progress = fit(learner, batches, optimizer, rate, settings, fabric=fabric, watch=watch, seed=recipe.seed)
    module.to(fabric.device)
    return progress


def _same_everywhere(dataset: Dataset) -> None:
    """Several processes must slice the same rows."""
    first = told(dataset.fingerprint)
    if first != dataset.fingerprint:
        raise DataError(
            "the processes read different data",
            why=f"the first has the fingerprint {first}, this one {dataset.fingerprint}",
            fix="the same files at the same path on every machine",
        )


def build_model(task: Task, dataset: Dataset, recipe: Recipe) -> Model:
    """The untrained Model of a recipe; its random weights come from the recipe's seed."""
    torch.manual_seed(derive(recipe.seed, _WEIGHTS))
    head_name = recipe.head.name or task.head
    head_class = HEADS[head_name]
    options = head_class.options_for(dataset, dataset.where("train"), _head_options(recipe))
    encoder: Encoder = build_encoder(
        recipe.encoder.name,
        dataset.preprocess,
        weights=recipe.encoder.weights,
        needs=head_class.needs,
        **recipe.encoder.options,
    )
    try:
        head: Head = head_class(encoder.width, tuple(dataset.labels), map_widths=encoder.map_widths, **options)
    except TypeError as error:
        raise RecipeError(
            f"the head {head_name} does not take these options: {error}",
            why="each head has its own",
            fix="drop the option",
        ) from error
    return Model(task, dataset.preprocess, encoder, head, views=recipe.evaluation.views)


def make_augment(task: Task, recipe: Recipe, labels: int) -> Augment | None:
    """The random transforms of a task, None where it has none."""
    if task.augment is None or recipe.augment == {}:
        return None
    made: Augment = load_object(task.augment)(recipe.augment, labels)
    return made


def make_views(task: Task, recipe: Recipe, labels: int) -> Views:
    """The random views of unlabelled inputs.

    Raises:
        RecipeError: the task has none.
    """
    if task.unlabelled is None:
        raise RecipeError(
            f"unlabelled data for {task.name}", why="it learns from targets only", fix="drop --unlabelled"
        )
    made: Views = load_object(task.unlabelled)(recipe.augment, recipe.unlabelled.strong, labels)
    return made


def _batches(
    task: Task, lesson: Lesson, rows: np.ndarray, recipe: Recipe, device: torch.device, unlabelled: Dataset | None
) -> Batches:
    settings = recipe.training
    shared: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "seed": recipe.seed,
        "device": device,
        "augment": lesson.augment,
        "channels_last": settings.channels_last,
    }
    if unlabelled is None:
        return Batches(lesson.dataset, rows, **shared)
    views = make_views(task, recipe, len(lesson.dataset.labels))
    ratio = recipe.unlabelled.ratio
    return WithUnlabelled(lesson.dataset, rows, unlabelled=unlabelled, ratio=ratio, views=views, **shared)


def _ready(model: Model) -> Model:
    """To be asked, in the memory layout of a loaded Run: channels-last weights give other last bits."""
    for part in model.parts().values():
        part.eval().to(memory_format=torch.contiguous_format)
    return model


def _head_options(recipe: Recipe) -> dict[str, Any]:
    positive = {"positive": recipe.evaluation.positive} if recipe.evaluation.positive is not None else {}
    return positive | recipe.head.options


def _depths(encoder: Encoder) -> dict[str, int]:
    return {f"encoder.{name}": depth for name, depth in encoder.depths().items()}


def _evaluator(
    model: Model,
    lesson: Lesson,
    dataset: Dataset,
    score: Score | None,
    probe: Probe | None,
    autocast: Callable[[], Any],
) -> Evaluate | None:
    """What is looked at after an epoch, in the training's precision; None where there is nothing to look at.

    With a score: loss and scores on validation, without test-time views.
    """
    rows = dataset.where("val")
    if probe is not None:
        return lambda module: _probed(model, module, probe, autocast)
    if score is None or not len(rows):
        return None

    def evaluate(module: nn.Module) -> dict[str, float]:
        with evaluating([module]), torch.inference_mode(), autocast():
            logits = lesson.infer(rows)
            device = model.device
            target = torch.from_numpy(np.asarray(dataset.targets)[rows]).to(device)
            loss = float(model.head.loss(torch.from_numpy(logits).to(device), target))
        return {"loss": loss, **score(model, logits, rows)}

    return evaluate


def _probed(model: Model, module: nn.Module, probe: Probe, autocast: Callable[[], Any]) -> dict[str, float]:
    with evaluating([module]), torch.inference_mode(), autocast():
        return probe(model)


def _judge_once(
    module: nn.Module, samples: int, evaluate: Callable[[nn.Module], dict[str, float]] | None, logs: Sequence[Log]
) -> Progress:
    """What a training says of itself where there was nothing to train: one row."""
    began, progress = time.monotonic(), Progress(samples=samples)
    for log in logs:
        log.begin(progress, 1, 1)
    found = {} if evaluate is None else evaluate(module)
    score = found.pop("score", None)
    progress.best = None if score is None else [score, -found["loss"]]
    progress.epoch = progress.best_epoch = 1
    progress.seconds = time.monotonic() - began
    row = {"epoch": 1, **{f"val_{name}": value for name, value in found.items()}, "seconds": progress.seconds}
    progress.history.append(row)
    for log in logs:
        log.row(row)
        log.end(progress)
    return progress
