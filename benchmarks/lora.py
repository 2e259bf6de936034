"""``python -m benchmarks lora``: one pretrained Run adapted in full, by LoRA, and by its head."""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch.profiler import ProfilerActivity, profile

import suwen
from benchmarks.images import PNEUMONIA, find_pneumonia, generate_npz
from benchmarks.processes import run_process
from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict

ADAPTATIONS = ("full", "lora", "head")

POINTS, SHARE, TIMES = 1.0, 0.05, 10.0
"""LoRA must come within so many AUROC points of full fine-tuning, training at most this share of the parameters; an
epoch of the head on cached features must be so many times faster than a full one."""

MIB = 2**20

ONE = """
import json, sys, time
import numpy as np, torch, suwen
from suwen.core.run import Run
from suwen.learn.adaptation import adaptation_of
from suwen.learn.train import build_model
from suwen.verbs.finetune import full_recipe
from suwen.verbs.material import read_material
from suwen.core.recipe import parse_set

data, base, out, adapt, changes = *sys.argv[1:5], sys.argv[5:]
settings = [f"encoder.name=run:{base}", f"training.adapt={adapt}", *changes]
recipe = full_recipe({"task": "image-classification", "data": {"source": data}}, parse_set(settings))
from rich.console import Console
material = read_material(recipe, Console(quiet=True))
task, dataset, recipe = material.task, material.dataset, material.completed(recipe)
model = build_model(task, dataset, recipe)
adaptation_of(recipe).prepare(model.encoder, recipe.training)
parameters = [weight for part in model.parts().values() for weight in part.parameters()]
trained = sum(weight.numel() for weight in parameters if weight.requires_grad)
whole = sum(weight.numel() for weight in parameters)
del model, parameters
from benchmarks.lora import allocated, epoch_seconds
from suwen.engines.footprint import peak_memory
idle = peak_memory()
began = time.monotonic()
found = material.train(recipe)
seconds, resident = time.monotonic() - began, peak_memory() - idle
training = recipe.training.model_copy(update={"epochs": 1})
peak = allocated(lambda: material.train(recipe.model_copy(update={"training": training})))
rows = dataset.where("test")
logits, _ = found.model.infer(dataset, rows)
from suwen.verbs.judge import outcome_of
from suwen.evaluation.metrics import METRICS
Run(out).save(found.model)
print(json.dumps({
    "adapt": adapt,
    "auroc": METRICS["auroc"].function(outcome_of(found.model, dataset, rows, logits)),
    "trained": trained, "parameters": whole, "seconds": seconds,
    "epochs": found.progress.epoch, "epoch": epoch_seconds(found.progress.history),
    "peak": peak, "resident": resident, "kept": Run(out).weights.stat().st_size,
    "device": found.device,
}))
"""
"""One adaptation as a process of its own, so that its peak memory is its own."""


