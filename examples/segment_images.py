"""Cells in images you made yourself: two folders in, masks and figures out.

python examples/segment_images.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

import suwen


def write_cells(root: Path, count: int = 24) -> Path:
    """``root/images/N.png`` and ``root/masks/N.png``: bright discs on noise, 255 in the mask where a disc is."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :112]
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        mask = np.zeros(rows.shape, bool)
        for _ in range(4):
            y, x, radius = rng.uniform(10, 86), rng.uniform(10, 102), rng.uniform(5, 10)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        image = np.clip(rng.normal(90, 14, mask.shape) + 60 * mask, 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{number:02d}.png")
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / "masks" / f"{number:02d}.png")
    (root / "labels.json").write_text('{"cell": 255}', encoding="utf-8")
    return root


def main() -> None:
    """Learn, judge, draw one image, and say what was drawn."""
    cells = write_cells(Path("cells"))
    model = suwen.finetune(
        "image-segmentation",
        cells,
        epochs=12,
        set=["inputs.patch=64", "encoder.options={widths: [8, 16, 32]}", "training.patches=4"],
        out="runs/cells",
        quiet=True,
    )
    figures = json.loads(Path("runs/cells/metrics.json").read_text(encoding="utf-8"))
    dice = figures["splits"]["test"]["metrics"]["dice"]
    otsu = figures["baselines"]["otsu"]["test"]["metrics"]["dice"]
    print(f"Dice {dice['value']:.3f} ({dice['low']:.3f}–{dice['high']:.3f}), Otsu {otsu['value']:.3f}")
    (answer,) = model.predict(cells / "images" / "03.png", out="masks", write=("mask", "contours"))
    print(json.dumps(answer.to_json()))


if __name__ == "__main__":
    main()
