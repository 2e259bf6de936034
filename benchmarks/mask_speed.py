"""``python -m benchmarks mask-speed``: learning to draw, and drawing, against bare PyTorch with MONAI's parts."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from benchmarks.loops import Loop, Setting, SuwenLoop, compare, images_per_second, round_of, wait
from benchmarks.results import RESULTS, Result, Stopwatch, Verdict
from benchmarks.speed import overheads
from suwen.core.recipe import Recipe
from suwen.core.registry import TASKS
from suwen.data.case_preprocess import CasePreprocess
from suwen.data.cases import CaseSet, build_cases
from suwen.data.mask_files import MaskFiles
from suwen.data.samples import Samples
from suwen.data.volume_preprocess import VolumePreprocess
from suwen.heads.windows import Sliding, whole
from suwen.learn.device import has_fast_bfloat16
from suwen.learn.layout import lay_channels_last
from suwen.learn.train import build_model
from suwen.verbs.finetune import full_recipe

OVERHEAD, SAME = 0.05, 1.0
"""Most overhead of training, and least speed of drawing as a multiple of MONAI's."""

PATCHES = {2: (128, 128), 3: (64, 64, 64)}
BATCH = {2: 16, 3: 2}
TASK = {2: "image-segmentation", 3: "volume-segmentation"}
CLASSES = {"background": 0, "organ": 1, "lesion": 2}
NAMES = {2: "images", 3: "volumes"}
BARE = "bare, with MONAI's loss"


