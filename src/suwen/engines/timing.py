"""How fast engines are here, measured side by side."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from suwen.core.engine import Engine
from suwen.core.model import Model
from suwen.engines.network import probes

Key = TypeVar("Key", bound=Hashable)

BATCHES = (1, 64)
"""Inputs a call: one film at a time, and a folder."""

ROUNDS, LEAST = 60, 3
"""Most and least rounds that are timed."""


@dataclass(frozen=True)
class Latency:
    """Seconds a call: the median, and what 95 of 100 calls do not exceed."""

    median: float
    p95: float

    def to_json(self) -> dict[str, float]:
        """Both."""
        return asdict(self)


def measure(calls: Mapping[Key, Callable[[], object]], *, seconds: float) -> dict[Key, Latency]:
    """The latency of each call.

    After one round that is not counted they take turns, so that whatever else the machine does falls on all of them;
    it goes on for about `seconds` in all, for at least three rounds.
    """
    taken: dict[Key, list[float]] = {key: [] for key in calls}
    for call in calls.values():
        call()
    began = time.perf_counter()
    for number in range(ROUNDS):
        if number >= LEAST and time.perf_counter() - began > seconds:
            break
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            taken[key].append(time.perf_counter() - start)
    return {key: Latency(float(np.median(values)), float(np.quantile(values, 0.95))) for key, values in taken.items()}


def measure_batches(engines: Mapping[Key, Engine], model: Model, *, seconds: float) -> dict[int, dict[Key, Latency]]:
    """Batch size → the latency of each engine on the same made-up inputs of `model`."""
    found = {}
    for size in BATCHES:
        inputs = probes(model, size)
        found[size] = measure({key: partial(engine, inputs) for key, engine in engines.items()}, seconds=seconds)
    return found


def thread_counts() -> list[int]:
    """What is tried: one thread, and all cores."""
    return sorted({1, cores()})


def cores() -> int:
    """How many threads torch uses: the cores there are, or ``OMP_NUM_THREADS``."""
    return torch.get_num_threads()


def machine() -> dict[str, Any]:
    """What a timing depends on besides the network: it is measured again where any of this differs."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": cores(),
        **{package: _version(package) for package in ("torch", "onnxruntime", "openvino")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return found.get("model name", platform.processor() or platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
