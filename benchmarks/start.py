"""``python -m benchmarks start``: how soon the command answers."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.processes import SUWEN, run_process
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict

LIMIT = 0.5
"""Seconds to the end of the process."""

COMMANDS = {
    "suwen --help": (SUWEN, "--help"),
    "suwen tasks": (SUWEN, "tasks"),
    'python -c "pass"': (sys.executable, "-c", "pass"),
    'python -c "import torch"': (sys.executable, "-c", "import torch"),
}
"""Name → what is run; the last two are there for scale."""

JUDGED = ("suwen --help", "suwen tasks")


def start(
    times: Annotated[int, typer.Option(help="Runs of each command, after one that is not counted.", min=1)] = 9,
    quick: Annotated[bool, typer.Option("--quick", help="Two runs; shows that it works.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of start.json.")] = RESULTS,
) -> None:
    """Wall time of whole processes, the commands taken in turn; the first run of each warms the disk cache."""
    watch, times = Stopwatch(), 2 if quick else times
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(times + 1):
        for name, command in COMMANDS.items():
            wall = run_process(command).wall
            if turn:
                found[name].append(wall)
    middle = {name: statistics.median(walls) for name, walls in found.items()}
    beside = ", ".join(f"{name} {middle[name]:.2f} s" for name in COMMANDS if name not in JUDGED)
    verdicts = [
        Verdict(what=name, value=f"{middle[name]:.2f} s", reach=f"< {LIMIT} s", met=middle[name] < LIMIT, beside=beside)
        for name in JUDGED
    ]
    rows = [
        [name, *(f"{value:.3f}" for value in (min(walls), middle[name], max(walls)))] for name, walls in found.items()
    ]
    result = Result(
        name="start",
        settings={"times": times},
        columns=["command", "min (s)", "median (s)", "max (s)"],
        rows=rows,
        verdicts=verdicts,
        figures={"seconds": found},
        quick=quick,
    )
    watch.finish(result, results)
