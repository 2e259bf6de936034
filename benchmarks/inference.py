"""``python -m benchmarks inference``: ResNet-18 answering, by torch as it is and by every exact engine."""

from __future__ import annotations

import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import suwen
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.core.engine import Engine
from suwen.core.model import Model
from suwen.core.registry import TASKS
from suwen.core.run import Run
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.engines.choose import make_engine
from suwen.engines.network import probes
from suwen.engines.parity import TOLERANCE, differences
from suwen.engines.table import ENGINES
from suwen.engines.timing import BATCHES, Latency, measure, thread_counts
from suwen.heads.classify import Classify

ENCODER, SIDES = "resnet18", (28, 224)

REACH: dict[tuple[int, int], float | None] = {(28, 1): 2.0, (28, 64): None, (224, 1): 1.3, (224, 64): 1.3}
"""Side and batch → how many times as fast as torch the fastest engine must be; None: for information."""

FILES = {"onnx": "onnxruntime", "openvino": "openvino"}
"""Format of ``suwen export`` → the package that runs it."""

EAGER = "torch"

Timed = dict[tuple[str, int], Latency]
"""Engine and threads → latency."""


def inference(
    seconds: Annotated[float, typer.Option(help="About how long each size and batch is timed.")] = 60.0,
    encoder: Annotated[str, typer.Option(help="A timm model.")] = ENCODER,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny encoder, three rounds.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of inference.json.")] = RESULTS,
) -> None:
    """Time the engines in turns in one process; random weights, since time does not depend on them."""
    watch = Stopwatch()
    if quick:
        seconds, encoder = 0.0, "test_resnet"
    with tempfile.TemporaryDirectory() as folder:
        found = {side: _measure(Path(folder) / str(side), side, encoder, seconds) for side in SIDES}
    result = Result(
        name="inference",
        settings={"encoder": encoder, "sides": SIDES, "batches": BATCHES, "seconds": seconds},
        columns=["size", "batch", "engine", "threads", "median (ms)", "95 % (ms)", "images/s", "× torch"],
        rows=[row for side in SIDES for row in _rows(side, found[side]["timing"])],
        verdicts=[*_speed_verdicts(found, encoder), _answers_verdict(found)],
        figures={str(side): _as_json(row) for side, row in found.items()},
        notes=_notes(),
        quick=quick,
    )
    watch.finish(result, results)


def _measure(folder: Path, side: int, encoder: str, seconds: float) -> dict[str, Any]:
    """Latencies of every engine at both batch sizes, and how far their answers are from torch's."""
    run = Run(folder)
    run.save(_model(encoder, side))
    for to, package in FILES.items():
        if find_spec(package) is not None:
            typer.echo(f"{side} px: exporting to {to}")
            suwen.export(run.path, to=to, quiet=True)
    model = run.load()
    names = [name for name, kind in ENGINES.items() if kind.automatic and (kind.make or _exported(run, name))]
    engines: dict[tuple[str, int], Engine] = {
        (name, threads): make_engine(model, run, name, threads) for name in names for threads in thread_counts()
    }
    timing = {}
    for batch in BATCHES:
        typer.echo(f"{side} px, {batch} at once: {', '.join(names)}")
        inputs = probes(model, batch)
        timing[batch] = measure({key: partial(engine, inputs) for key, engine in engines.items()}, seconds=seconds)
    batches = [probes(model, size, seed=size) for size in BATCHES]
    reference = engines[EAGER, 1]
    apart = {
        f"{name} {threads}": max(differences(engine, reference, batches).values())
        for (name, threads), engine in engines.items()
        if name != EAGER
    }
    return {"timing": timing, "differences": apart}


def _model(encoder: str, side: int) -> Model:
    """An untrained classifier of grey images, whose batch normalisations have seen some."""
    torch.manual_seed(0)
    preprocess = ImagePreprocess(size=side, channels=1)
    made = TimmEncoder(encoder, preprocess)
    with torch.no_grad():
        for _ in range(3):
            made(torch.rand(8, 1, side, side))
    head = Classify(made.width, ("normal", "pneumonia"))
    return Model(TASKS["image-classification"], preprocess, made.eval(), head.eval())


def _exported(run: Run, name: str) -> bool:
    return (run.engines / f"{name}.json").is_file()


def best(timed: Timed) -> dict[str, tuple[int, Latency]]:
    """Each engine with the number of threads that was best for it; the fastest first."""
    fastest = sorted(timed.items(), key=lambda row: row[1].median)
    found: dict[str, tuple[int, Latency]] = {}
    for (name, threads), latency in fastest:
        found.setdefault(name, (threads, latency))
    return found


def _rows(side: int, timing: dict[int, Timed]) -> list[list[str]]:
    found = []
    for batch, timed in timing.items():
        row = best(timed)
        base = row[EAGER][1].median
        found += [
            [
                f"{side} px",
                str(batch),
                name,
                str(threads),
                f"{1000 * latency.median:.2f}",
                f"{1000 * latency.p95:.2f}",
                f"{batch / latency.median:.0f}",
                f"{base / latency.median:.2f}",
            ]
            for name, (threads, latency) in row.items()
        ]
    return found


def _speed_verdicts(found: dict[int, dict[str, Any]], encoder: str) -> list[Verdict]:
    verdicts = []
    for (side, batch), reach in REACH.items():
        row = best(found[side]["timing"][batch])
        base = row[EAGER][1].median
        name = next(iter(row))
        times = base / row[name][1].median
        verdicts.append(
            Verdict(
                what=f"{encoder} at {side} px, {batch} at once: the fastest engine against torch",
                value=f"{times:.2f}× ({name})",
                reach="for information" if reach is None else f"≥ {reach:g}×",
                met=None if reach is None else times >= reach,
                beside=f"torch {1000 * base:.2f} ms",
            )
        )
    return verdicts


def _answers_verdict(found: dict[int, dict[str, Any]]) -> Verdict:
    apart = {f"{name} at {side} px": value for side, row in found.items() for name, value in row["differences"].items()}
    worst = max(apart, key=apart.__getitem__)
    return Verdict(
        what="largest difference of logits and pooled features from torch's",
        value=f"{apart[worst]:.1e}",
        reach=f"≤ {TOLERANCE:.0e}",
        met=apart[worst] <= TOLERANCE,
        beside=f"engine and threads: {worst}",
    )


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    timing = {
        str(batch): {f"{name} {threads}": latency.to_json() for (name, threads), latency in timed.items()}
        for batch, timed in row["timing"].items()
    }
    return {"seconds": timing, "differences": row["differences"]}


def _notes() -> list[str]:
    absent = [name for name, package in FILES.items() if find_spec(package) is None]
    notes = [
        "every engine ran with one thread and with all cores, in turns; the better of the two stands in the table, for "
        "torch as for the others",
        "differences are absolute up to values of 1, and shares beyond; int8 is not here: its answers are not torch's",
    ]
    return notes + [f"not installed here: {', '.join(absent)}"] * bool(absent)
