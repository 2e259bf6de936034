"""A small made-up Dataset, and short ways to train on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightning_fabric import Fabric

from suwen.clinic.imaging import IMAGE_CLASSIFICATION
from suwen.core.model import Model
from suwen.core.recipe import Recipe, TrainingSettings, make_recipe
from suwen.data.preprocess import ImagePreprocess
from suwen.learn.log import Log
from suwen.learn.train import Trained, train


@dataclass(eq=False)
class Squares:
    """Noise with a bright square: in the upper left of class "left", in the lower right of class "right"."""

    pixels: np.ndarray
    targets: Any
    splits: np.ndarray
    labels: tuple[str, ...] = ("left", "right")
    fingerprint: str = "made up"
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = np.array([f"square-{row}" for row in range(len(self))])
        self.subjects = self.ids
        self.metadata = pd.DataFrame(index=range(len(self)))
        self.preprocess = ImagePreprocess(size=self.pixels.shape[-1], channels=self.pixels.shape[1])

    def __len__(self) -> int:
        return len(self.pixels)

    def where(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.splits == split)

    def take(self, index: np.ndarray) -> np.ndarray:
        return self.pixels[index]


def make_squares(n: int = 48, *, size: int = 16, seed: int = 0) -> Squares:
    """Two thirds to train on, one third to validate."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    pixels = rng.integers(0, 120, (n, 1, size, size), np.uint8)
    quarter = size // 4
    for row, target in enumerate(targets):
        start = quarter * (2 * target) + rng.integers(0, quarter)
        pixels[row, 0, start : start + quarter, start : start + quarter] += 120
    return Squares(pixels, targets.astype(np.int64), np.where(np.arange(n) % 3 < 2, "train", "val"))


def make_tiny_recipe(**settings: Any) -> Recipe:
    """A recipe of a second; keywords such as ``training={"epochs": 3}`` change what they name."""
    tiny = {
        "encoder": {"name": "timm:test_resnet"},
        "training": {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "precision": "fp32"},
    }
    return make_recipe({"task": "image-classification"}, tiny, settings)


def cpu_fabric(precision: str, settings: TrainingSettings | None = None) -> Fabric:
    """`make_fabric`, also where there is a GPU."""
    return Fabric(accelerator="cpu", devices=1, precision={"fp32": "32-true", "bf16": "bf16-mixed"}[precision])  # type: ignore[arg-type]


def accuracy(model: Model, logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """The rule of `make_squares`: even rows are "left"."""
    return {"score": float((logits.argmax(1) == rows % 2).mean())}


def train_squares(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    logs: Sequence[Log] = (),
    dataset: Squares | None = None,
    unlabelled: Squares | None = None,
) -> Trained:
    """`train` on `make_squares`."""
    data: Any = dataset or make_squares()
    pool: Any = unlabelled
    return train(IMAGE_CLASSIFICATION, data, recipe, score=accuracy, folder=folder, logs=logs, unlabelled=pool)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own-cache"))


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are compared, and only a CPU gives the same ones again."""
    monkeypatch.setattr("suwen.learn.train.make_fabric", cpu_fabric)


@pytest.fixture
def squares() -> Squares:
    return make_squares()


@pytest.fixture
def squares_of() -> Callable[..., Squares]:
    """`make_squares`, for more or fewer of them."""
    return make_squares


@pytest.fixture
def tiny() -> Callable[..., Recipe]:
    return make_tiny_recipe


@pytest.fixture
def trained() -> Callable[..., Trained]:
    return train_squares
