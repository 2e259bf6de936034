"""``variants``: a Run's engines side by side: how good, how large, how fast, how hungry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.dataset import Dataset
from suwen.core.errors import DataError, SuwenError
from suwen.core.model import Model
from suwen.core.registry import READERS
from suwen.core.run import Run
from suwen.engines.choose import best_threads, make_engine, time_engines
from suwen.engines.eager import plain
from suwen.engines.exports import Exports
from suwen.engines.memory import peak_memory
from suwen.engines.network import probes
from suwen.engines.parity import BATCHES, differences
from suwen.engines.table import ENGINES, check_installed
from suwen.engines.timing import cores
from suwen.evaluation.metrics import METRICS
from suwen.verbs.judge import judge

JUDGED_BY = ("accuracy", "auroc")


@dataclass(frozen=True)
class Judged:
    """Labelled rows that figures are measured on, and others that ranges are seen on.

    Attributes:
        dataset: decoded as the Model wants it.
        rows: to judge on.
        others: to calibrate on; the same ones where the data have no further split.
        split: in words, which rows these are.
    """

    dataset: Dataset
    rows: np.ndarray
    others: np.ndarray
    split: str

    def inputs(self, most: int, *, calibration: bool = False) -> Tensor | Any:
        """At most so many inputs, evenly spaced: a tensor, or the array that calibration wants."""
        rows = self.others if calibration else self.rows
        some = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]
        taken = self.dataset.take(some)
        return taken if calibration else torch.from_numpy(taken)


def labelled(model: Model, data: str | Path) -> Judged:
    """Data read as the Model's own: judged on validation and calibrated on train where there are such splits.

    The test split is left alone: what is chosen on it can no longer be judged by it.

    Raises:
        DataError: no labelled image.
    """
    reader = READERS[model.task.reader]
    dataset = reader.build(reader.read(data), model.preprocess, seed=0, labels=tuple(model.head.labels), fractions=None)
    targets = np.asarray(dataset.targets)
    known = np.flatnonzero(targets >= 0) if targets.ndim == 1 else np.arange(len(dataset))
    if not len(known):
        raise DataError(f"{data} has no labels", why="there is nothing to judge by", fix="data as for suwen evaluate")
    rows = np.intersect1d(known, dataset.where("val"))
    others = np.intersect1d(known, dataset.where("train"))
    if len(rows):
        return Judged(dataset, rows, others if len(others) else rows, "the split val")
    return Judged(dataset, known, known, "all that are labelled")


def judged_on(model: Model, data: Judged) -> dict[str, float]:
    """Accuracy and AUROC of a Model, with whatever engine it has; NaN where not defined."""
    outcome = judge(model, data.dataset, data.rows)
    return {name: float(METRICS[name].function(outcome)) for name in JUDGED_BY if name in model.head.metrics}


def variants(
    run: str | Path,
    data: str | Path | None = None,
    *,
    engine: tuple[str, ...] | list[str] = (),
    memory: bool = True,
) -> list[dict[str, Any]]:
    """Every way this Run can be run here: its exports, and torch's own engines.

    Args:
        run: folder of a Run.
        data: labelled data to measure accuracy and AUROC on: validation where there is such a split, else all.
        engine: rows to show; all that are there unless given, but ``compiled``, which takes long to start.
        memory: measure the peak of a fresh process that loads and answers 64 inputs.

    Returns:
        One row an engine: ``{"engine", "threads", "accuracy", "auroc", "difference", "megabytes", "batch_1",
        "batch_64", "peak_memory"}``; latencies are ``{"median", "p95"}`` in seconds a call, `difference` is the largest
        from torch's logits, and what was not measured is None.

    Raises:
        RunError: an export that was named is missing, damaged or stale.
    """
    folder = Run(run)
    model, exports = folder.load(), Exports(folder)
    names = list(engine) or _usable(exports)
    timing = time_engines(model, folder, names)
    judged = labelled(model, data) if data is not None else None
    return [_row(name, model, folder, timing, judged, memory) for name in names]


def _row(name: str, model: Model, run: Run, timing: Any, judged: Judged | None, memory: bool) -> dict[str, Any]:
    threads, one = best_threads(timing, name, 1)
    many_threads, many = best_threads(timing, name, 64)
    made = make_engine(model, run, name, many_threads)
    figures = judged_on(replace(model, engine=made), judged) if judged is not None else {}
    batches = [probes(model, size, seed=size) for size in BATCHES]
    size = run.weights.stat().st_size if ENGINES[name].make is not None else Exports(run).size(name)
    peak = peak_memory(run.path, name, many_threads, 64) if memory else None
    return {
        "engine": name,
        "threads": {"1": threads, "64": many_threads},
        **{metric: _number(figures.get(metric)) for metric in JUDGED_BY},
        "difference": differences(made, plain(model, cores()), batches)["logits"],
        "megabytes": round(size / 1e6, 3),
        "batch_1": one.to_json(),
        "batch_64": many.to_json(),
        "peak_memory": None if peak is None else round(peak / 1e6, 1),
    }


def _usable(exports: Exports) -> list[str]:
    found = ["torch", "frozen"]
    for name in exports.names():
        try:
            exports.record(name)
            check_installed(name)
        except SuwenError:
            continue
        found.append(name)
    return found


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(value, 6)
