"""``python -m benchmarks distillation``: a small student of PneumoniaMNIST, with a teacher and without."""

from __future__ import annotations

import json
import statistics
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

import suwen
from benchmarks.images import PNEUMONIA, find_pneumonia
from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict
from suwen.core.recipe import make_recipe, parse_set, read_recipe
from suwen.core.run import Run
from suwen.engines.choose import make_engine
from suwen.engines.network import probes
from suwen.engines.timing import BATCHES, measure, thread_counts

FASTER, NEAR = 4.0, 0.01
"""What must be reached: how many times as fast as its teacher the student answers, and by how much its test AUROC may
be lower."""

TASK = "image-classification"

TEACHER = (
    "encoder.name=timm:resnet18",
    "encoder.options={stem: half, channels: [64, 128, 256, 512]}",
    "training.epochs=8",
)
STUDENT = (
    "encoder.name=timm:resnet18",
    "encoder.options={stem: half, layers: [1, 1, 1, 1], channels: [24, 48, 96, 192]}",
    "training.epochs=10",
)
SHARED = ("evaluation.resamples=0", "explanation.examples=0")

GRID = ((2.0, 0.5), (4.0, 0.9))
"""Temperature and alpha tried on the first seed; the pair with the best AUROC on validation is used for all."""

TINY = "encoder.options={stem: half, layers: [1, 1, 1, 1], channels: [8, 8, 16, 16]}"
QUICK_TEACHER = (*TEACHER, "encoder.options={stem: half, channels: [16, 16, 32, 32]}", "training.epochs=1")
QUICK_STUDENT = (*STUDENT, TINY, "training.epochs=1")

ENGINES = {"torch": "torch", "onnx": "onnxruntime"}
"""Engine → its package; the first is judged."""


def distillation(
    data: Annotated[Path, typer.Option(help="pneumoniamnist.npz")] = PNEUMONIA,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    runs: Annotated[Path, typer.Option(help="Folder of the Runs; finished ones are not trained again.")] = ROOT
    / "runs"
    / "distillation",
    seconds: Annotated[float, typer.Option(help="About how long each batch size is timed.")] = 20.0,
    quick: Annotated[bool, typer.Option("--quick", help="One seed, one epoch, tiny encoders.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of distillation.json.")] = RESULTS,
) -> None:
    """Fine-tune a teacher, then over seeds a student from its answers and the same student from labels alone."""
    find_pneumonia(data)
    watch = Stopwatch()
    teacher, student = (QUICK_TEACHER, QUICK_STUDENT) if quick else (TEACHER, STUDENT)
    if quick:
        runs, seeds, seconds = runs / "quick", 1, 0.0
    tried, found, chosen = [], [], GRID[0]
    large = _finetuned(runs / "teacher", data, 0, teacher)
    for seed in range(seeds):
        place = runs / f"seed-{seed}"
        if not seed:
            tried = [_taught(place, large, seed, student, *pair) for pair in GRID]
            chosen = best(tried)
        taught = _taught(place, large, seed, student, *chosen)
        alone = _finetuned(place / "alone", data, seed, student)
        found.append({"seed": seed, "teacher": figures(large), "taught": taught, "alone": figures(alone)})
        typer.echo(f"seed {seed}: " + ", ".join(f"{who} {found[-1][who]['test']:.4f}" for who in KINDS))
    speed = _speed({"teacher": large, "taught": Run(_student(runs / "seed-0", *chosen))}, seconds)
    result = Result(
        name="distillation",
        settings={"data": data.name, "teacher": teacher, "student": student, "shared": SHARED, "chosen": chosen},
        columns=["", "parameters", "test AUROC", *(f"{engine}, {size} (ms)" for engine in speed for size in BATCHES)],
        rows=[_row(kind, found, speed) for kind in KINDS],
        verdicts=[*_speed_verdicts(speed), _auroc_verdict(found)],
        figures={"seeds": found, "tried": tried, "seconds": {e: _words(row) for e, row in speed.items()}},
        notes=[
            f"temperature {chosen[0]:g} and alpha {chosen[1]:g}, chosen among {len(GRID)} pairs by AUROC on validation "
            "with the first seed; test was looked at once",
            "one teacher, of seed 0; the student without a teacher has the same recipe, epochs included; mean ± sample "
            "standard deviation over seeds of the student",
            "both sides with the same engine, in turns, each with the better of one thread and all cores",
        ],
        quick=quick,
    )
    watch.finish(result, results)


KINDS = {"teacher": "teacher", "taught": "student, taught", "alone": "student, alone"}


def figures(run: Run) -> dict[str, float]:
    """AUROC on validation and on test, and the parameters, of a finished Run."""
    metrics = json.loads(run.metrics.read_text(encoding="utf-8"))
    found = {split: metrics["splits"][split]["metrics"]["auroc"]["value"] for split in ("val", "test")}
    parts = run.load().parts().values()
    return found | {"parameters": sum(each.numel() for part in parts for each in part.parameters())}


