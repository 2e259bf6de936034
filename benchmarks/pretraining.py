"""``python -m benchmarks pretraining``: SimCLR and MAE, suwen's objectives and fit() against bare PyTorch loops."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.loops import Loop, Setting, SuwenLoop, compare, images_per_second, round_of
from benchmarks.objectives import BareContrastive, BareMasked, BareObjective
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from benchmarks.speed import OVERHEAD, make_dataset, overheads
from suwen.core.dataset import Dataset
from suwen.core.recipe import Recipe
from suwen.learn.device import choose_precision
from suwen.verbs.finetune import full_recipe

OBJECTIVES: dict[str, type[BareObjective]] = {"image-contrastive": BareContrastive, "image-masked": BareMasked}
"""Objective → the same by hand."""

SIDE = 64


def pretraining(
    rounds: Annotated[int, typer.Option(help="Rounds of each loop; an even number.", min=2)] = 32,
    seconds: Annotated[float, typer.Option(help="Length of a round.")] = 2.5,
    batch_size: Annotated[int, typer.Option(help="Images a step.", min=2)] = 128,
    quick: Annotated[bool, typer.Option("--quick", help="Two very short rounds.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of pretraining.json.")] = RESULTS,
) -> None:
    """The same network, loss, transforms, batch size, optimizer, clipping and precision in both, in one process."""
    if quick:
        rounds, seconds, batch_size = 2, 0.0, 8
    watch, setting = Stopwatch(), Setting(choose_precision("auto"), True)
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(Path(folder), SIDE)
        found = {
            name: _measure(name, dataset, setting, rounds, seconds, batch_size, Path(folder)) for name in OBJECTIVES
        }
    result = Result(
        name="pretraining",
        settings={"size": SIDE, "rounds": rounds, "seconds": seconds, "batch_size": batch_size, "loops": str(setting)},
        columns=["objective", "loop", "images/s, median", "min", "max"],
        rows=[row for name, figures in found.items() for row in _rows(name, figures["speeds"])],
        verdicts=[verdict for name, figures in found.items() for verdict in _verdicts(name, setting, figures)],
        figures=found,
        notes=[
            "the overhead is that of the time, round against neighbouring round; its median is judged",
            "both loops call the same transforms; the bare one on float tensors that are on the device already",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def _measure(
    name: str, dataset: Dataset, setting: Setting, rounds: int, seconds: float, batch_size: int, folder: Path
) -> dict[str, Any]:
    """Speeds of both loops, and the share of the transforms in a step."""
    recipe = pretraining_recipe(name, setting, batch_size)
    bare = Bare(OBJECTIVES[name](dataset, recipe.augment or {}, setting, batch_size))
    loops: dict[str, Loop] = {"bare": bare, "suwen": SuwenLoop(dataset, recipe, folder)}
    warm = {loop: [images_per_second(made, 2 * batch_size) for _ in range(2)][-1] for loop, made in loops.items()}
    images = batch_size * max(2, round(min(warm.values()) * seconds / batch_size))
    typer.echo(f"{name}: {rounds} rounds of {images} images for each loop")
    speeds = compare(loops, images, rounds, typer.echo)
    share = _augment_seconds(bare.objective, name) / batch_size * statistics.median(speeds["bare"])
    return {"images": images, "speeds": speeds, "augment_share": share}


class Bare:
    """A `BareObjective` as a `Loop`."""

    def __init__(self, objective: BareObjective) -> None:
        self.objective = objective

    def train(self, images: int) -> None:
        """See `Loop.train`."""
        self.objective.rounds(images)


def pretraining_recipe(name: str, setting: Setting, batch_size: int) -> Recipe:
    """The objective's own encoder and transforms, one epoch at a time."""
    return full_recipe({"task": name, "training": round_of(setting, batch_size)})


def _augment_seconds(objective: BareObjective, name: str, times: int = 5) -> float:
    """What changing one batch takes: of `times`, the median."""
    images = objective.images[: objective.batch_size]
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        for _ in range(2 if name == "image-contrastive" else 1):
            objective.view(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def _rows(name: str, speeds: dict[str, list[float]]) -> list[list[str]]:
    return [
        [name, loop, *(f"{value:.1f}" for value in (statistics.median(values), min(values), max(values)))]
        for loop, values in speeds.items()
    ]


def _verdicts(name: str, setting: Setting, figures: dict[str, Any]) -> list[Verdict]:
    speeds = figures["speeds"]
    shares = overheads(speeds["bare"], speeds["suwen"])
    middle, bare = statistics.median(shares), statistics.median(speeds["bare"])
    return [
        Verdict(
            what=f"overhead of fit() on {name} at {SIDE} px, {setting}",
            value=f"{middle:+.1%} ({min(shares):+.1%} to {max(shares):+.1%})",
            reach=f"≤ {OVERHEAD:.0%}",
            met=middle <= OVERHEAD,
            beside=f"the same bare loop: {bare:.0f} images/s",
        ),
        Verdict(
            what=f"the transforms of {name} in a bare step",
            value=f"{figures['augment_share']:.1%} of its time",
            reach="for information",
            met=None,
        ),
    ]
