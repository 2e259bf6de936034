"""Small pictures and folders of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., np.ndarray]
MakeFolders = Callable[..., Path]


@pytest.fixture
def draw() -> Draw:
    """Draw a smooth random picture: `draw(seed, height=…, width=…, channels=…)`, uint8 (H, W) or (H, W, C)."""

    def drawn(seed: int, height: int = 24, width: int = 24, channels: int = 0) -> np.ndarray:
        generator = np.random.default_rng(seed)
        coarse = generator.integers(0, 256, (6, 6, max(1, channels)), dtype=np.uint8)
        planes = [
            np.asarray(Image.fromarray(coarse[..., plane]).resize((width, height), Image.Resampling.BICUBIC))
            for plane in range(coarse.shape[-1])
        ]
        return np.stack(planes, axis=-1) if channels else planes[0]

    return drawn


@pytest.fixture
def make_folders(tmp_path: Path, draw: Draw) -> MakeFolders:
    """Write class folders of different pictures: `make_folders({"train/cat": 3, "test/cat": 2})` gives the root."""

    def made(counts: dict[str, int], root: str = "images") -> Path:
        seed = 0
        for folder, count in counts.items():
            (tmp_path / root / folder).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                Image.fromarray(draw(seed := seed + 1)).save(tmp_path / root / folder / f"{index:03d}.png")
        return tmp_path / root

    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache folder."""
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing touches the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