def allocated(train: Callable[[], Any]) -> int:
    """Most bytes that tensors took at once during a training: on the GPU, or on the CPU by PyTorch's profiler."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        train()
        return torch.cuda.max_memory_allocated()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        train()
    events = (event for event in watched.profiler.kineto_results.events() if event.name() == "[memory]")
    taken = accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))
    return max(taken, default=0)


def lora(
    data: Annotated[Path, typer.Option(help="pneumoniamnist.npz, or other labelled data to adapt to.")] = PNEUMONIA,
    base: Annotated[
        str | None, typer.Option(help="The Run to start from. Default: fine-tuned on a simulated site.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, … so many.", min=1)] = 3,
    rank: Annotated[int, typer.Option(help="Of the adapters.", min=1)] = 4,
    encoder: Annotated[str, typer.Option(help="Of the base, where it is made here.")] = "suwen:resnet18-narrow",
    patients: Annotated[int, typer.Option(help="Of the simulated site.")] = 1500,
    set: Annotated[list[str] | None, typer.Option(help="One setting of all adaptations; repeatable.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Generated pictures, one epoch, a tiny encoder; shows that it works.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder of lora.json.")] = RESULTS,
) -> None:
    """Adapt one Run to other data three ways: AUROC on test, parameters trained, peak memory, time."""
    watch, changes = Stopwatch(), list(set or [])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if quick:
            data, seeds, encoder = generate_npz(work / "films.npz", 200, 28), 1, "timm:test_resnet"
            changes += ["training.epochs=1"]
        find_pneumonia(data)
        start = base or _make_base(work, encoder, patients, data if quick else None)
        changes.append(f"training.lora.rank={rank}")
        found = [
            _one(data, start, work / f"{adapt}-{seed}", adapt, [*changes, f"seed={seed}"])
            for seed in range(seeds)
            for adapt in ADAPTATIONS
        ]
    result = Result(
        name="lora",
        settings={"data": data.name, "base": base or f"{encoder}, simulated site", "rank": rank, "set": changes},
        columns=[
            "adaptation",
            "test AUROC",
            "trained",
            "of all",
            "tensors (MiB)",
            "resident (MiB)",
            "seconds",
            "an epoch (s)",
            "Run (MiB)",
        ],
        rows=[_row(adapt, [one for one in found if one["adapt"] == adapt]) for adapt in ADAPTATIONS],
        verdicts=_verdicts(found),
        figures={"runs": found},
        notes=[
            "tensors: the most that they took at once in an epoch; resident: what training added to what the process "
            "held before it, with what libraries set up when they are first used",
            "seconds are of the training; those of head hold the pass that computes its features, its epochs do not",
            "an epoch is the median from the second on, validation included",
            "head sees the images as they are, the others augmented ones",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def _make_base(work: Path, encoder: str, patients: int, instead: Path | None) -> str:
    """A Run fine-tuned in full on films of a simulated hospital, at 28 px, or on the data themselves for a trial."""
    source: str | Path = (
        instead or suwen.simulate(patients=patients, seed=3, size=56, out=work / "hospital", wards=["films"]) / "films"
    )
    settings = ["inputs.size=28", "inputs.channels=1", "evaluation.resamples=20"]
    if instead:
        settings.append("training.epochs=1")
    suwen.finetune("image-classification", source, encoder=encoder, set=settings, out=work / "base", quiet=True)
    return str(work / "base")


def _one(data: Path, base: str, out: Path, adapt: str, changes: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-c", ONE, str(data), str(Path(base).resolve()), str(out), adapt, *changes]
    environment = {"XDG_CACHE_HOME": str(out.parent / "cache"), "PYTHONPATH": str(ROOT / "src")}
    found: dict[str, Any] = json.loads(run_process(command, environment=environment).output.splitlines()[-1])
    return found


def _row(adapt: str, runs: list[dict[str, Any]]) -> list[str]:
    first = runs[0]
    return [
        adapt,
        f"{_mean(runs, 'auroc'):.4f}",
        f"{first['trained']:,}",
        f"{first['trained'] / first['parameters']:.1%}",
        f"{_mean(runs, 'peak') / MIB:.0f}",
        f"{_mean(runs, 'resident') / MIB:.0f}",
        f"{_mean(runs, 'seconds'):.1f}",
        f"{_mean(runs, 'epoch'):.2f}",
        f"{_mean(runs, 'kept') / MIB:.2f}",
    ]


def _verdicts(found: list[dict[str, Any]]) -> list[Verdict]:
    of = {adapt: [one for one in found if one["adapt"] == adapt] for adapt in ADAPTATIONS}
    gap = 100 * (_mean(of["full"], "auroc") - _mean(of["lora"], "auroc"))
    share = of["lora"][0]["trained"] / of["lora"][0]["parameters"]
    memory = {adapt: _mean(runs, "peak") / MIB for adapt, runs in of.items()}
    times = _mean(of["full"], "epoch") / max(_mean(of["head"], "epoch"), 1e-9)
    return [
        Verdict(
            what="LoRA: AUROC points below full fine-tuning",
            value=f"{gap:+.2f}",
            reach=f"≤ {POINTS:g}",
            met=None if math.isnan(gap) else gap <= POINTS,
            beside=", ".join(f"{adapt} {_mean(runs, 'auroc'):.4f}" for adapt, runs in of.items()),
        ),
        Verdict(
            what="LoRA: share of the parameters trained",
            value=f"{share:.1%}",
            reach=f"≤ {SHARE:.0%}",
            met=share <= SHARE,
        ),
        Verdict(
            what="LoRA: memory of the training's tensors",
            value=f"{memory['lora']:.0f} MiB",
            reach="less than full",
            met=memory["lora"] < memory["full"],
            beside=", ".join(f"{adapt} {value:.0f} MiB" for adapt, value in memory.items()),
        ),
        Verdict(
            what="head: an epoch on cached features against a full one",
            value=f"{times:.0f}× faster",
            reach=f"≥ {TIMES:g}×",
            met=times >= TIMES,
            beside=", ".join(f"{adapt} {_mean(runs, 'epoch'):.2f} s" for adapt, runs in of.items()),
        ),
    ]


def epoch_seconds(history: list[dict[str, Any]]) -> float:
    """The median time of an epoch; the first, which also warms up, is left out where there are others."""
    ends = [0.0, *(row["seconds"] for row in history)]
    taken = [end - begin for begin, end in pairwise(ends)]
    return statistics.median(taken[1:] or taken)


def _mean(runs: list[dict[str, Any]], name: str) -> float:
    return sum(one[name] for one in runs) / len(runs)