def best(tried: list[dict[str, Any]]) -> tuple[float, float]:
    """Temperature and alpha of the student with the best AUROC on validation; of equals the first."""
    one = max(tried, key=lambda row: row["val"])
    return one["temperature"], one["alpha"]


def _finetuned(out: Path, data: Path, seed: int, settings: tuple[str, ...]) -> Run:
    """A Run of these settings; a finished one is read."""
    run = Run(out)
    if not _is_finished(run, settings):
        typer.echo(f"training {out}")
        suwen.finetune(TASK, data, set=(*SHARED, *settings), seed=seed, out=out, quiet=True, overwrite=True)
    return run


def _taught(
    place: Path, teacher: Run, seed: int, settings: tuple[str, ...], temperature: float, alpha: float
) -> dict[str, Any]:
    run = Run(_student(place, temperature, alpha))
    if not (_is_finished(run, settings) and run.load().card["teacher"]["model"] == teacher.load().name):
        typer.echo(f"training {run.path}")
        suwen.distill(
            teacher.path,
            temperature=temperature,
            alpha=alpha,
            set=(*SHARED, *settings),
            seed=seed,
            out=run.path,
            quiet=True,
            overwrite=True,
        )
    return {"temperature": temperature, "alpha": alpha, **figures(run)}


def _student(place: Path, temperature: float, alpha: float) -> Path:
    return place / f"student-{temperature:g}-{alpha:g}"


def _is_finished(run: Run, settings: tuple[str, ...]) -> bool:
    """Whether a Run is whole and has these settings."""
    if not (run.metrics.is_file() and run.report.is_file()):
        return False
    kept = make_recipe(read_recipe(run.recipe))
    asked = make_recipe(kept.model_dump(mode="json"), parse_set((*SHARED, *settings)))
    return asked.encoder == kept.encoder and asked.training.epochs == kept.training.epochs


Speed = dict[str, dict[tuple[str, int], float]]
"""Engine → who, and batch size → median seconds, with the better number of threads."""


def _speed(runs: dict[str, Run], seconds: float) -> Speed:
    found: Speed = {}
    for engine, package in ENGINES.items():
        if find_spec(package) is None:
            continue
        if engine != "torch":
            for run in runs.values():
                suwen.export(run.path, to=engine, quiet=True)
        calls = {
            (who, threads): make_engine(run.load(), run, engine, threads)
            for who, run in runs.items()
            for threads in thread_counts()
        }
        found[engine] = {}
        for size in BATCHES:
            inputs = probes(next(iter(runs.values())).load(), size)
            timed = measure({key: partial(call, inputs) for key, call in calls.items()}, seconds=seconds)
            for who in runs:
                found[engine][who, size] = min(timed[who, threads].median for threads in thread_counts())
    return found


def _words(row: dict[tuple[str, int], float]) -> dict[str, float]:
    return {f"{who} {size}": value for (who, size), value in row.items()}


def _row(kind: str, found: list[dict[str, Any]], speed: Speed) -> list[str]:
    same = "teacher" if kind == "teacher" else "taught"  # alone is the same network
    times = [f"{1000 * row[same, size]:.2f}" for row in speed.values() for size in BATCHES]
    seeds = found[:1] if kind == "teacher" else found
    return [KINDS[kind], f"{found[0][kind]['parameters']:,}", _mean([row[kind]["test"] for row in seeds]), *times]


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def _speed_verdicts(speed: Speed) -> list[Verdict]:
    judged, *others = speed
    found = []
    for size in BATCHES:
        times = {engine: row["teacher", size] / row["taught", size] for engine, row in speed.items()}
        found.append(
            Verdict(
                what=f"the student against its teacher, {size} at once, both in {judged}",
                value=f"{times[judged]:.1f}×",
                reach=f"≥ {FASTER:g}×",
                met=times[judged] >= FASTER,
                beside=", ".join(f"both in {engine} {times[engine]:.1f}×" for engine in others),
            )
        )
    return found


def _auroc_verdict(found: list[dict[str, Any]]) -> Verdict:
    """The distance to the teacher, seed by seed, then its mean."""
    under = {
        kind: statistics.mean(row["teacher"]["test"] - row[kind]["test"] for row in found)
        for kind in ("taught", "alone")
    }
    return Verdict(
        what=f"the taught student's test AUROC under its teacher's, mean of {len(found)} seeds",
        value=f"{100 * under['taught']:+.2f} points",
        reach=f"≤ {100 * NEAR:g} point",
        met=under["taught"] <= NEAR,
        beside=f"the same student without a teacher {100 * under['alone']:+.2f} points",
    )
