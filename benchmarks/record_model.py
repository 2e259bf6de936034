"""``python -m benchmarks record-model``: the model of records: speed of training, and what it is worth beside trees."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
import typer

import suwen
from benchmarks.results import RESULTS, ROOT, Result, Stopwatch, Verdict
from suwen.core.dataset import Batch
from suwen.core.recipe import Recipe
from suwen.core.registry import READERS, TASKS
from suwen.core.run import Run
from suwen.data.records.questions import splits_of
from suwen.encoders.packed import Layout, attend
from suwen.learn.batches import Batches
from suwen.learn.device import choose_precision, make_fabric
from suwen.learn.fit import fit
from suwen.learn.optimizer import make_optimizer, make_rate
from suwen.learn.train import build_model
from suwen.learn.watch import Watch
from suwen.simulation.hospital import simulate
from suwen.simulation.records.truth import OUTCOMES, best_possible_risk
from suwen.verbs.finetune import full_recipe
from suwen.verbs.work import prepare

TOKENS_A_SECOND, LOADING = 10_000, 0.05
"""To be reached on two cores with two layers of 128 and 256 tokens; the share of the time that loading may take."""

FEW, POINTS, NEAR = 200, 0.02, 0.02
"""With so many labels so much above the trees; with all so near to the best possible, as a share of it."""

FRACTIONS = (0.7, 0.15, 0.15)
SEED = 0


def record_model(
    patients: Annotated[int, typer.Option(help="Of the simulated hospital.", min=50)] = 4000,
    steps: Annotated[int, typer.Option(help="Optimizer steps of the pretraining.", min=1)] = 2000,
    questions: Annotated[str, typer.Option(help="Outcomes, with commas between.")] = ",".join(OUTCOMES),
    seconds: Annotated[float, typer.Option(help="Length of the measurement of speed.")] = 30.0,
    speed_only: Annotated[bool, typer.Option("--speed-only", help="Train nothing to the end.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A few patients and steps; shows that it works.")] = False,
    runs: Annotated[Path, typer.Option(help="Hospital and Runs; finished ones are not made again.")] = ROOT
    / "runs"
    / "record-model",
    results: Annotated[Path, typer.Option(help="Folder of record-model.json.")] = RESULTS,
) -> None:
    """Pretrain on the training subjects of a simulated hospital, fine-tune on few labels and on all."""
    asked = questions.split(",")
    if quick:
        patients, steps, seconds, asked, runs = 300, 5, 0.0, asked[:1], runs / "quick"
    watch, hospital = Stopwatch(), runs / f"hospital-{patients}"
    if not (hospital / "truth").is_dir():
        simulate(patients=patients, seed=7, out=hospital, wards=["records"], record_formats=[])
    speed, ways = measure_speed(hospital, seconds), measure_attention(seconds / 8)
    typer.echo(f"{speed['tokens_a_second']:,.0f} tokens/s, loading {speed['loading']:.2%}")
    found = [] if speed_only else _answers(hospital, asked, steps, runs / f"runs-{patients}-{steps}", quick)
    result = Result(
        name="record-model",
        settings={"patients": patients, "steps": steps, "questions": asked, "seconds": seconds},
        columns=["question", "labels", "model", "AUROC on test", "95 % interval", "best possible"],
        rows=[row for each in found for row in _rows(each)],
        verdicts=[*_speed_verdicts(speed, ways), *_quality_verdicts(found)],
        figures={"speed": speed, "attention": ways, "answers": found},
        notes=[
            "simulated patients: a test bed, never evidence about medicine",
            "few labels: of the training and validation subjects together; test is the same for all",
            "pretraining sees the records of the training subjects alone",
        ],
        quick=quick,
    )
    watch.finish(result, results)


class Timed(Batches):
    """`Batches` that note how long they were waited for, by the clock and in processor time."""

    waited = busy = 0.0

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[int, Batch]]:
        """As ever."""
        batches = super().epoch(epoch, start=start)
        while True:
            began, busy = time.perf_counter(), time.process_time()
            found = next(batches, None)
            self.waited, self.busy = self.waited + time.perf_counter() - began, self.busy + time.process_time() - busy
            if found is None:
                return
            yield found


def speed_recipe(hospital: Path, length: int = 256) -> Recipe:
    """Two layers of 128, 32 sequences of 256 tokens, one epoch."""
    return full_recipe(
        {
            "task": "next-event",
            "data": {"source": str(hospital / "records")},
            "inputs": {"length": length},
            "training": {"epochs": 1, "steps": None},
        }
    )


def measure_speed(hospital: Path, seconds: float) -> dict[str, float]:
    """Tokens a second of `fit` on next-event pretraining, and the share of its time in which it waits for batches."""
    recipe = speed_recipe(hospital)
    task, reader = TASKS[recipe.task], READERS["histories"]
    dataset: Any = prepare(reader, reader.read(recipe.data.source), recipe, fractions=FRACTIONS)
    model, fabric = build_model(task, dataset, recipe), make_fabric(choose_precision("auto"))
    module = task.bind(model.encoder, model.head, recipe)
    settings, size = recipe.training, recipe.training.batch_size
    rows, done = np.random.default_rng(0).permutation(dataset.where("train")), 0

    def train(steps: int) -> dict[str, float]:
        nonlocal done
        some = np.take(rows, range(done, done + steps * size), mode="wrap")
        done += steps * size
        batches = Timed(dataset, some, batch_size=size, seed=0)
        optimizer, rate = make_optimizer(module, settings), make_rate(settings, len(batches))
        watch = Watch(module, optimizer, settings, rate=rate, batches=len(batches))
        began, busy = time.perf_counter(), time.process_time()
        fit(module, batches, optimizer, rate, settings, fabric=fabric, watch=watch)
        taken, busy = time.perf_counter() - began, time.process_time() - busy
        tokens = float(sum(map(np.sum, dataset.sequences.lengths(some))))
        return {
            "tokens": tokens,
            "seconds": taken,
            "processor_seconds": busy,
            "tokens_a_second": tokens / taken,
            "tokens_a_processor_second": tokens / busy,
            "loading": batches.waited / taken,
            "loading_processor": batches.busy / busy,
        }

    train(2)  # kernels are compiled
    found = train(max(2, round(2 * seconds / train(2)["seconds"])))
    return found | {"threads": torch.get_num_threads(), "vocabulary": dataset.preprocess.count}


def measure_attention(seconds: float) -> dict[str, float]:
    """Milliseconds of processor time, forward and backward, of each way to attend within 32 packed sequences."""
    rng = np.random.default_rng(0)
    lengths = np.where(rng.random(32) < 0.5, 256, rng.integers(8, 256, 32))
    ends = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
    owner = torch.from_numpy(np.repeat(np.arange(32), lengths))
    mask = (owner[:, None] == owner) & torch.ones(len(owner), len(owner), dtype=torch.bool).tril()

    ways = {
        "one call each": lambda *qkv: attend(*qkv, Layout.each(ends)),
        "like lengths together": lambda *qkv: attend(*qkv, Layout.together(ends)),
        "all to the longest": lambda *qkv: attend(*qkv, Layout.together(ends, like=0.0)),
        "a block mask": lambda *qkv: F.scaled_dot_product_attention(
            *(part.transpose(0, 1)[None] for part in qkv), attn_mask=mask
        )[0].transpose(0, 1),
    }
    found = {}
    for name, way in ways.items():
        parts = [torch.randn(len(owner), 4, 32, requires_grad=True) for _ in range(3)]
        times, began = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - began < seconds:
            start = time.process_time()
            way(*parts).square().sum().backward()
            times.append(time.process_time() - start)
        found[name] = 1000 * statistics.median(times[1:])
    return found


def _answers(hospital: Path, asked: list[str], steps: int, runs: Path, quick: bool) -> list[dict[str, Any]]:
    base = Run(runs / "base")
    if not base.config.is_file():
        changes = [f"training.steps={steps}", *(["training.epochs=1"] if quick else [])]
        suwen.pretrain("time-to-event", hospital / "records", seed=SEED, set=changes, out=base.path)
    return [_answer(hospital, name, few, base, runs, quick) for name in asked for few in (True, False)]


def _answer(hospital: Path, name: str, few: bool, base: Run, runs: Path, quick: bool) -> dict[str, Any]:
    """AUROC on test of the fine-tuned model, of a linear layer on the frozen one, of an untrained one, of baselines."""
    labels = hospital / "records" / "labels" / f"{name}.parquet"
    where = "few" if few else "all"
    folder = runs / f"{name}-{where}"
    if few:
        labels = _few_of(labels, hospital, folder.parent / "labels" / where / f"{name}.parquet")
    question = folder.parent / f"{name}-{where}.yaml"
    question.write_text(f"store: {(hospital / 'records' / 'meds').resolve()}\nlabels: {labels.resolve()}\n")
    changes = ["training.epochs=1", "evaluation.resamples=20"] if quick else []
    ways = {
        "fine-tuned": {"encoder": f"run:{base.path}"},
        "frozen, linear": {"encoder": f"run:{base.path}", "adapt": "head", "set": ["training.learning_rate=0.01"]},
        "from scratch": {},
    }
    found: dict[str, Any] = {}
    for title, options in ways.items():
        run = Run(folder / title.replace(", ", "-").replace(" ", "-"))
        if not run.metrics.is_file():
            more = {**options, "set": [*options.get("set", []), *changes]}
            suwen.finetune("disease-risk", question, seed=SEED, out=run.path, **more)
        metrics = json.loads(run.metrics.read_text(encoding="utf-8"))
        found[title] = metrics["splits"]["test"]["metrics"]["auroc"]
    found |= {title: splits["test"]["metrics"]["auroc"] for title, splits in metrics["baselines"].items()}
    counts = metrics["data"]["counts"]
    number = sum(sum(counts[split].values()) for split in ("train", "val"))
    return {"question": name, "few": few, "labels": number, "auroc": found, "best": _best(hospital, name, question)}


def _few_of(labels: Path, hospital: Path, out: Path) -> Path:
    """`FEW` labels of the subjects of train and val, and all of test."""
    table = pq.read_table(labels)
    splits = splits_of(hospital / "records" / "meds", table["subject_id"].to_numpy(), SEED, FRACTIONS)
    learned = np.flatnonzero(splits != "test")
    some = np.random.default_rng(SEED).choice(learned, min(FEW, len(learned)), replace=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.take(pa.array(np.sort(np.concatenate([some, np.flatnonzero(splits == "test")])))), out)
    return out


def _best(hospital: Path, name: str, question: Path) -> float | None:
    samples = READERS["records"].read(question)
    splits = splits_of(hospital / "records" / "meds", samples.subject_ids, SEED, FRACTIONS)
    return best_possible_risk(hospital, name, [samples[row].id for row in np.flatnonzero(splits == "test")])


def _rows(found: dict[str, Any]) -> list[list[str]]:
    best = "–" if found["best"] is None else f"{found['best']:.3f}"
    return [
        [found["question"], str(found["labels"]), title, _told(figure["value"]), _span(figure), best]
        for title, figure in found["auroc"].items()
    ]


def _told(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _span(figure: dict[str, Any]) -> str:
    return "–" if figure["low"] is None else f"{figure['low']:.3f}–{figure['high']:.3f}"


def _speed_verdicts(speed: dict[str, float], ways: dict[str, float]) -> list[Verdict]:
    beside = ", ".join(f"{name} {value:.0f} ms" for name, value in ways.items())
    return [
        Verdict(
            what=f"next-event pretraining, 2 layers of 128, 256 tokens, {speed['threads']:.0f} threads",
            value=f"{speed['tokens_a_second']:,.0f} tokens/s",
            reach=f"≥ {TOKENS_A_SECOND:,}",
            met=speed["tokens_a_second"] >= TOKENS_A_SECOND,
            beside=f"{speed['tokens_a_processor_second']:,.0f} tokens a second of processor time",
        ),
        Verdict(
            what="time in which training waits for batches",
            value=f"{speed['loading']:.2%}",
            reach=f"≤ {LOADING:.0%}",
            met=speed["loading"] <= LOADING,
            beside=f"{speed['loading_processor']:.2%} of the processor time",
        ),
        Verdict(
            what="attention within packed sequences, forward and backward",
            value=f"{ways['one call each']:.0f} ms",
            reach="the least",
            met=ways["one call each"] <= 1.1 * min(ways.values()),
            beside=beside,
        ),
    ]


def _quality_verdicts(found: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for each in found:
        ours, trees = each["auroc"]["fine-tuned"]["value"], each["auroc"]["trees-features"]["value"]
        if ours is None or trees is None:
            continue
        if each["few"]:
            value, reach, met = f"{ours - trees:+.3f}", f"≥ +{POINTS:g} AUROC", ours - trees >= POINTS
            what = f"{each['question']} with {each['labels']} labels: pretrained above trees"
        elif each["best"] is not None:
            value, reach, met = f"{ours / each['best']:.1%}", f"≥ {1 - NEAR:.0%}", ours >= (1 - NEAR) * each["best"]
            what = f"{each['question']} with all labels: of the best possible AUROC"
        else:
            continue
        beside = ", ".join(f"{title} {_told(figure['value'])}" for title, figure in each["auroc"].items())
        verdicts.append(Verdict(what=what, value=value, reach=reach, met=met, beside=beside))
    return verdicts
