"""Whole processes, timed from the outside."""

from __future__ import annotations

import os
import resource
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import ROOT
from suwen.core.errors import SuwenError

SUWEN = str(Path(sysconfig.get_path("scripts")) / "suwen")
"""The command as a user types it, of the environment that runs the benchmark."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well: wall time and processor time in seconds, and what it printed."""

    wall: float
    processor: float
    output: str


def run_process(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, watch: Callable[[int], None] | None = None
) -> Finished:
    """Run a command to its end, imports and all.

    Args:
        command: program and arguments.
        environment: variables that differ from this process's.
        watch: called with the process id as soon as it runs; returns when it has seen enough.

    Raises:
        SuwenError: the command failed; the message ends with what it said last.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        before, began = _processor_seconds(), time.perf_counter()
        process = subprocess.Popen(
            list(command), cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=output, stderr=subprocess.STDOUT
        )
        if watch is not None:
            watch(process.pid)
        code = process.wait()
        wall, processor = time.perf_counter() - began, _processor_seconds() - before
        output.seek(0)
        text = output.read()
    if code != 0:
        raise SuwenError(
            f"{' '.join(command)} ended with exit code {code}:\n{text[-2000:]}",
            why="a benchmark of a command that fails measures nothing",
            fix="run that command by itself",
        )
    return Finished(wall, processor, text)


def _processor_seconds() -> float:
    """User and system time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
