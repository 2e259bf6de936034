"""The loops that the benchmark ``speed`` compares: a bare one, and suwen's `fit()`, which ``pretraining`` uses too."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import timm
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor, nn

from suwen.core.dataset import Dataset
from suwen.core.recipe import Recipe
from suwen.core.registry import TASKS
from suwen.core.task import Task
from suwen.learn.batches import Batches
from suwen.learn.device import choose_precision, make_fabric
from suwen.learn.fit import fit
from suwen.learn.layout import lay_channels_last
from suwen.learn.log import ConsoleLog, JsonLog
from suwen.learn.optimizer import make_optimizer, make_rate
from suwen.learn.progress import Progress
from suwen.learn.train import build_model, make_augment
from suwen.learn.watch import Watch
from suwen.verbs.finetune import full_recipe

SMALL = 64
"""Images under this many pixels get a 3×3 stride-1 first convolution and no max-pool, in both loops."""


@dataclass(frozen=True)
class Setting:
    """What a loop runs in."""

    precision: str
    channels_last: bool

    def __str__(self) -> str:
        return f"{self.precision} {'channels-last' if self.channels_last else 'NCHW'}"


class Loop(Protocol):
    """A training that can be continued by so many images."""

    def train(self, images: int) -> None:
        """Train on so many images, in batches, from the data set's first row on and round again."""
        ...


class BareLoop:
    """What one would write by hand: float tensors on the device, a permutation, forward, backward, clip, fused AdamW.

    Args:
        dataset: its pixels are made into normalised float tensors once, before any clock runs.
        setting: precision and memory format.
        batch_size: images a step.
    """

    def __init__(self, dataset: Dataset, setting: Setting, batch_size: int) -> None:
        torch.manual_seed(0)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bfloat16, self.batch_size = setting.precision == "bf16", batch_size
        layout = torch.channels_last if setting.channels_last else torch.contiguous_format
        pixels = torch.from_numpy(dataset.take(np.arange(len(dataset)))).to(self.device)
        self.images = ((pixels.float() / 255 - 0.5) / 0.25).contiguous(memory_format=layout)
        self.target = torch.from_numpy(np.asarray(dataset.targets)).to(self.device)
        self.model = bare_resnet18(*pixels.shape[1:3], labels=len(dataset.labels)).to(self.device)
        self.model.to(memory_format=layout)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.05, fused=True)

    def train(self, images: int) -> None:
        """See `Loop.train`."""
        self.model.train()
        rows = torch.randperm(images).remainder(len(self.images)).to(self.device)
        for chosen in torch.split(rows, self.batch_size):
            self._step(self.images[chosen], self.target[chosen])
        wait(self.device)

    def _step(self, images: Tensor, target: Tensor) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = F.cross_entropy(self.model(images), target)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class SuwenLoop:
    """`suwen.learn.fit.fit` as ``suwen finetune`` calls it: uint8 rows of the mapped cache, Batches, Watch, logs.

    Validation and the moving average of the weights are left out, since the bare loop has none; checkpoints are timed
    by themselves.

    Args:
        dataset: in a mapped cache.
        recipe: task, encoder, transforms, precision and all else.
        folder: for the log.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, folder: Path) -> None:
        self.dataset, self.recipe, self.folder = dataset, recipe, folder
        task: Task = TASKS[recipe.task]
        self.fabric = make_fabric(choose_precision(recipe.training.precision))
        model = build_model(task, dataset, recipe)
        self.module = task.bind(model.encoder, model.head, recipe)
        self.augment = make_augment(task, recipe, len(dataset.labels))
        if recipe.training.channels_last:
            lay_channels_last(self.module)
        self.optimizer = make_optimizer(self.module, self.recipe.training)
        self.null = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (open as long as the loop lives)

    def train(self, images: int) -> None:
        """See `Loop.train`."""
        settings = self.recipe.training
        batches = Batches(
            self.dataset,
            np.arange(images) % len(self.dataset),
            batch_size=settings.batch_size,
            seed=self.recipe.seed,
            device=self.fabric.device,
            augment=self.augment,
            channels_last=settings.channels_last,
        )
        rate = make_rate(settings, len(batches))
        watch = self._watch(rate=rate, batches=len(batches))
        fit(self.module, batches, self.optimizer, rate, settings, fabric=self.fabric, watch=watch)
        wait(self.fabric.device)

    def checkpoint_seconds(self) -> float:
        """The time that one checkpoint takes."""
        watch = self._watch(folder=self.folder)
        began = time.perf_counter()
        watch.save(Progress())
        return time.perf_counter() - began

    def _watch(self, **options: Any) -> Watch:
        console = Console(file=self.null, force_terminal=True)  # draws its bar, to nowhere
        logs = (ConsoleLog(console), JsonLog(self.folder / "log.jsonl"))
        return Watch(self.module, self.optimizer, self.recipe.training, logs=logs, **options)


def speed_recipe(setting: Setting, batch_size: int) -> Recipe:
    """ResNet-18, one epoch at a time, nothing random but the order."""
    return full_recipe(
        {
            "task": "image-classification",
            "augment": {},
            "encoder": {"name": "timm:resnet18"},
            "head": {"options": {"label_smoothing": 0.0}},
            "training": round_of(setting, batch_size),
        }
    )


def round_of(setting: Setting, batch_size: int) -> dict[str, Any]:
    """``training`` of one round: one epoch at one learning rate."""
    return {
        "epochs": 1,
        "batch_size": batch_size,
        "precision": setting.precision,
        "channels_last": setting.channels_last,
        "warmup": 0.0,
        "schedule": "constant",
    }


def bare_resnet18(channels: int, size: int, *, labels: int) -> nn.Module:
    """timm's ResNet-18 with its own classifier; under 64 px with the small stem (He et al. 2016, section 4.2)."""
    model: Any = timm.create_model("resnet18", in_chans=channels, num_classes=labels)
    if size < SMALL:
        model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    made: nn.Module = model
    return made


def images_per_second(loop: Loop, images: int) -> float:
    """The speed of one round."""
    began = time.perf_counter()
    loop.train(images)
    return images / (time.perf_counter() - began)


def compare(loops: dict[str, Loop], images: int, rounds: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Images a second of each loop in each round, taken in turn, there and back (A B … B A), so that drift cancels."""
    found: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds):
        for name in loops if number % 2 == 0 else reversed(loops):
            found[name].append(images_per_second(loops[name], images))
        say(f"round {number + 1}: " + ", ".join(f"{name} {values[-1]:.0f}" for name, values in found.items()))
    return found


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
