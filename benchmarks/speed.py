"""``python -m benchmarks speed``: training ResNet-18, suwen's fit() against a bare PyTorch loop."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from benchmarks.images import generate_npz
from benchmarks.loops import BareLoop, Loop, Setting, SuwenLoop, compare, images_per_second, speed_recipe
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from suwen.core.dataset import Dataset
from suwen.core.recipe import TrainingSettings
from suwen.data.columns import build
from suwen.data.preprocess import ImagePreprocess
from suwen.data.readers.npz import read_npz
from suwen.learn.device import has_fast_bfloat16

OVERHEAD, GAIN = 0.05, 1.7
"""Most overhead against the same loop, and least gain by bfloat16 over the bare loop in float32 (NCHW)."""

IMAGES = 2048
"""Pictures in the data set; rounds go through it again as often as they need."""

PLAIN, LAST, HALF = Setting("fp32", False), Setting("fp32", True), Setting("bf16", True)


def speed(
    sizes: Annotated[list[int] | None, typer.Option(help="Sides in pixels; repeatable. [default: 28, 64]")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of each loop; an even number.", min=2)] = 6,
    seconds: Annotated[float, typer.Option(help="Length of a round of the slowest loop.")] = 6.0,
    batch_size: Annotated[int, typer.Option(help="Images a step.", min=2)] = 128,
    quick: Annotated[bool, typer.Option("--quick", help="Two very short rounds at 28 px.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of speed.json.")] = RESULTS,
) -> None:
    """The same model, batch size, optimizer, clipping, precision and memory format in both loops, in one process."""
    sides = list(sizes or [28, 64])
    if quick:
        sides, rounds, seconds, batch_size = [28], 2, 0.0, 8
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        found = {side: _measure(side, rounds, seconds, batch_size, Path(folder)) for side in sides}
    result = Result(
        name="speed",
        settings={"sizes": sides, "rounds": rounds, "seconds": seconds, "batch_size": batch_size},
        columns=["size", "loop", "images/s, median", "min", "max", "× bare fp32 NCHW"],
        rows=[row for side in sides for row in _rows(side, found[side]["speeds"])],
        verdicts=[verdict for side in sides for verdict in _verdicts(side, found[side]["speeds"])],
        figures={str(side): figures for side, figures in found.items()},
        notes=_notes(found),
        quick=quick,
    )
    watch.finish(result, results)


def _measure(side: int, rounds: int, seconds: float, batch_size: int, folder: Path) -> dict[str, Any]:
    """Speeds of every loop at one image size, and the time of a checkpoint."""
    dataset = make_dataset(folder / str(side), side)
    ours = SuwenLoop(dataset, speed_recipe(LAST, batch_size), folder / str(side))
    loops: dict[str, Loop] = {
        f"bare {PLAIN}": BareLoop(dataset, PLAIN, batch_size),
        f"bare {LAST}": BareLoop(dataset, LAST, batch_size),
        f"suwen {LAST}": ours,
    }
    if has_fast_bfloat16():
        loops[f"bare {HALF}"] = BareLoop(dataset, HALF, batch_size)
        loops[f"suwen {HALF}"] = SuwenLoop(dataset, speed_recipe(HALF, batch_size), folder / str(side))
    warm = {name: [images_per_second(loop, 2 * batch_size) for _ in range(2)][-1] for name, loop in loops.items()}
    images = batch_size * max(2, round(min(warm.values()) * seconds / batch_size))
    typer.echo(f"{side} px: {rounds} rounds of {images} images for each loop")
    speeds = compare(loops, images, rounds, typer.echo)
    return {"images": images, "speeds": speeds, "checkpoint_seconds": ours.checkpoint_seconds()}


def make_dataset(folder: Path, side: int, count: int = IMAGES) -> Dataset:
    """Generated pictures, read and decoded as ``suwen finetune`` does, into a mapped cache in `folder`."""
    samples = read_npz(generate_npz(folder / "films.npz", count, side))
    built = build(samples, ImagePreprocess(size=side, channels=1), cache=folder / "cache", progress=False)
    return cast(Dataset, built)


def overheads(bare: list[float], ours: list[float]) -> list[float]:
    """Time that ours needs beyond the bare loop, as a share of it, round by round."""
    return [one / other - 1 for one, other in zip(bare, ours, strict=True)]


def _rows(side: int, speeds: dict[str, list[float]]) -> list[list[str]]:
    base = statistics.median(speeds[f"bare {PLAIN}"])
    return [
        [
            f"{side} px",
            name,
            *(f"{value:.1f}" for value in (statistics.median(values), min(values), max(values))),
            f"{statistics.median(values) / base:.2f}",
        ]
        for name, values in speeds.items()
    ]


def _verdicts(side: int, speeds: dict[str, list[float]]) -> list[Verdict]:
    pairs = [_overhead(side, setting, speeds) for setting in (LAST, HALF) if f"suwen {setting}" in speeds]
    return [*pairs, _gain(side, speeds), _layout(side, speeds)]


def _overhead(side: int, setting: Setting, speeds: dict[str, list[float]]) -> Verdict:
    shares = overheads(speeds[f"bare {setting}"], speeds[f"suwen {setting}"])
    middle = statistics.median(shares)
    return Verdict(
        what=f"overhead of fit() at {side} px, {setting}",
        value=f"{middle:+.1%} ({min(shares):+.1%} to {max(shares):+.1%})",
        reach=f"≤ {OVERHEAD:.0%}",
        met=middle <= OVERHEAD,
        beside=f"the same bare loop: {statistics.median(speeds[f'bare {setting}']):.0f} images/s",
    )


def _gain(side: int, speeds: dict[str, list[float]]) -> Verdict:
    what, reach = f"suwen bf16 against the bare loop in fp32 NCHW at {side} px", f"≥ {GAIN}× where the CPU has bf16"
    base = statistics.median(speeds[f"bare {PLAIN}"])
    if f"suwen {HALF}" not in speeds:
        return Verdict(what=what, value="not on this CPU", reach=reach, met=None)
    gain = statistics.median(speeds[f"suwen {HALF}"]) / base
    return Verdict(what=what, value=f"{gain:.2f}×", reach=reach, met=gain >= GAIN, beside=f"bare {base:.0f} images/s")


def _layout(side: int, speeds: dict[str, list[float]]) -> Verdict:
    base, last = (statistics.median(speeds[f"bare {setting}"]) for setting in (PLAIN, LAST))
    return Verdict(
        what=f"channels-last against NCHW, bare fp32, at {side} px",
        value=f"{last / base:.2f}×",
        reach="for information",
        met=None,
        beside=f"bare fp32 NCHW {base:.0f} images/s",
    )


def _notes(found: dict[int, dict[str, Any]]) -> list[str]:
    every = TrainingSettings().checkpoint_seconds
    slowest = max(figures["checkpoint_seconds"] for figures in found.values())
    return [
        "the overhead is that of the time, round against neighbouring round; its median is judged",
        f"not in it: a checkpoint, which takes {slowest:.2f} s, at most every {every:.0f} s "
        f"({slowest / every:.1%} at most), and which the bare loop does not write",
    ]
