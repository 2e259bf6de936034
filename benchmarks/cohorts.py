"""``python -m benchmarks cohorts``: cohorts in the language of ACES over as many events as it was profiled with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
import yaml

from benchmarks.processes import run_process
from benchmarks.record_stages import Done
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.data.records.kernels import DAY, SECOND, processors

EVENTS, SUBJECTS = 80_500_000, 50_000
"""Of a shard of MIMIC-IV, on which ACES was profiled."""

SMALL = 200_000
"""Events of the store on which ACES runs too."""

SECONDS, GIGABYTES = 9.0, 1.5
"""To reach: a twentieth of what ACES takes at least."""

CHUNK = 2_000_000
MINUTE = 60 * SECOND
CODES, STAYS, ICU, DIES = 2000, 2.4, 0.3, 0.03
"""Kinds of labs; stays of a subject; shares of stays with intensive care, and of those that end with death."""

PUBLISHED = "ACES docs/source/profiling.md: a shard of MIMIC-IV of 80.5 M rows, 36 cores"

SOON = {"start_inclusive": False, "end_inclusive": True}
UNTIL = {"start_inclusive": True, "end_inclusive": True, "index_timestamp": "end"}
STAY = {
    "admission": {"code": {"regex": "^HOSPITAL_ADMISSION//.*"}},
    "discharge": {"code": {"regex": "^HOSPITAL_DISCHARGE//.*"}},
    "death": {"code": {"regex": "MEDS_DEATH.*"}},
    "discharge_or_death": {"expr": "or(discharge, death)"},
}
TASKS: dict[str, dict[str, Any]] = {
    "in-hospital mortality": {
        "predicates": STAY,
        "trigger": "admission",
        "windows": {
            "input": {"start": None, "end": "trigger + 24h", **UNTIL, "has": {"_ANY_EVENT": "(5, None)"}},
            "gap": {"start": "trigger", "end": "start + 48h", **SOON}
            | {"has": {"admission": "(None, 0)", "discharge_or_death": "(None, 0)"}},
            "target": {"start": "gap.end", "end": "start -> discharge_or_death", **SOON, "label": "death"},
        },
    },
    "mortality after discharge": {
        "predicates": STAY,
        "trigger": "discharge",
        "windows": {
            "input": {"start": None, "end": "trigger", **UNTIL, "has": {"death": "(None, 0)"}},
            "target": {"start": "input.end", "end": "start + 30d", **SOON, "label": "death"},
        },
    },
    "readmission": {
        "predicates": STAY,
        "trigger": "discharge",
        "windows": {
            "input": {"start": None, "end": "trigger", **UNTIL, "has": {"_ANY_EVENT": "(5, None)"}},
            "stay": {"start": "end <- admission", "end": "trigger", "start_inclusive": True, "end_inclusive": True},
            "target": {"start": "trigger", "end": "start + 30d", **SOON, "label": "admission"},
            "followed": {"start": "target.end", "end": None, **SOON, "has": {"_ANY_EVENT": "(1, None)"}},
        },
    },
    "abnormal lab": {
        "predicates": {**STAY, "lab": {"code": "LAB//0"}, "low": {"code": "LAB//0", "value_max": 60.0}}
        | {"high": {"code": "LAB//0", "value_min": 140.0}, "abnormal": {"expr": "or(low, high)"}},
        "trigger": "admission",
        "windows": {
            "input": {"start": None, "end": "trigger + 24h", **UNTIL, "has": {"abnormal": "(None, 3)"}},
            "stays": {"start": "trigger", "end": "start + 48h", **SOON, "has": {"discharge_or_death": "(None, 0)"}},
            "target": {"start": "input.end", "end": "start + 24h", **SOON, "label": "abnormal"}
            | {"has": {"lab": "(1, None)"}},
        },
    },
}
"""After tasks of PIE_MD, with which ACES was profiled, and of MEDS-DEV."""

THEIRS = {
    "in-hospital mortality": (363.09, 106_367.14),
    "mortality after discharge": (182.91, 30_434.86),
    "readmission": (367.41, 106_064.04),
}
"""Published: seconds, and MiB at the peak."""

ACES = """
import json, sys, time
from pathlib import Path
from omegaconf import DictConfig
from aces import config, predicates, query
task, store, out = sys.argv[1:]
began, processor = time.perf_counter(), time.process_time()
read = config.TaskExtractorConfig.load(task)
events = predicates.get_predicates_df(read, DictConfig({"standard": "MEDS", "path": store}))
found = query.query(read, events).select("subject_id", "index_timestamp", "label").drop_nulls()
seconds, processor = time.perf_counter() - began, time.process_time() - processor
found.write_parquet(out)
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
print(json.dumps({"load": 0.0, "seconds": seconds, "processor": processor, "peak": peak, "count": len(found)}))
"""


@dataclass(frozen=True)
class Stage:
    """What one process is to do: the cohort of a task, of the store of a folder, with so many threads."""

    folder: str
    task: str
    threads: int


def cohorts(
    events: Annotated[int, typer.Option(help="Events.", min=1000)] = EVENTS,
    subjects: Annotated[int, typer.Option(help="[default: as many as MIMIC-IV has]")] = 0,
    threads: Annotated[int, typer.Option(help="[default: as many as processors]", min=0)] = 0,
    aces: Annotated[Path | None, typer.Option(help="A Python that has es-aces. [default: this one, if it has]")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Where the events are put; a temporary folder unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="200,000 events; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of cohorts.json.")] = RESULTS,
) -> None:
    """Labels of four tasks, each in a process of its own; the same ones from ACES on a smaller store."""
    events = SMALL if quick else events
    subjects = subjects or max(10, round(events * SUBJECTS / EVENTS))
    watch, threads, python = Stopwatch(), threads or processors(), _with_aces(aces)
    folder = Path(tempfile.mkdtemp(dir=work, prefix="cohorts-"))
    try:
        generate(folder / "store", events, subjects)
        built = run_stage("build", Stage(str(folder), next(iter(TASKS)), threads))
        found = {task: run_stage("suwen", Stage(str(folder), task, threads)) for task in TASKS}
        small, both = _beside_aces(folder / "small", python, threads) if python else (None, {})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    settings = {"events": built.count, "subjects": subjects, "threads": threads, "aces": both != {}}
    result = Result(
        name="cohorts",
        settings=settings,
        columns=["what", "events", "loading (s)", "seconds", "processor (s)", "peak (GB)", "events or labels"],
        rows=[
            _row("parquet to columns", built.count, built),
            *(_row(f"suwen: {task}", built.count, done) for task, done in found.items()),
            *([_row("parquet to columns", SMALL, small)] if small else []),
            *(_row(f"{who}: {task}", SMALL, done) for task, pair in both.items() for who, done in pair.items()),
        ],
        verdicts=[*_verdicts(built.count, found), *_equal(small, both)],
        figures={
            "build": asdict(built),
            "suwen": {task: asdict(done) for task, done in found.items()},
            "beside_build": asdict(small) if small else None,
            "beside": {task: {who: asdict(done) for who, done in pair.items()} for task, pair in both.items()},
        },
        notes=[
            "loading: opening the mapped columns and the compiled kernels, which is in no figure; building the "
            "columns, done once for all cohorts, is told by itself, and beside ACES, which reads the Parquet file for "
            "each, with and without it",
            "peak: resident memory with the mapped pages of the columns; each in a process of its own",
            f"about {STAYS:g} stays a subject, labs on a grid of 15 minutes, codes by Zipf's law; published figures "
            "are of MIMIC-IV itself, on other machines",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def generate(store: Path, events: int, subjects: int, seed: int = 0) -> None:
    """A MEDS store of stays in hospital, in files of about `CHUNK` events."""
    rng = np.random.default_rng(seed)
    (store / "data").mkdir(parents=True)
    labs = [f"LAB//{number}" for number in range(CODES)]
    names = pa.array([*OTHERS, *labs])
    pieces = max(1, round(events / CHUNK))
    edges = np.linspace(0, subjects, pieces + 1).astype(np.int64)
    chances = np.cumsum(1 / np.arange(1, CODES + 1))
    for number, (first, last) in enumerate(pairwise(edges.tolist())):
        if last > first:
            table = _stays(rng, np.arange(first, last), events / subjects, names, chances / chances[-1])
            pq.write_table(table, store / "data" / f"{number:04d}.parquet", compression="zstd")


OTHERS = (
    "GENDER//M",
    "GENDER//F",
    "MEDS_BIRTH",
    "HOSPITAL_ADMISSION//URGENT",
    "HOSPITAL_ADMISSION//ELECTIVE",
    "ICU_ADMISSION//MICU",
    "ICU_DISCHARGE//MICU",
    "HOSPITAL_DISCHARGE//HOME",
    "MEDS_DEATH",
)


def _stays(
    rng: np.random.Generator, subjects: np.ndarray, length: float, names: pa.Array, chances: np.ndarray
) -> pa.Table:
    """Events of some subjects: one stay after another, the last of which may end with death."""
    whose = np.repeat(subjects, 1 + rng.poisson(STAYS - 1, len(subjects)))
    days = rng.exponential(5, len(whose)) + 0.1
    ends = np.cumsum((days + rng.exponential(200, len(whose))) * DAY)
    begun = np.searchsorted(whose, whose)
    ends = (ends - np.concatenate([[0.0], ends])[begun] + 40 * 365 * DAY).astype(np.int64) // MINUTE * MINUTE
    starts = ends - (days * DAY).astype(np.int64) // MINUTE * MINUTE
    dies = (rng.random(len(whose)) < DIES) & (np.append(whose[1:], -1) != whose)
    icu = np.flatnonzero(rng.random(len(whose)) < ICU)
    labs = np.repeat(np.arange(len(whose)), rng.poisson(length / STAYS, len(whose)))
    grid = 15 * MINUTE
    within = (starts[labs] + rng.random(len(labs)) * (ends - starts)[labs]).astype(np.int64) // grid * grid
    code, kinds = {name: number for number, name in enumerate(OTHERS)}, len(whose)
    parts = [
        (subjects, np.full(len(subjects), np.iinfo(np.int64).min), rng.integers(0, 2, len(subjects))),
        (subjects, np.full(len(subjects), 365 * DAY), np.full(len(subjects), code["MEDS_BIRTH"])),
        (whose, starts, code["HOSPITAL_ADMISSION//URGENT"] + rng.integers(0, 2, kinds)),
        (
            whose[labs],
            within.clip(starts[labs], ends[labs]),
            len(OTHERS) + np.searchsorted(chances, rng.random(len(labs))),
        ),
        (whose[icu], starts[icu] + grid, np.full(len(icu), code["ICU_ADMISSION//MICU"])),
        (whose[icu], (starts[icu] + ends[icu]) // 2, np.full(len(icu), code["ICU_DISCHARGE//MICU"])),
        (whose, ends, np.where(dies, code["MEDS_DEATH"], code["HOSPITAL_DISCHARGE//HOME"])),
    ]
    who, when, what = (np.concatenate([part[column] for part in parts]) for column in range(3))
    order = np.lexsort((when, who))
    who, when, what = who[order], when[order], what[order].clip(max=len(names) - 1).astype(np.int32)
    return pa.table(
        {
            "subject_id": who.astype(np.int64),
            "time": pa.array(when, pa.int64(), mask=when < 0).cast(pa.timestamp("us")),
            "code": pa.DictionaryArray.from_arrays(what, names),
            "numeric_value": pa.array(rng.normal(100, 20, len(who)).astype(np.float32), mask=what < len(OTHERS)),
        }
    )


def run_stage(name: str, stage: Stage) -> Done:
    """One stage in a process of its own."""
    typer.echo(f"{name}, {stage.task}")
    path = os.pathsep.join(each for each in sys.path if each)
    command = [sys.executable, "-m", "benchmarks.cohorts", name, json.dumps(asdict(stage))]
    return Done(**json.loads(run_process(command, environment={"PYTHONPATH": path}).output.splitlines()[-1]))


def build(stage: Stage) -> Done:
    """Parquet → columns."""
    from suwen.data.records.columns import build_columns

    began = time.perf_counter(), time.process_time()
    columns = build_columns(Path(stage.folder) / "store")
    return _done(0.0, began, len(columns))


def suwen(stage: Stage) -> Done:
    """Labels of a task."""
    from suwen.data.records.cohorts.config import read_cohort
    from suwen.data.records.cohorts.extract import extract
    from suwen.data.records.columns import build_columns

    start = time.perf_counter()
    home = Path(stage.folder)
    columns, cohort = build_columns(home / "store"), read_cohort(TASKS[stage.task])
    if not (home / "warm" / "data").is_dir():
        generate(home / "warm", 5000, 40)
    extract(build_columns(home / "warm"), cohort)  # compiles, or loads what was
    began = time.perf_counter(), time.process_time()
    labels = extract(columns, read_cohort(TASKS[stage.task]), threads=stage.threads)
    done = _done(began[0] - start, began, len(labels))
    values = np.asarray(labels.values, np.int64)
    np.save(home / f"{stage.task}.npy", np.stack([labels.subject_ids, labels.prediction_times, values]))
    return done


def _done(load: float, began: tuple[float, float], count: int) -> Done:
    seconds, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return Done(load, seconds, processor, peak, count)


def _with_aces(python: Path | None) -> str | None:
    """The Python that has it, if there is one."""
    tried = str(python or sys.executable)
    found = subprocess.run([tried, "-c", "import aces"], capture_output=True, check=False).returncode == 0
    if python is not None and not found:
        raise typer.BadParameter(f"{python} has no es-aces: {python} -m pip install es-aces")
    return tried if found else None


def _beside_aces(home: Path, python: str, threads: int) -> tuple[Done, dict[str, dict[str, Done]]]:
    """The building of columns, and task → who → figures, on one file of `SMALL` events; what ACES found is compared in
    `_same`."""
    generate(home / "store", SMALL, round(SMALL * SUBJECTS / EVENTS))
    file = next((home / "store" / "data").iterdir())
    built = run_stage("build", Stage(str(home), next(iter(TASKS)), threads))
    found: dict[str, dict[str, Done]] = {}
    for task, written in TASKS.items():
        (home / "task.yaml").write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
        typer.echo(f"aces, {task}")
        out = str(home / "aces.parquet")
        command = [python, "-c", ACES, str(home / "task.yaml"), str(file), out]
        said = run_process(command, environment={"POLARS_MAX_THREADS": str(threads), "PYTHONPATH": ""})
        theirs = Done(**json.loads(said.output.splitlines()[-1]))
        ours = run_stage("suwen", Stage(str(home), task, threads))
        found[task] = {"suwen": ours, "aces": theirs} if _same(home, task) else {"suwen": ours}
    return built, found


def _same(home: Path, task: str) -> bool:
    """Whether both found the same subjects, times, and whether it happens."""
    table = pq.read_table(home / "aces.parquet")
    columns = (table["subject_id"], table["index_timestamp"].cast(pa.timestamp("us")), table["label"])
    theirs = np.stack([np.asarray(column.cast(pa.int64())) for column in columns])
    theirs[2] = theirs[2] > 0
    ours = np.load(home / f"{task}.npy")
    ours, theirs = (each[:, np.lexsort(each)] for each in (ours, theirs))
    return np.array_equal(ours, theirs)


def _row(name: str, events: int, done: Done) -> list[str]:
    seconds = [f"{done.load:.1f}", f"{done.seconds:.2f}", f"{done.processor:.2f}"]
    return [name, f"{events:,}", *seconds, f"{done.peak / 1e9:.2f}", f"{done.count:,}"]


def _verdicts(events: int, found: dict[str, Done]) -> list[Verdict]:
    """Of each task against what it must reach."""
    whole, verdicts = events >= EVENTS * 0.99, []
    for task, done in found.items():
        seconds, memory = THEIRS.get(task, (0.0, 0.0))
        beside = f"ACES {seconds:.0f} s, {memory * 2**20 / 1e9:.0f} GB ({PUBLISHED})" if seconds else ""
        met = done.seconds <= SECONDS and done.peak <= GIGABYTES * 1e9
        verdicts.append(
            Verdict(
                what=f"{task}, {events / 1e6:.3g} M events",
                value=f"{done.seconds:.2f} s, {done.peak / 1e9:.2f} GB",
                reach=f"≤ {SECONDS:g} s and {GIGABYTES:g} GB" + ("" if whole else f" for {EVENTS / 1e6:g} M"),
                met=met if whole else None,
                beside=beside,
            )
        )
    return verdicts


def _equal(built: Done | None, both: dict[str, dict[str, Done]]) -> list[Verdict]:
    """Of each task whether ACES finds the same, and how long both take from the Parquet file on: ours with the columns
    built for this task alone, and once they are there."""
    verdicts = []
    for task, pair in both.items():
        value, beside, theirs = "they differ", "", pair.get("aces")
        if theirs is not None and built is not None:
            ours = pair["suwen"].seconds
            whole, ready = (f"{theirs.seconds / seconds:.3g}×" for seconds in (ours + built.seconds, ours))
            value = f"{theirs.count:,} equal, {whole} as fast with its columns built, {ready} once they are"
            beside = f"ACES {SMALL / theirs.seconds / 1e6:.2f} M events/s, {theirs.peak / 1e9:.2f} GB"
        what = f"the labels of ACES: {task}, {SMALL:,} events"
        verdicts.append(Verdict(what=what, value=value, reach="equal", met=theirs is not None, beside=beside))
    return verdicts


def main(name: str, settings: str) -> None:
    """Run one stage, and print what it found as the last line."""
    print(json.dumps(asdict({"build": build, "suwen": suwen}[name](Stage(**json.loads(settings))))))


if __name__ == "__main__":
    main(*sys.argv[1:])
