"""Small real files: grey films in class folders whose finding is a bright disc, and a Run trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import suwen

TINY = (
    "training.epochs=12",
    "training.batch_size=16",
    "training.learning_rate=3e-3",
    "evaluation.resamples=50",
    "explanation.examples=4",
    "explanation.methods=[grad-cam, smooth-grad, integrated-gradients, attention-rollout]",
)


def film(rng: np.random.Generator, *, disc: bool, side: int = 32) -> np.ndarray:
    """uint8 (side, side): noise, and a bright disc in the upper left part if `disc`."""
    image = rng.normal(90, 12, (side, side))
    if disc:
        rows, columns = np.mgrid[:side, :side]
        y, x = rng.uniform(7, 12, 2)
        image[(rows - y) ** 2 + (columns - x) ** 2 < 16] += 90
    return np.clip(image, 0, 255).astype(np.uint8)


def write_folders(root: Path, *, per_class: dict[str, int], seed: int = 0) -> Path:
    """``root/SPLIT/CLASS/*.png`` with so many films of each class in train, and half as many in val and test."""
    rng = np.random.default_rng(seed)
    for split, share in (("train", 1.0), ("val", 0.5), ("test", 0.5)):
        for label, count in per_class.items():
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(max(1, int(count * share))):
                Image.fromarray(film(rng, disc=label == "disc")).save(folder / f"{number:03d}.png")
    return root


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("films"), per_class={"clear": 40, "disc": 40})


@pytest.fixture(scope="session")
def run(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "tiny"
    suwen.finetune("image-classification", films, encoder="timm:test_resnet", set=TINY, out=out, quiet=True)
    return out


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor fill the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
