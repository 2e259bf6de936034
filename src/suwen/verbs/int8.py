"""Whether an 8-bit graph may answer for a Run: what it is calibrated on, and what it is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.errors import DataError, NotKept, RunError
from suwen.core.model import Model
from suwen.core.recipe import Recipe, make_recipe, read_recipe
from suwen.core.registry import READERS
from suwen.core.run import Run
from suwen.engines.onnx import OnnxEngine
from suwen.engines.timing import Latency, cores, measure_batches, thread_counts
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.summarise import summarise
from suwen.verbs.judge import outcome_of
from suwen.verbs.seen import refuse_test_images
from suwen.verbs.sources import build_dataset, split_seed

CALIBRATION, BATCH = 256, 16
"""Training images whose activations are looked at, and how many at a time."""

TOLERANCE = 0.005
"""What an 8-bit graph may lose of accuracy, of the headline metric, and of inputs that it answers at all: half a
percentage point."""

FASTER = 1.05
"""Less than this, in times, is noise of the clock."""

SECONDS = 2.0
"""About how long both graphs are timed at each batch size."""


@dataclass(frozen=True)
class Trial:
    """A Model, and images that it was not tested on.

    Attributes:
        model: of the Run, adapters merged.
        dataset: its training data or others, with the splits ``train`` and ``val``.
        source: where they are.
    """

    model: Model
    dataset: Dataset
    source: str

    @classmethod
    def of(cls, run: Run, model: Model, data: str | Path | None) -> Trial:
        """With these data, or those that the Run was trained on.

        Raises:
            DataError: they are not there, or lack training or validation images.
            LeakError: they hold images that the Run is tested on, outside their own test split.
        """
        recipe = _recipe(run, model, data)
        reader = READERS[model.task.reader]
        dataset = build_dataset(reader, reader.read(recipe.data.source), model.preprocess, recipe)
        for split, use in (("train", "calibrated"), ("val", "judged")):
            if not len(dataset.where(split)):
                raise DataError(
                    f"{recipe.data.source} has no images in the split {split!r}",
                    why=f"the 8-bit graph is {use} on them; test images are for tests",
                    fix="--data DATA with training and validation images",
                )
            refuse_test_images(run, dataset, dataset.where(split))
        return cls(model, dataset, recipe.data.source)

    def images(self) -> Iterator[np.ndarray]:
        """Batches of training images to calibrate on, drawn by lot."""
        train = self.dataset.where("train")
        chosen = np.random.default_rng(0).choice(train, min(len(train), CALIBRATION), replace=False)
        for start in range(0, len(chosen), BATCH):
            yield self.dataset.take(np.sort(chosen[start : start + BATCH]))

    def judge(self, exact: Path, made: Path) -> dict[str, Any]:
        """Both graphs on validation, and how fast they are: for the record of the 8-bit one.

        Raises:
            NotKept: it is not faster, or loses too much.
            DataError: a figure is not defined on these validation images.
        """
        figures = {"fp32": self._figures(exact), "int8": self._figures(made)}
        found: dict[str, Any] = {
            "split": "val",
            "n": len(self.dataset.where("val")),
            "data": self.source,
            "calibrated_on": min(len(self.dataset.where("train")), CALIBRATION),
            "figures": {name: {kind: row[name] for kind, row in figures.items()} for name in figures["fp32"]},
            "seconds": self._seconds(exact, made),
        }
        if faults := [*_too_slow(found["seconds"]), *_lost(found["figures"])]:
            raise NotKept(
                f"the 8-bit graph is not kept: {'; '.join(faults)}   (measured: {in_words(found)})",
                why=f"it must be at least {FASTER - 1:.0%} faster than float32, and within {100 * TOLERANCE:g} points "
                "of it on validation; what was there before stays",
                fix="the other of --int8 static and --int8 dynamic; or an exact one: suwen export RUN --to onnx",
            )
        return found

    def _figures(self, graph: Path) -> dict[str, float]:
        """Metrics on validation, and the share of images that get an answer."""
        model, rows = replace(self.model, engine=OnnxEngine(graph, cores())), self.dataset.where("val")
        logits, features = model.infer(self.dataset, rows)
        threshold, names = model.calibration.threshold, ["accuracy", model.task.metric]
        if threshold is not None and "accuracy_at_threshold" in model.head.metrics:
            names.append("accuracy_at_threshold")
        summary = summarise(
            outcome_of(model, self.dataset, rows, logits), names=names, threshold=threshold, resamples=0
        )
        found = {name: figure["value"] for name, figure in summary["metrics"].items()}
        if undefined := [name for name, value in found.items() if value is None]:
            raise DataError(
                f"{', '.join(undefined)} is not defined on {len(rows)} validation images of {self.source}",
                why="without it nobody can say what 8 bits cost",
                fix="--data DATA whose validation images show every label",
            )
        if model.domain is not None:
            found["answered"] = float((model.domain.distance(features) <= model.domain.limit[0]).mean())
        return found

    def _seconds(self, exact: Path, made: Path) -> dict[str, dict[str, float]]:
        """Batch size → median seconds of both, each with its best number of threads."""
        graphs = {"fp32": exact, "int8": made}
        engines = {(kind, n): OnnxEngine(graph, n) for kind, graph in graphs.items() for n in thread_counts()}
        timing = measure_batches(engines, self.model, seconds=SECONDS)
        return {str(size): {kind: _fastest(kind, row) for kind in graphs} for size, row in timing.items()}


def in_words(found: dict[str, Any]) -> str:
    """What `Trial.judge` measured, in one line."""
    times = [
        f"{size} at once {1000 * row['int8']:.1f} ms (float32 {1000 * row['fp32']:.1f})"
        for size, row in found["seconds"].items()
    ]
    figures = [f"{name} {row['int8']:.4f} ({row['fp32']:.4f})" for name, row in found["figures"].items()]
    return f"{', '.join(times)}; {', '.join(figures)} on {found['n']} validation images"


def _recipe(run: Run, model: Model, data: str | Path | None) -> Recipe:
    """That of the Run, its source being `data` if these are given."""
    if not run.recipe.is_file():
        raise RunError(
            f"{run.recipe} is missing", why="it says how the data were split", fix="copy the whole Run folder"
        )
    own = make_recipe(read_recipe(run.recipe))
    source = own.data.source if data is None else str(data)
    if not Path(source).exists():
        raise DataError(
            f"the images to calibrate and judge int8 on are not at {source!r}",
            why="its scales come from training images, and what it costs is measured on validation images",
            fix=f"suwen export {run.path} --int8 … --data DATA",
        )
    changed = {"source": source, "labels": tuple(model.head.labels), "seed": split_seed(own)}
    if data is not None:
        changed["more"] = ()
    return own.model_copy(update={"data": own.data.model_copy(update=changed)})


def _fastest(kind: str, row: dict[tuple[str, int], Latency]) -> float:
    return min(latency.median for (each, _), latency in row.items() if each == kind)


def _too_slow(seconds: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"{size} at once are not faster ({1000 * row['int8']:.2f} ms, float32 {1000 * row['fp32']:.2f} ms)"
        for size, row in seconds.items()
        if row["int8"] * FASTER > row["fp32"]
    ]


def _lost(figures: dict[str, dict[str, float]]) -> list[str]:
    """Figures that got worse by more than the tolerance; ``answered`` counts as one of which more is better."""
    found = []
    for name, row in figures.items():
        sign = 1 if name not in METRICS or METRICS[name].higher_is_better else -1
        if (lost := sign * (row["fp32"] - row["int8"])) > TOLERANCE + 1e-9:
            found.append(f"{name} is worse by {100 * lost:.2f} points ({row['fp32']:.4f} to {row['int8']:.4f})")
    return found
