"""``python -m benchmarks quality``: PneumoniaMNIST, several seeds, beside baselines and published figures."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import typer

import suwen
from benchmarks.images import PNEUMONIA, find_pneumonia
from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict
from suwen.core.errors import RunError
from suwen.core.files import write_json
from suwen.core.recipe import make_recipe, parse_set, read_recipe
from suwen.core.run import Run
from suwen.verbs.finetune import full_recipe

RECIPE = Path(__file__).resolve().parent / "recipes" / "pneumonia.yaml"

AUROC, ACCURACY, SECONDS = 0.985, 0.93, 1800.0
"""What must be reached: the first two as means over seeds, the last by each seed on 2 cores."""

SHOWN = {
    "auroc": "AUROC",
    "accuracy": "acc. at 0.5",
    "accuracy_at_threshold": "acc. at val. threshold",
    "sensitivity_at_threshold": "sensitivity",
    "specificity_at_threshold": "specificity",
}
"""Figures of the table, by their names in ``metrics.json``; the last three at the threshold chosen on validation."""

MEDMNIST = "Yang et al., MedMNIST v2, Sci Data 10:41 (2023), table 3"
PROTOTYPING = "Doerrich et al., Rethinking model prototyping through the MedMNIST+ dataset collection, Sci Rep (2025)"

PUBLISHED = (
    ("ResNet-18 (28)", 0.944, 0.854, MEDMNIST),
    ("ResNet-18 (224)", 0.956, 0.864, MEDMNIST),
    ("ResNet-50 (28)", 0.948, 0.854, MEDMNIST),
    ("auto-sklearn", 0.942, 0.855, MEDMNIST),
    ("AutoKeras", 0.947, 0.878, MEDMNIST),
    ("Google AutoML Vision", 0.991, 0.946, MEDMNIST),
    ("DINO ViT-B/16, linear probe, true 224 px", 0.989, 0.916, PROTOTYPING),
)
"""Name, AUROC, accuracy, source. "(224)" of MedMNIST v2 is 28 px enlarged; DINO has ImageNet weights."""

QUICK = ("training.epochs=1", "evaluation.resamples=20", "encoder.name=timm:test_resnet")

RIVALS = ("ResNet-18 (28)", "Google AutoML Vision", "DINO ViT-B/16, linear probe, true 224 px")
"""Those named beside the verdicts."""


def quality(
    data: Annotated[Path, typer.Option(help="pneumoniamnist.npz")] = PNEUMONIA,
    recipe: Annotated[Path, typer.Option(help="Settings of the fine-tuning.")] = RECIPE,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    runs: Annotated[Path, typer.Option(help="Folder of the Runs; finished ones are not trained again.")] = ROOT
    / "runs"
    / "quality",
    set: Annotated[list[str] | None, typer.Option(help="One setting over the recipe's; repeatable.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed, one epoch, a tiny encoder; shows that it works.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder of quality.json.")] = RESULTS,
) -> None:
    """Fine-tune with one recipe and several seeds; model and threshold are chosen on validation only."""
    find_pneumonia(data)
    watch, changes = Stopwatch(), list(set or [])
    if quick:
        seeds, changes = 1, [*changes, *QUICK]
    found = [_seed(seed, data, recipe, changes, runs / ("quick" if quick else recipe.stem)) for seed in range(seeds)]
    result = Result(
        name="quality",
        settings={
            "data": data.name,
            "recipe": full_recipe(read_recipe(recipe)).model_dump(mode="json"),
            "set": changes,
        },
        columns=["", *SHOWN.values(), "seconds"],
        rows=[*_seed_rows(found), *_baseline_rows(found), *_published_rows()],
        verdicts=_verdicts(found),
        figures={"seeds": found, "published": PUBLISHED},
        notes=[
            "seconds: from reading the data to the written report; '–' where a training was interrupted",
            "the figures of others are theirs, not measured here; "
            + "; ".join(sorted({source for *_, source in PUBLISHED})),
        ],
        quick=quick,
    )
    watch.finish(result, results)


def _seed(seed: int, data: Path, recipe: Path, changes: list[str], folder: Path) -> dict[str, Any]:
    """What one seed reached: a finished Run is read, an unfinished one gone on with."""
    run, clock = Run(folder / f"seed-{seed}"), folder / f"seed-{seed}.seconds.json"
    if _finished(run, seed, data, recipe, changes):
        typer.echo(f"seed {seed}: {run.path} is finished and is read")
    else:
        resumed, began = run.checkpoints.is_dir(), time.monotonic()
        suwen.finetune(data=data, recipe=recipe, set=changes, seed=seed, out=run.path, overwrite=run.config.is_file())
        write_json(clock, {"seconds": None if resumed else round(time.monotonic() - began, 1)})
    metrics = json.loads(run.metrics.read_text(encoding="utf-8"))
    seconds = json.loads(clock.read_text(encoding="utf-8"))["seconds"] if clock.is_file() else None
    return {
        "seed": seed,
        "seconds": seconds,
        "training": metrics["training"],
        "threshold": metrics["splits"]["test"]["threshold"],
        "test": metrics["splits"]["test"]["metrics"],
        "baselines": {name: splits["test"]["metrics"] for name, splits in metrics["baselines"].items()},
    }


def _finished(run: Run, seed: int, data: Path, recipe: Path, changes: list[str]) -> bool:
    """Whether the Run is whole and of these settings. (Of an unfinished one `suwen.finetune` looks at the settings.)

    Raises:
        RunError: it is finished, and of other settings.
    """
    if not (run.config.is_file() and run.metrics.is_file()):
        return False
    asked = full_recipe(read_recipe(recipe), {"seed": seed, "data": {"source": str(data)}}, parse_set(changes))
    kept = make_recipe(read_recipe(run.recipe))
    rows = sum(json.loads(run.metrics.read_text(encoding="utf-8"))["data"]["counts"]["train"].values())
    if asked.completed(inputs=kept.inputs | asked.inputs, rows=rows) != kept:
        raise RunError(
            f"{run.path} is of other settings than {recipe}",
            why="a mean over seeds is one of one recipe",
            fix=f"another --runs, or delete {run.path}",
        )
    return True


def _values(found: list[dict[str, Any]], name: str) -> list[float]:
    return [seed["test"][name]["value"] for seed in found]


def _seed_rows(found: list[dict[str, Any]]) -> list[list[str]]:
    rows = [
        [f"suwen, seed {seed['seed']}", *(_figure(seed["test"][name]) for name in SHOWN), _seconds(seed)]
        for seed in found
    ]
    means = [_mean(_values(found, name)) for name in SHOWN]
    return [*rows, [f"suwen, mean ± sd of {len(found)}", *means, ""]]


def _baseline_rows(found: list[dict[str, Any]]) -> list[list[str]]:
    """Baselines draw nothing at random, so those of the first seed stand for all."""
    return [
        [f"baseline: {name}", *(_figure(figures[shown]) for shown in SHOWN), ""]
        for name, figures in found[0]["baselines"].items()
    ]


def _published_rows() -> list[list[str]]:
    return [
        [f"published: {name}", f"{auroc:.3f}", f"{accuracy:.3f}", *[""] * (len(SHOWN) - 1)]
        for name, auroc, accuracy, _ in PUBLISHED
    ]


def _verdicts(found: list[dict[str, Any]]) -> list[Verdict]:
    auroc, accuracy = (_values(found, name) for name in ("auroc", "accuracy_at_threshold"))
    longest = max(seed["seconds"] or seed["training"]["seconds"] for seed in found)
    of = f"mean of {len(found)} seeds"
    return [
        Verdict(
            what=f"PneumoniaMNIST test AUROC, {of}",
            value=_mean(auroc),
            reach=f"≥ {AUROC}",
            met=statistics.mean(auroc) >= AUROC,
            beside=_rivals(1),
        ),
        Verdict(
            what=f"PneumoniaMNIST test accuracy at the validation threshold, {of}",
            value=_mean(accuracy),
            reach=f"≥ {ACCURACY}",
            met=statistics.mean(accuracy) >= ACCURACY,
            beside=_rivals(2),
        ),
        Verdict(
            what="the slowest seed, from data to report",
            value=f"{longest / 60:.1f} min",
            reach=f"≤ {SECONDS / 60:.0f} min",
            met=longest <= SECONDS,
        ),
    ]


def _rivals(column: int) -> str:
    """The published figures to be compared with: AUROC (1) or accuracy (2)."""
    return ", ".join(f"{row[0]} {row[column]:.3f}" for row in PUBLISHED if row[0] in RIVALS)


def _figure(interval: dict[str, float | None]) -> str:
    return "–" if interval["value"] is None else f"{interval['value']:.3f}"


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _seconds(seed: dict[str, Any]) -> str:
    return "–" if seed["seconds"] is None else f"{seed['seconds']:.0f}"
