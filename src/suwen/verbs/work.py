"""What every training verb does before and after it trains."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from rich.console import Console

from suwen.core.dataset import Dataset, Reader
from suwen.core.errors import RunError
from suwen.core.model import Model
from suwen.core.preprocess import Preprocess
from suwen.core.recipe import Recipe
from suwen.core.run import Run, load
from suwen.core.sample import SPLITS, Sample
from suwen.encoders.catalogue import warn_of
from suwen.learn.log import ConsoleLog, JsonLog, Log, TensorBoardLog, WandbLog
from suwen.verbs.seen import RUN

VERSIONS = (
    "suwen",
    "torch",
    "torchvision",
    "timm",
    "lightning-fabric",
    "numpy",
    "scikit-learn",
    "lightgbm",
    "pydicom",
    "pillow",
)


def prepare(
    reader: Reader, samples: Sequence[Sample], recipe: Recipe, *, fractions: tuple[float, float, float] | None
) -> Dataset:
    """The samples, preprocessed as the recipe says, split and decoded."""
    return reader.build(
        samples,
        preprocess_of(reader, samples, recipe),
        seed=recipe.seed,
        labels=recipe.data.labels,
        fractions=fractions,
        skip_bad=recipe.data.skip_bad,
    )


def preprocess_of(reader: Any, samples: Sequence[Sample], recipe: Recipe) -> Preprocess:
    """The preprocessing that a recipe asks for; where its encoder is that of a Run, and what it reads belongs to its
    weights (a vocabulary), that Run's.
    """
    settings = {key: value for key, value in recipe.inputs.items() if value is not None}
    if hasattr(reader, "like") and recipe.encoder.name.startswith(RUN):
        found: Preprocess = reader.like(load(recipe.encoder.name.removeprefix(RUN)).preprocess, settings)
    else:
        found = reader.preprocess(samples, settings)
    return found


def make_logs(names: Sequence[str], run: Run, console: Console, recipe: Recipe) -> list[Log]:
    """Console, ``log.jsonl``, TensorBoard, and those asked for besides.

    Raises:
        RunError: there is no log of a name.
    """
    logs: list[Log] = [ConsoleLog(console), JsonLog(run.log), TensorBoardLog(run.path)]
    for name in names:
        if name != "wandb":
            raise RunError(f"--log {name}", why="known logs: wandb", fix="--log wandb")
        logs.append(WandbLog(run.path.name, recipe.model_dump(mode="json")))
    return logs


def card_of(model: Model, dataset: Dataset, recipe: Recipe, console: Console) -> dict[str, Any]:
    """What travels with the weights besides: licence, data, versions. A licence that forbids something is said."""
    if warning := warn_of(model.encoder.licence):
        console.print(f"[yellow]{warning}[/]")
    return {
        "licence": model.encoder.licence,
        "licence_warning": warning,
        "data": {"fingerprint": dataset.fingerprint, "counts": counts_of(dataset), "source": recipe.data.source},
        "seed": recipe.seed,
        "versions": versions(),
    }


def counts_of(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Split → label → number of samples."""
    found: dict[str, dict[str, int]] = {}
    if (counts := getattr(dataset, "counts", None)) is not None:
        found |= {split: dict(counts(split)) for split in SPLITS}
        return found
    targets = np.asarray(dataset.targets)
    if targets.dtype.kind == "f":
        return {split: {dataset.labels[0]: len(dataset.where(split))} for split in SPLITS}
    for split in SPLITS:
        rows = targets[dataset.where(split)]
        counts = rows.sum(0) if rows.ndim == 2 else np.bincount(rows[rows >= 0], minlength=len(dataset.labels))
        found[split] = dict(zip(dataset.labels, map(int, counts), strict=True))
    return found


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONS}}
