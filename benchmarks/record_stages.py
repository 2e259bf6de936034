"""What `benchmarks.record_features` times, each in a process of its own.

The rivals get the best of cases: events in memory, subjects and codes as integers, times as microseconds; what it takes
to load them is told apart. They use that the last value of a window is the last of all if it lies in the window.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suwen.data.records.columns import build_columns
from suwen.data.records.kernels import DAY, Slots, aggregate

WINDOWS = (DAY, 7 * DAY, 30 * DAY, 365 * DAY)
AGGREGATES = ("count", "mean", "min", "max", "last")
CODES = 1600
SAMPLE = 100
"""Labels whose answers are compared."""

PARTS = 1000
"""Subjects are parted by the remainder of their number: a share of a run is so many of a thousand."""


@dataclass(frozen=True)
class Stage:
    """What one process is to do.

    Attributes:
        folder: of the store and the labels.
        threads: how many.
        share: of the subjects.
    """

    folder: str
    threads: int
    share: float

    @property
    def store(self) -> Path:
        """The MEDS folder."""
        return Path(self.folder) / "store"

    @property
    def labels(self) -> Path:
        """The labels."""
        return Path(self.folder) / "labels.parquet"

    @property
    def remainders(self) -> int:
        """Subjects whose number leaves less than this, of `PARTS`, are looked at."""
        return round(self.share * PARTS)


@dataclass(frozen=True)
class Done:
    """Seconds of loading, of the work, and of all processors in it; bytes at the peak; how many things came of it."""

    load: float
    seconds: float
    processor: float
    peak: int
    count: int


def labels_of(stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    """int64 subjects and times of the labels of the share."""
    import pyarrow.parquet as pq

    table = pq.read_table(stage.labels)
    subjects, times = table["subject_id"].to_numpy(), np.asarray(table["prediction_time"].cast("int64"))
    kept = subjects % PARTS < stage.remainders
    return subjects[kept], times[kept]


def build(stage: Stage) -> Done:
    """Parquet → columns."""
    began = now()
    columns = build_columns(stage.store)
    return done(began, began, len(columns))


def suwen(stage: Stage) -> Done:
    """The kernels over the mapped columns."""
    start = now()
    columns = build_columns(stage.store)
    subjects, times = labels_of(stage)
    slots = Slots.of(np.array([int(code.split("//")[1]) for code in columns.vocabulary], np.int32), CODES)
    places = columns.places(subjects)
    aggregate(columns, places[:10], times[:10], slots, WINDOWS, AGGREGATES)  # compiles, or loads what was
    began = now()
    found = aggregate(columns, places, times, slots, WINDOWS, AGGREGATES, threads=stage.threads)
    ended = done(start, began, found.nnz)
    some = found[:SAMPLE].tocoo()
    rows, codes = some.coords[0].astype(np.int64), some.coords[1] // (len(WINDOWS) * len(AGGREGATES))
    sample = _blank(len(subjects))
    sample[rows, codes, some.coords[1] % (len(WINDOWS) * len(AGGREGATES))] = some.data
    np.save(Path(stage.folder) / "suwen.npy", sample)
    return ended


def duckdb(stage: Stage) -> Done:
    """SQL over a table of its own."""
    import duckdb as engine
    import pandas as pd

    start = now()
    base = engine.connect(config={"threads": stage.threads, "temp_directory": str(Path(stage.folder) / "duckdb")})
    base.execute(
        f"""create table events as select subject_id, epoch_us(time) as time, split_part(code, '//', 2)::int as code,
        numeric_value as value from read_parquet('{stage.store}/data/*.parquet')
        where subject_id % {PARTS} < {stage.remainders}"""
    )
    subjects, times = labels_of(stage)
    labels = pd.DataFrame({"row": np.arange(len(subjects)), "subject_id": subjects, "t": times})
    base.execute("create table labels as select * from labels")
    began = now()
    picked = ", ".join(
        f"count(*) filter (t - time < {window}), avg(value) filter (t - time < {window}), "
        f"min(value) filter (t - time < {window}), max(value) filter (t - time < {window}), "
        f"case when min(t - time) filter (value is not null) < {window} "
        f"then arg_max(value, time) filter (value is not null) end"
        for window in WINDOWS
    )
    found = base.execute(
        f"""select row, code, {picked} from labels join events using (subject_id)
        where time <= t and t - time < {WINDOWS[-1]} group by row, code"""
    ).to_arrow_table()
    ended = done(start, began, len(found))
    del labels
    columns = [np.asarray(column.to_numpy(), np.float64) for column in found.columns]
    _save(stage, "duckdb", columns, len(subjects))
    return ended


def polars(stage: Stage) -> Done:
    """Lazy frames, by the streaming engine."""
    import polars as pl

    start = now()
    events = (
        pl.scan_parquet(f"{stage.store}/data/*.parquet")
        .filter(pl.col("subject_id") % PARTS < stage.remainders)
        .select(
            "subject_id",
            pl.col("time").cast(pl.Int64),
            pl.col("code").cast(pl.String).str.split("//").list.get(1).cast(pl.Int32).alias("code"),
            pl.col("numeric_value").alias("value"),
        )
        .collect(engine="streaming")
    )
    subjects, times = labels_of(stage)
    labels = pl.DataFrame({"row": np.arange(len(subjects)), "subject_id": subjects, "t": times})
    began = now()
    value, there = pl.col("value"), pl.col("value").is_not_null()
    picked: list[pl.Expr] = []
    for window in WINDOWS:
        inside = pl.col("age") < window
        within = value.filter(inside)
        picked += [inside.sum().alias(f"count {window}"), within.mean().alias(f"mean {window}")]
        picked += [within.min().alias(f"min {window}"), within.max().alias(f"max {window}")]
        last = value.filter(there).get(pl.col("age").filter(there).arg_min(), null_on_oob=True)
        recent = pl.col("age").filter(there).min() < window
        picked.append(pl.when(recent).then(last).alias(f"last {window}"))
    found = (
        labels.lazy()
        .join(events.lazy(), on="subject_id")
        .with_columns((pl.col("t") - pl.col("time")).alias("age"))
        .filter((pl.col("age") >= 0) & (pl.col("age") < WINDOWS[-1]))
        .group_by("row", "code")
        .agg(picked)
        .collect(engine="streaming")
    )
    ended = done(start, began, len(found))
    _save(stage, "polars", [column.cast(pl.Float64).to_numpy() for column in found.get_columns()], len(subjects))
    return ended


def _blank(labels: int) -> np.ndarray:
    blank = np.full((min(SAMPLE, labels), CODES, len(WINDOWS), len(AGGREGATES)), np.nan, np.float32)
    blank[..., 0] = 0
    return blank.reshape(len(blank), CODES, -1)


def _save(stage: Stage, name: str, columns: list[np.ndarray], labels: int) -> None:
    """The answers of the sample: columns are the label, the code, and the aggregates of each window."""
    sample = _blank(labels)
    kept = columns[0] < len(sample)
    rows, codes = columns[0][kept].astype(np.int64), columns[1][kept].astype(np.int64)
    sample[rows, codes] = np.stack([column[kept] for column in columns[2:]], axis=1)
    np.save(Path(stage.folder) / f"{name}.npy", sample)


def now() -> tuple[float, float]:
    """On the wall, and of the processors."""
    return time.perf_counter(), time.process_time()


def done(start: tuple[float, float], began: tuple[float, float], count: int) -> Done:
    """Loading lies between `start` and `began`, the work between that and now."""
    wall, processor = now()
    return Done(began[0] - start[0], wall - began[0], processor - began[1], _peak(), count)


def _peak() -> int:
    """Most resident bytes so far (``VmHWM``, proc_pid_status(5)); getrusage would count the process that began this."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


STAGES: dict[str, Callable[[Stage], Done]] = {"build": build, "suwen": suwen, "duckdb": duckdb, "polars": polars}


def main(name: str, settings: str) -> None:
    """Run one, and print what it found as the last line."""
    asked: dict[str, Any] = json.loads(settings)
    print(json.dumps(asdict(STAGES[name](Stage(**asked)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
