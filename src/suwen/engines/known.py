"""`Known`: how fast the engines of a Run were, as it is written beside its exports."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from suwen.core.errors import SuwenError
from suwen.core.files import write_json
from suwen.core.run import Run
from suwen.engines.exports import TIMING, read_json
from suwen.engines.timing import Latency

Pair = tuple[str, int]
"""An engine by name, and its threads."""

Timing = dict[int, dict[Pair, Latency]]
"""Batch size → engine and threads → latency."""


@dataclass(frozen=True)
class Known:
    """What was measured.

    Attributes:
        stamp: what it was measured on; empty where nothing was.
        timing: how fast.
        refused: engine → why it could not run.
    """

    stamp: Mapping[str, Any] = field(default_factory=dict)
    timing: Timing = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def read_known(run: Run) -> Known:
    """As `write_known` wrote it. Nothing where there is none, or where it is damaged, which is said."""
    path = run.engines / TIMING
    if not path.is_file():
        return Known()
    try:
        content = read_json(path, fix="nothing: the engines are timed again")
        timing = {
            int(size): {_pair(key): Latency(**found) for key, found in row.items()}
            for size, row in content["seconds"].items()
        }
        if not timing:
            raise ValueError("it holds no time")
        return Known(dict(content["stamp"]), timing, dict(content["refused"]))
    except (SuwenError, KeyError, TypeError, ValueError, AttributeError) as error:
        warnings.warn(f"{path} is damaged, and the engines are timed again: {error!r}", stacklevel=5)
        return Known()


def write_known(run: Run, known: Known) -> None:
    """Write it where `read_known` looks; on a disk that cannot be written to it is said that this takes time."""
    seconds = {
        str(size): {f"{name} {threads}": found.to_json() for (name, threads), found in row.items()}
        for size, row in known.timing.items()
    }
    path = run.engines / TIMING
    try:
        write_json(path, {"stamp": known.stamp, "seconds": seconds, "refused": known.refused})
    except OSError as error:
        warnings.warn(f"{path} cannot be written ({error}): the engines are timed again at each start", stacklevel=4)


def best_threads(timing: Timing, name: str, batch: int) -> tuple[int, Latency]:
    """With how many threads an engine was fastest at the batch size next to this one, and how fast."""
    row = {threads: latency for (engine, threads), latency in nearest(timing, batch).items() if engine == name}
    threads = min(row, key=lambda each: row[each].median)
    return threads, row[threads]


def nearest(timing: Timing, batch: int) -> dict[Pair, Latency]:
    """What was measured at the batch size next to this one."""
    return timing[min(timing, key=lambda size: abs(size - batch))]


def _pair(key: str) -> Pair:
    name, threads = key.rsplit(" ", 1)
    return name, int(threads)
