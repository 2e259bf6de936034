"""``python -m benchmarks keras``: the original example, a plain Keras CNN, against suwen's default recipe."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.images import PNEUMONIA, PNEUMONIA_LABELS, export_folders, find_pneumonia
from benchmarks.processes import SUWEN, run_process
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.core.errors import ExtraMissing

KERAS, OURS = "Keras CNN", "suwen, default recipe"

FIGURES = {"accuracy": "test accuracy", "auroc": "test AUROC", "wall": "wall (s)", "processor": "processor (s)"}

NOTES = [
    "both answer at 0.5 (the largest probability); 'at threshold' is suwen's accuracy as it answers in use, at the "
    "threshold chosen on validation",
    "each is a whole process on the same PNG class folders, from start to end, imports and decoding included",
    "suwen's time also holds the data check, validation after each epoch, calibration, two baselines, bootstrap "
    "intervals, Grad-CAM and the report; Keras only trains and answers the test images",
    "Keras learns from train only, as in the original example; suwen learns from train and chooses the epoch on val",
]


def original(
    data: Annotated[Path, typer.Option(help="pneumoniamnist.npz")] = PNEUMONIA,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="One seed, one epoch, few images.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of keras.json.")] = RESULTS,
) -> None:
    """Train both on the same class folders, seed by seed, taking turns in who is first."""
    find_pneumonia(data)
    if find_spec("keras") is None:
        raise ExtraMissing("the benchmark keras", "keras")
    watch, found = Stopwatch(), []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        counts = export_folders(data, root / "films", PNEUMONIA_LABELS, most=100 if quick else None)
        for seed in range(1 if quick else seeds):
            racers = [_run_keras, _run_suwen]
            for racer in racers if seed % 2 == 0 else reversed(racers):
                found.append(racer(root, seed, ["--epochs", "1"] if quick else []))
                typer.echo("  ".join(map(str, found[-1].values())))
    result = Result(
        name="keras",
        settings={"data": data.name, "images": counts, "seeds": 1 if quick else seeds},
        columns=["", "seed", *FIGURES.values(), "accuracy at threshold"],
        rows=[*(_row(run) for run in found), *(_mean_row(found, name) for name in (KERAS, OURS))],
        verdicts=[_verdict(found, name) for name in ("accuracy", "auroc", "wall")],
        figures={"runs": found},
        notes=NOTES,
        quick=quick,
    )
    watch.finish(result, results)


def _run_keras(root: Path, seed: int, options: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.keras_cnn", str(root / "films"), "--seed", str(seed), *options]
    done = run_process(command, environment={"KERAS_BACKEND": "torch", "KERAS_HOME": str(root / "keras")})
    figures = json.loads(done.output.splitlines()[-1])
    return {"name": KERAS, "seed": seed, "wall": done.wall, "processor": done.processor, **figures}


def _run_suwen(root: Path, seed: int, options: list[str]) -> dict[str, Any]:
    """The cache is a new one, so that decoding counts."""
    run = root / f"run-{seed}"
    command = [SUWEN, "finetune", "image-classification", str(root / "films"), "--out", str(run), "--seed", str(seed)]
    done = run_process([*command, *options], environment={"XDG_CACHE_HOME": str(root / f"cache-{seed}")})
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    figures = {name: value["value"] for name, value in metrics["splits"]["test"]["metrics"].items()}
    return {
        "name": OURS,
        "seed": seed,
        "wall": done.wall,
        "processor": done.processor,
        "accuracy": figures["accuracy"],
        "auroc": figures["auroc"],
        "accuracy_at_threshold": figures["accuracy_at_threshold"],
        "training": metrics["training"],
    }


def _row(run: dict[str, Any]) -> list[str]:
    at_threshold = run.get("accuracy_at_threshold")
    cells = [_number(name, run[name]) for name in FIGURES]
    return [run["name"], str(run["seed"]), *cells, "" if at_threshold is None else f"{at_threshold:.3f}"]


def _mean_row(found: list[dict[str, Any]], name: str) -> list[str]:
    return [f"mean of {name}", "", *(_number(figure, _mean(found, name, figure)) for figure in FIGURES), ""]


def _verdict(found: list[dict[str, Any]], figure: str) -> Verdict:
    ours, theirs = _mean(found, OURS, figure), _mean(found, KERAS, figure)
    time = figure == "wall"
    return Verdict(
        what=f"the original example: {'wall time of the whole process' if time else FIGURES[figure]}, mean over seeds",
        value=f"{_number(figure, ours)}{' s' if time else ''}",
        reach=f"{'no more' if time else 'more'} than the Keras CNN",
        met=ours <= theirs if time else ours > theirs,
        beside=f"{KERAS} {_number(figure, theirs)}{' s' if time else ''}",
    )


def _mean(found: list[dict[str, Any]], name: str, figure: str) -> float:
    return float(statistics.mean(run[figure] for run in found if run["name"] == name))


def _number(figure: str, value: float) -> str:
    return f"{value:.1f}" if figure in ("wall", "processor") else f"{value:.4f}"
