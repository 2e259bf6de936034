"""``python -m benchmarks active``: how many labels each query strategy needs to be as good as chance is with 400."""

from __future__ import annotations

import math
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.images import PNEUMONIA, find_pneumonia, read_npz
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe
from suwen.core.registry import STRATEGIES, TASKS
from suwen.data.columns import Dataset
from suwen.evaluation.metrics import METRICS
from suwen.learn.query.look import look
from suwen.learn.query.strategy import Choice, Places, Pool, Strategy
from suwen.learn.randomness import derive
from suwen.learn.train import train
from suwen.verbs.judge import judge

START, ROUND, END = 100, 50, 400
"""Labels at first, added a round, and in all."""

MOST = 250
"""Labels with which a strategy must reach what random sampling reaches with END."""

COMPARED = ("random", "entropy", "bald", "coreset", "badge")
"""With two labels margin ranks as entropy does."""

STEPS, BATCH = 240, 32
"""Optimizer steps of every training, however many labels it has, and images a step."""

SETTINGS: dict[str, Any] = {
    "encoder": {"name": "timm:resnet18", "options": {"stem": "half", "channels": [16, 32, 64, 128]}},
    "head": {"options": {"label_smoothing": 0.05, "dropout": 0.2}},
    "training": {"batch_size": BATCH, "learning_rate": 2e-3, "average": 0.98, "keep": "last"},
}
"""One recipe for every strategy and round, set before anything was measured. It looks at no validation image: with 100
labels there would be none to spare."""

QUICK: dict[str, Any] = {"encoder": {"name": "timm:test_resnet", "options": {}}}


def active(
    data: Annotated[Path, typer.Option(help="pneumoniamnist.npz")] = PNEUMONIA,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed, two rounds, a few steps of a tiny encoder; shows that it works.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder of active.json.")] = RESULTS,
) -> None:
    """Label the training films of PneumoniaMNIST round by round, by each strategy, from the same first hundred."""
    find_pneumonia(data)
    watch = Stopwatch()
    dataset = read_npz(data)
    end, steps = (START + 2 * ROUND, 8) if quick else (END, STEPS)
    curves: dict[str, list[list[dict[str, float]]]] = {name: [] for name in COMPARED}
    for seed in range(1 if quick else seeds):
        for name, curve in _seed(dataset, seed, end, steps, SETTINGS | (QUICK if quick else {})).items():
            curves[name].append(curve)
    counts = list(range(START, end + 1, ROUND))
    result = Result(
        name="active",
        settings={"data": data.name, "recipe": SETTINGS, "steps": STEPS, "start": START, "round": ROUND},
        columns=["labels", *COMPARED],
        rows=[[str(count), *(_cell(curves[name], place) for name in COMPARED)] for place, count in enumerate(counts)],
        verdicts=_verdicts(curves, counts),
        figures={"labels": counts, "curves": curves},
        notes=[
            "test accuracy at 0.5 (and AUROC), mean ± sample standard deviation over seeds; the 624 test films alone "
            "give an accuracy of 0.88 a standard error of 0.013, so that steps smaller than that may be chance",
            "labels needed: the first round whose mean accuracy is no less than that of random sampling at the end",
            "the first 100 labels of a seed are the same for every strategy; margin ranks as entropy does here",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def _seed(
    dataset: Dataset, seed: int, end: int, steps: int, settings: dict[str, Any]
) -> dict[str, list[dict[str, float]]]:
    """Strategy → its figures after each round."""
    pool = dataset.where("train")
    start = np.sort(np.random.default_rng(derive(seed, 0)).choice(pool, START, replace=False))
    first, figures = _train(dataset, start, seed, steps, settings)
    found = {}
    for name in COMPARED:
        labelled, model, curve = start, first, [figures]
        while len(labelled) < end:
            labelled = np.union1d(labelled, _choose(STRATEGIES[name], model, dataset, labelled, seed))
            model, after = _train(dataset, labelled, seed, steps, settings)
            curve.append(after)
        found[name] = curve
        typer.echo(f"seed {seed}, {name:<8}" + "  ".join(f"{each['accuracy']:.3f}" for each in curve))
    return found


def _choose(strategy: Strategy, model: Model, dataset: Dataset, labelled: np.ndarray, seed: int) -> np.ndarray:
    """The next `ROUND` rows to label."""
    rest = np.setdiff1d(dataset.where("train"), labelled)
    with tempfile.TemporaryDirectory() as folder:
        seen = look(model, dataset, rest, Path(folder) / "pool", posterior=strategy.posterior, seed=seed)
        known = look(model, dataset, labelled, Path(folder) / "labelled").features
        pool = Pool(
            probabilities=seen.probabilities,
            multi_label=False,
            features=seen.features,
            labelled=known,
            subjects=np.arange(len(rest)),
            posterior=seen.posterior,
        )
        generator = np.random.default_rng(derive(seed, len(labelled)))
        choice: Choice = strategy.choose(pool, ROUND, Places(pool.subjects), generator)
    return rest[choice.rows]


def _train(
    dataset: Dataset, labelled: np.ndarray, seed: int, steps: int, settings: dict[str, Any]
) -> tuple[Model, dict[str, float]]:
    """A model of these labels alone, from random weights, and its figures on test."""
    splits = np.where(dataset.splits == "test", "test", "")
    splits = splits.astype("<U5")
    splits[labelled] = "train"
    model = train(
        TASKS["image-classification"], replace(dataset, splits=splits), _recipe(len(labelled), seed, steps, settings)
    ).model
    outcome = judge(model, dataset, dataset.where("test"))
    return model, {name: float(METRICS[name].function(outcome)) for name in ("accuracy", "auroc")}


def _recipe(labels: int, seed: int, steps: int, settings: dict[str, Any]) -> Recipe:
    epochs = max(1, round(steps / math.ceil(labels / BATCH)))
    return make_recipe({"task": "image-classification", "seed": seed}, settings, {"training": {"epochs": epochs}})


def _mean(curves: list[list[dict[str, float]]], place: int, name: str = "accuracy") -> float:
    return statistics.mean(curve[place][name] for curve in curves)


def _cell(curves: list[list[dict[str, float]]], place: int) -> str:
    values = [curve[place]["accuracy"] for curve in curves]
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread} ({_mean(curves, place, 'auroc'):.3f})"


def labels_needed(curve: list[float], counts: list[int], target: float) -> int | None:
    """The first count whose figure is no less than the target; None where none is."""
    return next((count for count, value in zip(counts, curve, strict=True) if value >= target), None)


def _verdicts(curves: dict[str, list[list[dict[str, float]]]], counts: list[int]) -> list[Verdict]:
    means = {name: [_mean(found, place) for place in range(len(counts))] for name, found in curves.items()}
    target = means["random"][-1]
    found = []
    for name in COMPARED[1:]:
        needed = labels_needed(means[name], counts, target)
        found.append(
            Verdict(
                what=f"labels with which {name} reaches the accuracy of random sampling with {counts[-1]}",
                value=f"more than {counts[-1]}" if needed is None else str(needed),
                reach=f"≤ {MOST}",
                met=needed is not None and needed <= MOST,
                beside=f"random with {counts[-1]}: {target:.3f}; {name} with {counts[-1]}: {means[name][-1]:.3f}",
            )
        )
    return found