class BareLoop:
    """What one would write by hand: patches in memory as floats, autocast, MONAI's Dice and cross-entropy, AdamW."""

    def __init__(self, dataset: CaseSet, recipe: Recipe) -> None:
        from monai.losses import DiceCELoss

        torch.manual_seed(0)
        model = build_model(TASKS[recipe.task], dataset, recipe)  # type: ignore[arg-type]
        self.module = nn.ModuleList([model.encoder, model.head])  # type: ignore[list-item]
        self.bfloat16 = recipe.training.precision == "bf16"
        self.size, dims = recipe.training.batch_size, len(dataset.preprocess.patch)
        rows = np.arange(len(dataset))
        pixels, codes, _ = dataset.patches(rows).draw(np.arange(32) % len(rows), torch.Generator().manual_seed(0))
        self.inputs = torch.from_numpy(pixels).float() / 255
        self.target = torch.from_numpy(codes).long()[:, None]
        if dims == 2:
            lay_channels_last(self.module)
            self.inputs = self.inputs.contiguous(memory_format=torch.channels_last)
        self.loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=1e-3, weight_decay=0.05, fused=True)

    def train(self, images: int) -> None:
        """See `Loop.train`."""
        encoder, head = self.module
        self.module.train()
        rows = torch.randperm(images).remainder(len(self.inputs))
        for chosen in torch.split(rows, self.size):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                logits = head(encoder(self.inputs[chosen]))
            loss = self.loss(logits.float(), self.target[chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        wait(torch.device("cpu"))


def mask_speed(
    rounds: Annotated[int, typer.Option(help="Rounds of each; an even number.", min=2)] = 6,
    seconds: Annotated[float, typer.Option(help="Length of a round of the slowest loop.")] = 8.0,
    quick: Annotated[bool, typer.Option("--quick", help="Two very short rounds.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of mask-speed.json.")] = RESULTS,
) -> None:
    """The same network, patches, precision and optimizer, in one process, in turn."""
    rounds, seconds = (2, 0.0) if quick else (rounds, seconds)
    watch, rows, verdicts, figures = Stopwatch(), [], [], {}
    with tempfile.TemporaryDirectory() as folder:
        for dims in PATCHES:
            speeds = _training(dims, rounds, seconds, Path(folder) / str(dims))
            share = overheads(speeds[BARE], speeds["suwen"])
            rows += _rows(f"{NAMES[dims]}, training", speeds)
            verdicts.append(_overhead(dims, share, speeds))
            drawing = _drawing(dims, rounds, quick)
            rows += _rows(f"{NAMES[dims]}, drawing", drawing)
            verdicts.append(_times(dims, drawing))
            figures[NAMES[dims]] = {"training": speeds, "drawing": drawing}
    result = Result(
        name="mask-speed",
        settings={"rounds": rounds, "seconds": seconds, "patches": {NAMES[d]: PATCHES[d] for d in PATCHES}},
        columns=["", "what", "a second, median", "min", "max"],
        rows=rows,
        verdicts=verdicts,
        figures=figures,
        notes=[
            "training: patches a second; suwen draws them anew from the mapped set, the bare loop has 32 in memory",
            "drawing: inputs a second, windows overlapping by half with Gaussian weights, the network the same",
        ],
        quick=quick,
    )
    watch.finish(result, results)


def _rows(what: str, found: dict[str, list[float]]) -> list[list[str]]:
    return [
        [what, name, *(f"{figure:.3g}" for figure in (statistics.median(each), min(each), max(each)))]
        for name, each in found.items()
    ]


def make_cases(dims: int, folder: Path) -> CaseSet:
    """Four inputs of noise with two labels, as ``suwen finetune`` decodes them."""
    rng = np.random.default_rng(0)
    shape = (512, 512) if dims == 2 else (128, 112, 96)
    arrays = [rng.integers(0, 255, shape).astype(np.uint8) for _ in range(4)]
    masks = [(array > 200).astype(np.uint8) + (array > 250) for array in arrays]
    samples = Samples(
        ids=[str(number) for number in range(4)],
        sources=lambda row: arrays[row],
        targets=[MaskFiles(whole=mask.astype(np.uint8)) for mask in masks],
        splits=["train"] * 4,
    )
    preprocess: Any = (
        CasePreprocess(channels=1, patch=PATCHES[2], classes=CLASSES)  # type: ignore[arg-type]
        if dims == 2
        else VolumePreprocess(spacing=(1, 1, 1), patch=PATCHES[3], classes=CLASSES)  # type: ignore[arg-type]
    )
    return build_cases(samples, preprocess, cache=folder, progress=False)


def _training(dims: int, rounds: int, seconds: float, folder: Path) -> dict[str, list[float]]:
    folder.mkdir(parents=True)
    dataset = make_cases(dims, folder)
    setting = Setting("bf16" if has_fast_bfloat16() else "fp32", True)
    training = round_of(setting, BATCH[dims]) | {"average": None}
    recipe = full_recipe({"task": TASK[dims], "augment": {}, "training": training})
    loops: dict[str, Loop] = {
        BARE: BareLoop(dataset, recipe),
        "suwen": SuwenLoop(dataset, recipe, folder),  # type: ignore[arg-type]
    }
    warm = [images_per_second(loop, 2 * BATCH[dims]) for loop in loops.values()]
    images = BATCH[dims] * max(2, round(min(warm) * seconds / BATCH[dims]))
    return compare(loops, images, rounds, typer.echo)


def _drawing(dims: int, rounds: int, quick: bool) -> dict[str, list[float]]:
    """Inputs a second by suwen's windows and by MONAI's."""
    from monai.inferers import sliding_window_inference

    side = (512 if dims == 2 else 128) if not quick else (160 if dims == 2 else 80)
    shape = (side,) * dims
    torch.manual_seed(0)
    convolution = nn.Conv2d if dims == 2 else nn.Conv3d
    network = nn.Sequential(convolution(1, 16, 3, padding=1), nn.ReLU(), convolution(16, 3, 3, padding=1)).eval()
    pixels = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    size = PATCHES[dims]
    at_once = max(1, (1 << 18) // int(np.prod(size)))

    def ours() -> Tensor:
        return whole(Sliding(lambda x: (network(x), x.new_zeros(len(x), 1)), pixels, size, 0.5))

    def theirs() -> Tensor:
        found = sliding_window_inference(
            torch.from_numpy(pixels)[None], size, at_once, network, overlap=0.5, mode="gaussian"
        )
        return found[0]  # type: ignore[no-any-return, return-value]

    return _in_turn({"suwen": ours, "MONAI": theirs}, rounds)


def _in_turn(doers: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in doers}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name in doers if number % 2 == 0 else reversed(doers):
                began = time.perf_counter()
                doers[name]()
                if number:  # the first warms up
                    found[name].append(1 / (time.perf_counter() - began))
    return found


def _overhead(dims: int, shares: Sequence[float], speeds: dict[str, list[float]]) -> Verdict:
    middle = statistics.median(shares)
    return Verdict(
        what=f"overhead of fit() on patches of {NAMES[dims]}",
        value=f"{middle:+.1%} ({min(shares):+.1%} to {max(shares):+.1%})",
        reach=f"≤ {OVERHEAD:.0%}",
        met=middle <= OVERHEAD,
        beside=f"the same bare loop: {statistics.median(speeds[BARE]):.1f} patches/s",
    )


def _times(dims: int, drawing: dict[str, list[float]]) -> Verdict:
    ratio = statistics.median(drawing["suwen"]) / statistics.median(drawing["MONAI"])
    return Verdict(
        what=f"sliding windows over {NAMES[dims]}, speed against MONAI's",
        value=f"{ratio:.2f}×",
        reach=f"≥ {SAME:g}×",
        met=ratio >= SAME,
        beside=f"MONAI {statistics.median(drawing['MONAI']):.2f} a second",
    )
