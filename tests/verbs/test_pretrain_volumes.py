"""Volumes pretrain without labels, and other questions about volumes start from what they learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

import suwen
from suwen.core.run import load
from suwen.data.readers.whole_volumes import read_whole_volumes

TINY = (
    "encoder.options={widths: [4, 8]}",
    "inputs.box=[16, 16, 16]",
    "inputs.spacing=2",
    "training.steps=null",
    "training.epochs=2",
    "training.batch_size=4",
)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten volumes with a bright box each, and its mask."""
    root, rng = tmp_path_factory.mktemp("boxes"), np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number in range(10):
        mask = np.zeros((18, 16, 14), np.uint8)
        x, y, z = rng.integers(1, 7, 3)
        mask[x : x + 7, y : y + 7, z : z + 6] = 1
        values = (rng.normal(0, 10, mask.shape) + 100 * mask).astype(np.int16)
        for folder, array in (("images", values), ("masks", mask)):
            nibabel.save(nibabel.Nifti1Image(array, np.diag([2, 2, 2, 1])), root / folder / f"{number}.nii.gz")
    return root


@pytest.mark.parametrize("objective", ["volume-contrastive", "volume-masked"])
def test_an_objective_goes_from_volumes_to_a_segmentation(objective: str, boxes: Path, tmp_path: Path) -> None:
    model: Any = suwen.pretrain(objective, boxes, set=TINY, out=tmp_path / "base", quiet=True)
    drawn = suwen.finetune(
        "volume-segmentation",
        boxes,
        encoder=f"run:{tmp_path / 'base'}",
        set=("inputs.patch=16", "training.steps=null", "training.epochs=1", "evaluation.resamples=20"),
        allow_leak=True,  # the very same volumes
        out=tmp_path / "run",
        quiet=True,
    )
    assert drawn.encoder.config["widths"] == [4, 8]
    again = load(tmp_path / "base")
    inputs = torch.randint(0, 256, (2, 1, 16, 16, 16), dtype=torch.uint8)
    assert torch.equal(again.encoder(inputs).pooled, model.encoder(inputs).pooled)


def test_masks_beside_volumes_are_no_volumes(boxes: Path) -> None:
    samples = read_whole_volumes(boxes, labelled=False)
    assert len(samples) == 10 and set(samples.targets) == {None}
