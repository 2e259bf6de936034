"""``variants``: one table of all that can answer in place of a Run, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.dataset import Dataset
from suwen.core.engine import Engine
from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.core.registry import READERS
from suwen.core.run import Run
from suwen.engines.choose import in_memory, open_engines, sound_exports
from suwen.engines.exports import Exports
from suwen.engines.footprint import footprint
from suwen.engines.network import probes
from suwen.engines.table import ENGINES
from suwen.engines.timing import BATCHES, Latency, measure
from suwen.evaluation.summarise import summarise
from suwen.verbs.judge import outcome_of, rows_to_judge
from suwen.verbs.seen import seen_before
from suwen.verbs.teacher import count_parameters

SECONDS = 4.0
"""About how long all variants are timed at each batch size."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One Run with one engine.

    Attributes:
        run: its folder.
        engine: what runs the network.
        parameters: of encoder and head.
        n: samples judged.
        figures: metric → value on them; None where not defined.
        size: bytes of the weights or of the exported files.
        latency: batch size → median seconds, with the number of threads that was best.
        threads: batch size → that number.
        memory: peak resident bytes of a process that loads it and answers 64 inputs, libraries included; None where
            that cannot be measured.
    """

    run: Path
    engine: str
    parameters: int
    n: int
    figures: dict[str, float | None]
    size: int
    latency: dict[int, float]
    threads: dict[int, int]
    memory: int | None

    @property
    def throughput(self) -> float:
        """Inputs a second, in the largest batches."""
        largest = max(self.latency)
        return largest / self.latency[largest]

    def to_json(self) -> dict[str, Any]:
        """All of it; megabytes are 10⁶ bytes."""
        return {
            "run": str(self.run),
            "engine": self.engine,
            "n": self.n,
            **self.figures,
            "parameters": self.parameters,
            "size_mb": round(self.size / 1e6, 3),
            **{f"latency_{size}_ms": round(1000 * value, 4) for size, value in self.latency.items()},
            **{f"threads_{size}": value for size, value in self.threads.items()},
            "throughput": round(self.throughput, 1),
            "memory_mb": None if self.memory is None else round(self.memory / 1e6, 1),
        }


def variants(
    run: str | Path,
    data: str | Path,
    *,
    beside: Sequence[str | Path] = (),
    split: str | None = None,
    skip_bad: bool = False,
    allow_leak: bool = False,
) -> list[Variant]:
    """Compare all that can answer in place of a Run: torch, each export, further Runs with theirs.

    All are judged on the same data and timed in turns on this machine; memory is measured one process at a time.

    Args:
        run: folder of a Run.
        data: labelled data, as for ``evaluate``.
        beside: further Runs that answer the same question, such as a distilled student.
        split: which part of the data; the test part if the data have one, else all of it.
        skip_bad: leave out unreadable files.
        allow_leak: go on although one of the Runs was trained on some of these images.

    Returns:
        One row a variant: those of `run` first.

    Raises:
        RecipeError: the Runs answer different questions.
        LeakError: some of these images were used in training or validation of one of the Runs.
        DataError: the data are unreadable, unlabelled, or have labels that the Runs do not know.
    """
    entrants = [_Entrant.of(Run(each), data, split, skip_bad, allow_leak) for each in (run, *beside)]
    _same_question(entrants)
    timing = _time(entrants)
    return [entrant.variant(name, timing) for entrant in entrants for name in entrant.names]


@dataclass(frozen=True)
class _Entrant:
    """A Run, the data as it sees them, and its engines by name and number of threads."""

    run: Run
    model: Model
    dataset: Dataset
    rows: np.ndarray
    engines: dict[tuple[str, int], Engine]

    @classmethod
    def of(cls, run: Run, data: str | Path, split: str | None, skip_bad: bool, allow_leak: bool) -> _Entrant:
        model = run.load()
        reader = READERS[model.task.reader]
        labels, preprocess = model.head.labels, model.preprocess
        dataset = reader.build(reader.read(data), preprocess, seed=0, labels=labels, fractions=None, skip_bad=skip_bad)
        rows = rows_to_judge(dataset, split)
        seen_before([run], dataset, rows, allow_leak=allow_leak)
        engines, _ = open_engines(model, run, [*in_memory(), *sound_exports(run)])
        return cls(run, model, dataset, rows, engines)

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.engines))

    def variant(self, name: str, timing: dict[int, dict[tuple[Path, str, int], Latency]]) -> Variant:
        """The row of one engine."""
        best = {
            size: min((row[key].median, key[2]) for key in row if key[:2] == (self.run.path, name))
            for size, row in timing.items()
        }
        threads = {size: number for size, (_, number) in best.items()}
        weights = [tensor for part in self.model.parts().values() for tensor in part.state_dict().values()]
        return Variant(
            run=self.run.path,
            engine=name,
            parameters=count_parameters(self.model),
            n=len(self.rows),
            figures=self._figures(self.engines[name, threads[max(BATCHES)]]),
            size=sum(each.nbytes for each in weights)
            if ENGINES[name].make is not None
            else Exports(self.run).size(name),
            latency={size: seconds for size, (seconds, _) in best.items()},
            threads=threads,
            memory=footprint(self.run, name, threads[max(BATCHES)], batch=max(BATCHES)),
        )

    def _figures(self, engine: Engine) -> dict[str, float | None]:
        logits, _ = replace(self.model, engine=engine).infer(self.dataset, self.rows)
        names = dict.fromkeys(("accuracy", self.model.task.metric))
        outcome = outcome_of(self.model, self.dataset, self.rows, logits)
        found = summarise(outcome, names=list(names), threshold=self.model.calibration.threshold, resamples=0)
        return {name: figure["value"] for name, figure in found["metrics"].items()}


def _time(entrants: Sequence[_Entrant]) -> dict[int, dict[tuple[Path, str, int], Latency]]:
    """Batch size → latency of each engine of each Run; all of them take turns."""
    found = {}
    for size in BATCHES:
        calls = {
            (entrant.run.path, name, threads): partial(engine, probes(entrant.model, size))
            for entrant in entrants
            for (name, threads), engine in entrant.engines.items()
        }
        found[size] = measure(calls, seconds=SECONDS)
    return found


def _same_question(entrants: Sequence[_Entrant]) -> None:
    first, *others = entrants
    asked = (first.model.task.name, tuple(first.model.head.labels))
    for other in others:
        theirs = (other.model.task.name, tuple(other.model.head.labels))
        if theirs != asked:
            raise RecipeError(
                f"{other.run.path} answers {theirs[0]} with {', '.join(theirs[1])}; {first.run.path} answers "
                f"{asked[0]} with {', '.join(asked[1])}",
                why="variants of one model answer the same question",
                fix="--beside a Run of the same task and labels",
            )
