"""``python -m benchmarks memory``: what stays in memory while fine-tuning on many images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.images import generate_folders, generate_npz
from benchmarks.processes import SUWEN, run_process
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.core.errors import RecipeError

SIDE = 64
"""Pixels; one grey image is 4,096 bytes in the cache."""

SLACK = 1024
"""Bytes an image for what is not pixels: names, labels, digests. Our own choice: a quarter of the pixels."""

EVERY = 0.02
"""Seconds between two looks at the process."""

MIB = 2**20

SOURCES: dict[str, Callable[[Path, int, int], Path]] = {"folders": generate_folders, "npz": generate_npz}
"""How the images lie on disk → what generates them at (path, count, side)."""

PHASES = {"report": "metrics.json", "judge": "model.json", "train": "log.jsonl", "read": ""}
"""Phase, last first → the file of the Run with which it begins: reading and decoding the data, training, judging
validation, test and baselines, writing the report."""


@dataclass
class Peaks:
    """Most memory seen, in bytes: ``anonymous`` (the process's own), ``mapped`` (pages of files, given back at need).

    Each phase of `PHASES` by itself.
    """

    anonymous: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))
    mapped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PHASES, 0))

    def see(self, phase: str, status: dict[str, int]) -> None:
        """Note one look at the process."""
        self.anonymous[phase] = max(self.anonymous[phase], status.get("RssAnon", 0))
        self.mapped[phase] = max(self.mapped[phase], status.get("RssFile", 0))


def memory(
    images: Annotated[int, typer.Option(help="The large data set.")] = 100_000,
    small: Annotated[int, typer.Option(help="The small one.")] = 10_000,
    source: Annotated[list[str] | None, typer.Option(help="folders or npz; repeatable. [default: both]")] = None,
    encoder: Annotated[
        str, typer.Option(help="A small one: its memory does not depend on the data.")
    ] = "timm:test_resnet",
    quick: Annotated[bool, typer.Option("--quick", help="200 and 400 images of the first source.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of memory.json.")] = RESULTS,
) -> None:
    """Fine-tune for one epoch on a small and on a large set, each twice: decoding, and from the cache."""
    sources = list(source or SOURCES)
    if quick:
        images, small, sources = 400, 200, sources[:1]
    if not Path("/proc/self/status").is_file():
        raise RecipeError("no /proc", why="the kinds of resident memory are read from Linux", fix="run it on Linux")
    watch, found = Stopwatch(), []
    with tempfile.TemporaryDirectory() as folder:
        for name in sources:
            for count in (small, images):
                found += _twice(Path(folder) / f"{name}-{count}", name, count, encoder)
    result = Result(
        name="memory",
        settings={"images": images, "small": small, "side": SIDE, "encoder": encoder},
        columns=["images as", "images", "cache", *(f"own, {name}" for name in reversed(PHASES)), "mapped", "wall (s)"],
        rows=[_row(run) for run in found],
        verdicts=[_verdict(found, name, cache) for name in sources for cache in ("new", "warm")],
        figures={"runs": found},
        notes=[
            f"peaks of resident memory in MiB, looked at every {EVERY * 1000:.0f} ms from outside; the pixels of "
            f"{images} images are {images * SIDE**2 / MIB:.0f} MiB",
            "'own' is anonymous memory, by phase; 'mapped' are pages of files (libraries, the pixel cache), which the "
            "system takes back when it needs room",
            f"reach: the peak of no phase grows by more than {SLACK} bytes an image (names, labels, digests); "
            f"an image itself is {SIDE**2} bytes",
            "an .npz is unpacked a few rows at a time; what it holds is remembered, so that it is read whole only once",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def _twice(folder: Path, source: str, count: int, encoder: str) -> list[dict[str, Any]]:
    """One set of images, fine-tuned on with a new cache, then with the same one."""
    typer.echo(f"generating {count} images as {source}")
    data = SOURCES[source](folder / ("films.npz" if source == "npz" else "films"), count, SIDE)
    found = [
        {"source": source, "images": count, "cache": cache, **_finetune(data, folder, cache, encoder)}
        for cache in ("new", "warm")
    ]
    for run in found:
        typer.echo("  ".join(_row(run)))
    return found


def _finetune(data: Path, folder: Path, name: str, encoder: str) -> dict[str, Any]:
    """Peaks and time of one ``suwen finetune``, a process of its own."""
    run, peaks = folder / name, Peaks()
    command = [SUWEN, "finetune", "image-classification", str(data), "--out", str(run), "--encoder", encoder]
    options = ["--epochs", "1", "--batch-size", "256", "--set", "evaluation.resamples=100"]
    done = run_process(
        [*command, *options],
        environment={"XDG_CACHE_HOME": str(folder / "cache")},
        watch=lambda process: watch_memory(process, peaks, run),
    )
    return {"anonymous": peaks.anonymous, "mapped": peaks.mapped, "wall": done.wall}


def watch_memory(process: int, peaks: Peaks, run: Path) -> None:
    """Look at the memory of a process until it has ended."""
    while status := read_status(process):
        peaks.see(phase_of(run), status)
        time.sleep(EVERY)


def phase_of(run: Path) -> str:
    """Where a fine-tuning stands, by the files it has written."""
    return next(phase for phase, file in PHASES.items() if (run / file).exists() or not file)


def read_status(process: int) -> dict[str, int]:
    """``RssAnon`` and ``RssFile`` in bytes; nothing of a process that has ended.

    Source: proc_pid_status(5).
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.split() for line in lines)
    return {words[0][:-1]: int(words[1]) * 1024 for words in pairs if words[0] in ("RssAnon:", "RssFile:")}


def _row(run: dict[str, Any]) -> list[str]:
    sizes = (*(run["anonymous"][phase] for phase in reversed(PHASES)), max(run["mapped"].values()))
    return [
        run["source"],
        str(run["images"]),
        run["cache"],
        *(f"{size / MIB:.0f}" for size in sizes),
        f"{run['wall']:.0f}",
    ]


def growth(few: dict[str, int], many: dict[str, int]) -> tuple[str, int]:
    """The phase whose peak grows most, and by how much: a phase with a high peak must not hide growth in another."""
    grown = {phase: many[phase] - few[phase] for phase in PHASES}
    phase = max(grown, key=grown.__getitem__)
    return phase, grown[phase]


def _verdict(found: list[dict[str, Any]], source: str, cache: str) -> Verdict:
    few, many = (run for run in found if run["source"] == source and run["cache"] == cache)
    more = many["images"] - few["images"]
    phase, grown = growth(few["anonymous"], many["anonymous"])
    return Verdict(
        what=f"own memory, {few['images']:,} to {many['images']:,} images ({source}, {cache} cache)",
        value=f"{grown / MIB:+.0f} MiB in {phase} ({grown / more:.0f} bytes an image)",
        reach=f"≤ {SLACK * more / MIB:.0f} MiB ({SLACK} bytes an image)",
        met=grown <= SLACK * more,
        beside=f"the added pixels: {SIDE**2 * more / MIB:.0f} MiB",
    )
