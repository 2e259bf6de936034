"""``python -m benchmarks few-labels``: what the unlabelled rest is worth where a hundred films are labelled."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from benchmarks.images import PNEUMONIA, find_pneumonia, read_npz
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe
from suwen.core.registry import TASKS
from suwen.core.run import Run
from suwen.data.columns import Dataset
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome
from suwen.evaluation.probe import linear_probe
from suwen.learn.randomness import derive
from suwen.learn.train import build_model, train
from suwen.verbs.judge import judge, outcome_from

LABELS = 100
"""Labelled films of a seed, drawn by chance; the rest of train is unlabelled."""

POINTS = 3.0
"""AUROC points by which the unlabelled films must help."""

METRIC_NAMES = ("auroc", "accuracy")

ENCODER: dict[str, Any] = {"name": "timm:resnet18", "options": {"stem": "half", "channels": [16, 32, 64, 128]}}
QUICK: dict[str, Any] = {"name": "timm:test_resnet"}

SETTINGS: dict[str, Any] = {
    "head": {"options": {"dropout": 0.2}},
    "training": {"batch_size": 32, "learning_rate": 2e-3, "average": 0.98, "keep": "last"},
}
"""Encoder and training of every arm, those of the benchmark ``active``. No arm looks at a validation film."""

CONTRASTIVE: dict[str, Any] = {
    "augment": TASKS["image-contrastive"].recipe["augment"],
    "training": {"batch_size": 128, "learning_rate": 2e-3, "keep": "last", "warmup": 2.0},
}

PRETRAINING = 1500
"""Steps of SimCLR, each of two views of 128 films."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to use the films.

    Attributes:
        steps: of its optimizer.
        pretrained: starts from the encoder that was pretrained on the unlabelled films (SimCLR), else from random
            weights.
        unlabelled: learns from pseudo-labels of the unlabelled films (FixMatch).
        settings: beyond `SETTINGS`.
    """

    steps: int = 240
    pretrained: bool = False
    unlabelled: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


FROZEN = {"training": {"adapt": "head", "learning_rate": 1e-2, "average": None}}

SCRATCH, JUDGED = "from scratch", "pretrained, pseudo-labels"
"""What is compared; named before any figure on test was seen."""

ARMS: dict[str, Arm] = {
    SCRATCH: Arm(),
    "pseudo-labels": Arm(unlabelled=True),
    "pretrained, linear": Arm(pretrained=True, settings=FROZEN),
    "pretrained, fine-tuned": Arm(pretrained=True),
    JUDGED: Arm(pretrained=True, unlabelled=True),
}

CONTROLS = UNTRAINED, PIXELS = "logistic regression on an untrained encoder", "logistic regression on pixels"


def few_labels(
    data: Annotated[Path, typer.Option(help="pneumoniamnist.npz")] = PNEUMONIA,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    on: Annotated[
        Literal["test", "val"], typer.Option(help="val: to choose settings by; stays out of the table.")
    ] = "test",
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed and a few steps of a tiny encoder; shows that it works.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder of few-labels.json.")] = RESULTS,
) -> None:
    """Learn PneumoniaMNIST from 100 labels, and from 100 labels and the rest without theirs."""
    find_pneumonia(data)
    watch = Stopwatch()
    dataset = read_npz(data)
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(1 if quick else seeds):
        for name, figures in _seed(dataset, seed, on, quick):
            found.setdefault(name, []).append(figures)
            typer.echo(f"seed {seed}  {name:<46}" + "  ".join(f"{what} {value:.3f}" for what, value in figures.items()))
    result = Result(
        name="few-labels",
        settings={
            "data": data.name,
            "labels": LABELS,
            "on": on,
            "recipe": {"encoder": ENCODER, **SETTINGS},
            "pretraining": CONTRASTIVE | {"steps": PRETRAINING},
            "steps": {name: arm.steps for name, arm in ARMS.items()},
            "judged": JUDGED,
        },
        columns=["learned from", "AUROC", "accuracy at 0.5", "each seed's AUROC", "s a seed"],
        rows=[_row(name, figures) for name, figures in found.items()],
        verdicts=[verdict(found)],
        figures=found,
        notes=[
            f"{LABELS} labelled films of each seed, drawn by chance, the same for all arms; mean ± sample standard "
            "deviation over seeds",
            f"the arm that is judged, '{JUDGED}', and all settings were fixed before test was looked at, by validation "
            "on seed 0 alone; no training that is measured sees a validation film",
            "seconds of the pretrained arms leave out pretraining itself, which stands in a row of its own",
        ],
        quick=quick or on != "test",
    )
    watch.finish(result, results)


def _seed(dataset: Dataset, seed: int, on: str, quick: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """Each arm's figures, as they come."""
    pool = dataset.where("train")
    labelled = np.sort(np.random.default_rng(derive(seed, 0)).choice(pool, min(LABELS, len(pool) // 2), replace=False))
    rest, judged = np.setdiff1d(pool, labelled)[: 3 * LABELS if quick else None], dataset.where(on)
    few, unlabelled = only(dataset, labelled), only(dataset, rest)
    encoder, steps = (QUICK, 8) if quick else (ENCODER, PRETRAINING)
    with tempfile.TemporaryDirectory() as folder:
        base, began = Run(Path(folder) / "base"), time.monotonic()
        start = {"task": "image-contrastive", "seed": seed, "encoder": encoder}
        base.save(_train(unlabelled, None, steps, start, CONTRASTIVE))
        yield "(pretraining)", {"seconds": time.monotonic() - began}
        for name, arm in ARMS.items():
            began = time.monotonic()
            first = {"name": f"run:{base.path}"} if arm.pretrained else encoder
            start = {"task": "image-classification", "seed": seed, "encoder": first}
            beside, steps = unlabelled if arm.unlabelled else None, 8 if quick else arm.steps
            model = _train(few, beside, steps, start, SETTINGS, arm.settings)
            yield name, _figures(judge(model, dataset, judged)) | {"seconds": time.monotonic() - began}
    start = {"task": "image-classification", "seed": seed, "encoder": encoder}
    untrained = build_model(TASKS["image-classification"], few, make_recipe(start))
    seen: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        UNTRAINED: lambda rows: untrained.infer(dataset, rows)[1],
        PIXELS: lambda rows: dataset.take(rows).reshape(len(rows), -1).astype(np.float32),
    }
    for name, features in seen.items():
        began = time.monotonic()
        said = linear_probe(features(labelled), dataset.targets[labelled], features(judged), len(dataset.labels))
        yield name, _figures(outcome_from(dataset, judged, said)) | {"seconds": time.monotonic() - began}


def _train(dataset: Dataset, unlabelled: Dataset | None, steps: int, *layers: dict[str, Any]) -> Model:
    rows, beside = len(dataset.where("train")), 0 if unlabelled is None else len(unlabelled.where("train"))
    recipe = recipe_of(*layers, steps=steps, rows=rows, unlabelled=beside)
    return train(TASKS[recipe.task], dataset, recipe, unlabelled=unlabelled).model


def only(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The same with these rows in train and no other row in any split."""
    splits = np.full(len(dataset), "", "<U5")
    splits[rows] = "train"
    return replace(dataset, splits=splits)


def recipe_of(*layers: dict[str, Any], steps: int, rows: int, unlabelled: int = 0) -> Recipe:
    """Epochs for about so many steps."""
    recipe = make_recipe(*layers, {"training": {"steps": steps}})
    return recipe.completed(inputs={}, rows=rows, unlabelled=unlabelled)


def _figures(outcome: Outcome) -> dict[str, float]:
    return {name: float(METRICS[name].function(outcome)) for name in METRIC_NAMES}


def _row(name: str, figures: list[dict[str, float]]) -> list[str]:
    cells = [_spread([each[metric] for each in figures]) if metric in figures[0] else "" for metric in METRIC_NAMES]
    each = ", ".join(f"{seed['auroc']:.3f}" for seed in figures) if "auroc" in figures[0] else ""
    return [name, *cells, each, f"{statistics.mean(seed['seconds'] for seed in figures):.0f}"]


def _spread(values: list[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


def verdict(found: dict[str, list[dict[str, float]]]) -> Verdict:
    """What the unlabelled films are worth, in AUROC points of the means over seeds."""
    means = {name: statistics.mean(each["auroc"] for each in found[name]) for name in (*ARMS, *CONTROLS)}
    gain = 100 * (means[JUDGED] - means[SCRATCH])
    return Verdict(
        what=f"{LABELS} labels: AUROC of '{JUDGED}' over '{SCRATCH}'",
        value=f"{gain:+.1f} points ({means[JUDGED]:.3f} against {means[SCRATCH]:.3f})",
        reach=f"≥ {POINTS:g} points",
        met=gain >= POINTS,
        beside=", ".join(f"{name} {mean:.3f}" for name, mean in means.items() if name not in (JUDGED, SCRATCH)),
    )
