"""``python -m benchmarks record-features``: lab values in windows before labels, against DuckDB and Polars."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.processes import run_process
from benchmarks.record_stages import AGGREGATES, CODES, Done, Stage
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.data.records.kernels import DAY, SECOND, processors

EVENTS, LABELS, SUBJECTS = 124_000_000, 400_000, 315_000
"""As many as MIMIC-IV has lab results, and patients with them."""

SECONDS, GIGABYTES, TIMES, BUILT = 15.0, 8.0, 3.0, 5e6
"""To reach: seconds of the whole, 10⁹ bytes at the peak, how often faster than rivals, events a second into columns."""

RIVALS = ("duckdb", "polars")
CHUNK = 2_000_000
DRAWN, APART = 10, 20.0
"""Results of one draw, on average, and days between draws."""

NULLS = 0.1
SAME = 1e-4
"""Largest relative difference of answers: rivals add up float32 values in another order."""

ENOUGH = 1_000_000
"""Events below which what is fixed (opening, starting) outweighs what grows, and nothing is judged."""

PUBLISHED = "as many labs, another task: PyHealth 2.0a13 14,292 s, 16 GB, 32 cores (its docs, newsletter 2025-12)"


def record_features(
    events: Annotated[int, typer.Option(help="Lab results.", min=1000)] = EVENTS,
    labels: Annotated[int, typer.Option(help="Labels.", min=100)] = LABELS,
    subjects: Annotated[int, typer.Option(help="Subjects.", min=10)] = SUBJECTS,
    share: Annotated[
        float, typer.Option(help="Of the subjects, for the rivals, who need more memory.", min=0.01, max=1.0)
    ] = 0.25,
    threads: Annotated[int, typer.Option(help="Of each. [default: as many as processors]", min=0)] = 0,
    work: Annotated[
        Path | None, typer.Option(help="Where the events are put; a temporary folder unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="200,000 events; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of record-features.json.")] = RESULTS,
) -> None:
    """Five aggregates of 1,600 labs in four windows before each label: the same answers from each, each by itself."""
    if quick:
        events, labels, subjects, share = 200_000, 1000, 600, 1.0
    watch, threads = Stopwatch(), threads or processors()
    folder = Path(tempfile.mkdtemp(dir=work, prefix="record-features-"))
    try:
        generate(folder, events, labels, subjects)
        whole, part = Stage(str(folder), threads, 1.0), Stage(str(folder), threads, share)
        found = {"build": run_stage("build", whole), "suwen": run_stage("suwen", whole)}
        ours = run_stage("suwen", part) if share < 1 else found["suwen"]
        rivals = {name: run_stage(name, part) for name in RIVALS}
        differences = {name: difference(folder, name) for name in RIVALS}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    settings = {"events": events, "labels": labels, "subjects": subjects, "share": share, "threads": threads}
    result = Result(
        name="record-features",
        settings=settings,
        columns=[
            "what",
            "share of subjects",
            "loading (s)",
            "seconds",
            "processor (s)",
            "peak (GB)",
            "entries or rows",
        ],
        rows=[
            _row("parquet to columns", 1.0, found["build"]),
            _row("suwen", 1.0, found["suwen"]),
            *([_row("suwen", share, ours)] if share < 1 else []),
            *(_row(name, share, done) for name, done in rivals.items()),
        ],
        verdicts=_verdicts(settings, found, ours, rivals, differences),
        figures={name: asdict(done) for name, done in {**found, "suwen on the share": ours, **rivals}.items()}
        | {"differences": differences},
        notes=[
            "loading: of suwen opening the mapped columns and the compiled kernels; of the others reading Parquet into "
            "memory, codes as integers. It is in none of the ratios; nor is building the columns, which is done once",
            "an entry is one aggregate; a row of the others holds 20, those of empty windows included",
            "peak: resident memory with the mapped pages of the columns; each in a process of its own",
            f"draws of about {DRAWN} labs, {APART:g} days apart, codes by Zipf's law; labels at the times of events",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def generate(folder: Path, events: int, labels: int, subjects: int, seed: int = 0) -> None:
    """A MEDS store of lab results in files of about `CHUNK` events, and labels at the times of some of them."""
    rng = np.random.default_rng(seed)
    (folder / "store" / "data").mkdir(parents=True)
    lengths = np.diff(np.concatenate([[0], np.sort(rng.integers(0, events + 1, subjects - 1)), [events]]))
    names = pa.array([f"LAB//{code}" for code in range(CODES)])
    chances = 1 / np.arange(1, CODES + 1)
    chances = np.cumsum(chances / chances.sum())
    ends = np.searchsorted(np.cumsum(lengths), np.arange(CHUNK, events + CHUNK, CHUNK)) + 1
    chosen: list[pa.Table] = []
    for number, (first, last) in enumerate(zip(np.r_[0, ends[:-1]], ends.clip(max=subjects), strict=True)):
        if last <= first:
            continue
        table = _events(rng, np.arange(first, last), lengths[first:last], names, chances)
        pq.write_table(table, folder / "store" / "data" / f"{number:04d}.parquet", compression="zstd")
        places = rng.integers(0, max(1, len(table)), round(labels * len(table) / events)) if len(table) else []
        chosen.append(table.select(["subject_id", "time"]).take(pa.array(places, pa.int64())))
    found = pa.concat_tables(chosen).rename_columns(["subject_id", "prediction_time"])
    order = rng.permutation(len(found))  # labels come in any order
    pq.write_table(found.take(pa.array(order)), folder / "labels.parquet")


def _events(
    rng: np.random.Generator, subjects: np.ndarray, lengths: np.ndarray, names: pa.Array, chances: np.ndarray
) -> pa.Table:
    """Events of some subjects; no two of one subject at one time, so that there is one last."""
    count = int(lengths.sum())
    within = rng.integers(1, 60 * SECOND, count)
    apart = (rng.exponential(APART * DAY, count) + 1).astype(np.int64)
    times = np.cumsum(np.where(rng.random(count) < 1 / DRAWN, apart, within))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    begun = times[starts.clip(max=max(0, count - 1))] if count else np.zeros(len(lengths), np.int64)
    times = times - np.repeat(begun, lengths) + 40 * 365 * DAY
    codes = np.searchsorted(chances, rng.random(count)).clip(max=CODES - 1).astype(np.int32)
    return pa.table(
        {
            "subject_id": np.repeat(subjects, lengths).astype(np.int64),
            "time": pa.array(times, pa.timestamp("us")),
            "code": pa.DictionaryArray.from_arrays(codes, names),
            "numeric_value": pa.array(rng.normal(100, 20, count).astype(np.float32), mask=rng.random(count) < NULLS),
        }
    )


def run_stage(name: str, stage: Stage) -> Done:
    """One stage in a process of its own."""
    typer.echo(f"{name}, {stage.share:.0%} of the subjects")
    threads = {name: str(stage.threads) for name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS")}
    path = os.pathsep.join(each for each in sys.path if each)
    command = [sys.executable, "-m", "benchmarks.record_stages", name, json.dumps(asdict(stage))]
    return Done(**json.loads(run_process(command, environment={**threads, "PYTHONPATH": path}).output.splitlines()[-1]))


def difference(folder: Path, name: str) -> float:
    """Largest relative difference of a rival's answers from ours, over a sample of labels; infinite where one has an
    answer and the other none."""
    ours, theirs = np.load(folder / "suwen.npy"), np.load(folder / f"{name}.npy")
    if not np.array_equal(np.isnan(ours), np.isnan(theirs)):
        return float("inf")
    there = ~np.isnan(ours)
    return float((np.abs(ours - theirs)[there] / np.maximum(1, np.abs(ours[there]))).max(initial=0))


def _row(name: str, share: float, done: Done) -> list[str]:
    seconds = [f"{done.load:.1f}", f"{done.seconds:.2f}", f"{done.processor:.2f}"]
    return [name, f"{share:.0%}", *seconds, f"{done.peak / 1e9:.2f}", f"{done.count:,}"]


def _verdicts(
    settings: dict[str, Any],
    found: dict[str, Done],
    ours: Done,
    rivals: dict[str, Done],
    differences: dict[str, float],
) -> list[Verdict]:
    whole = settings["events"] >= EVENTS and settings["labels"] >= LABELS
    done, speed = found["suwen"], settings["events"] / found["build"].seconds
    size = f"{settings['events'] / 1e6:g} M events, {settings['labels']:,} labels"
    peaks = ", ".join(f"{name} {each.peak / 1e9:.1f} GB" for name, each in rivals.items())
    on = "" if settings["share"] == 1 else f", both on {settings['share']:.0%} of the subjects"
    verdicts = [
        Verdict(
            what=f"{len(AGGREGATES)} aggregates in 4 windows, {size}",
            value=f"{done.seconds:.2f} s",
            reach=f"≤ {SECONDS:g} s" if whole else f"≤ {SECONDS:g} s for {EVENTS / 1e6:g} M and {LABELS:,}",
            met=done.seconds <= SECONDS if whole else None,
            beside=PUBLISHED,
        ),
        Verdict(
            what=f"peak memory of it, {size}",
            value=f"{done.peak / 1e9:.2f} GB",
            reach=f"≤ {GIGABYTES:g} GB",
            met=done.peak <= GIGABYTES * 1e9 if whole else None,
            beside=peaks,
        ),
        Verdict(
            what="Parquet to columns",
            value=f"{speed / 1e6:.1f} M events/s, {found['build'].peak / 1e9:.2f} GB",
            reach=f"≥ {BUILT / 1e6:g} M events/s",
            met=speed >= BUILT if settings["events"] >= ENOUGH else None,
        ),
    ]
    for name, each in rivals.items():
        ratio = each.seconds / ours.seconds
        verdicts.append(
            Verdict(
                what=f"speed against {name}, with the same answers{on}",
                value=f"{ratio:.1f}×" if differences[name] <= SAME else f"answers differ by {differences[name]:.1g}",
                reach=f"≥ {TIMES:g}×",
                met=(ratio >= TIMES if settings["events"] >= ENOUGH else None) if differences[name] <= SAME else False,
                beside=f"{name} {each.seconds:.1f} s after loading for {each.load:.1f} s",
            )
        )
    return verdicts
