"""The pictures that benchmarks run on: PneumoniaMNIST, and generated ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.results import ROOT
from suwen.core.errors import DataError
from suwen.core.sample import SPLITS, Split
from suwen.data.columns import Dataset
from suwen.data.images import IMAGES

PNEUMONIA = ROOT.parent / "shared" / "data" / "pneumoniamnist" / "pneumoniamnist.npz"
"""PneumoniaMNIST (Yang et al., Scientific Data 10:41, 2023; CC BY 4.0), kept beside the checkout."""

PNEUMONIA_LABELS = ("normal", "pneumonia")


def find_pneumonia(path: Path) -> Path:
    """The path itself.

    Raises:
        DataError: there is no such file.
    """
    if not path.is_file():
        raise DataError(
            f"PneumoniaMNIST is not at {path}",
            why="this benchmark is measured on real films, which are not part of the repository",
            fix="fetch pneumoniamnist.npz of MedMNIST v2 (medmnist.com), then --data PATH",
        )
    return path


def read_npz(file: Path) -> Dataset:
    """All splits of a MedMNIST-format file, decoded."""
    samples = IMAGES.read(file)
    return IMAGES.build(samples, IMAGES.preprocess(samples, {}), seed=0)


def export_folders(npz: Path, root: Path, labels: tuple[str, ...], *, most: int | None = None) -> dict[Split, int]:
    """Write a MedMNIST-format file as ``root/SPLIT/LABEL/NUMBER.png``; at most so many of each split.

    Returns:
        Split → images written.
    """
    with np.load(npz, allow_pickle=False) as arrays:
        for split in SPLITS:
            pairs = zip(arrays[f"{split}_images"], arrays[f"{split}_labels"].reshape(-1), strict=True)
            for number, (pixels, label) in enumerate(pairs):
                if most is None or number < most:
                    _write(root / split / labels[label] / f"{number:05}.png", pixels)
    return {split: len(list((root / split).rglob("*.png"))) for split in SPLITS}


def generate(count: int, size: int, *, seed: int = 0) -> Iterator[tuple[Split, int, np.ndarray]]:
    """`count` different grey pictures ``(size, size)``, with split (8 : 1 : 1) and class: clouds, half with a square.

    Drawn one at a time, so that making them takes no memory.
    """
    rng = np.random.default_rng(seed)
    turns: tuple[Split, ...] = ("train",) * 8 + ("val", "test")
    low, high = size // 3, 2 * size // 3
    for number in range(count):
        label, split = number % 2, turns[number // 2 % len(turns)]
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
        pixels = np.array(coarse.resize((size, size), Image.Resampling.BILINEAR))
        if label:
            pixels[low:high, low:high] = 255 - pixels[low:high, low:high] // 2
        yield split, label, pixels


def generate_folders(root: Path, count: int, size: int) -> Path:
    """Generated pictures as class folders of PNG files."""
    for number, (split, label, pixels) in enumerate(generate(count, size)):
        _write(root / split / ("without", "with")[label] / f"{number:06}.png", pixels)
    return root


def generate_npz(file: Path, count: int, size: int) -> Path:
    """Generated pictures as one MedMNIST-format file."""
    found: dict[str, list[np.ndarray | int]] = {
        f"{split}_{kind}": [] for split in SPLITS for kind in ("images", "labels")
    }
    for split, label, pixels in generate(count, size):
        found[f"{split}_images"].append(pixels)
        found[f"{split}_labels"].append(label)
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {name: np.array(values, np.uint8) for name, values in found.items()}
    np.savez(file, **arrays)
    return file


def _write(file: Path, pixels: np.ndarray) -> None:
    if not file.parent.is_dir():
        file.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(file, compress_level=1)
