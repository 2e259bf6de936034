from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.loops import Setting, SuwenLoop
from benchmarks.objectives import BareContrastive, BareMasked
from benchmarks.pretraining import OBJECTIVES, pretraining, pretraining_recipe
from benchmarks.results import read_result
from benchmarks.speed import make_dataset

SETTING = Setting("fp32", True)


def both(name: str, folder: Path) -> tuple[Any, Any, np.ndarray]:
    """The bare objective and suwen's module with the same weights in the same order, and some pixels."""
    dataset, recipe = make_dataset(folder, 64, count=20), pretraining_recipe(name, SETTING, 4)
    bare = OBJECTIVES[name](dataset, recipe.augment or {}, SETTING, 4)
    ours = SuwenLoop(dataset, recipe, folder).module
    return bare, ours, dataset.take(np.arange(6))


def copy_weights(source: Any, target: Any) -> None:
    """By name, both sides in their own words."""
    words = {"network.": "encoder.model.", "say.0.": "decode.2.", "say.1.": "decode.3."}
    renamed = {}
    for key, value in source.state_dict().items():
        for old, new in words.items():
            key = new + key.removeprefix(old) if key.startswith(old) else key
        renamed[key] = value
    assert {name for name, _ in target.named_parameters()} <= renamed.keys()
    target.load_state_dict(renamed, strict=False)


def test_both_contrast_alike(tmp_path: Path) -> None:
    bare, ours, pixels = both("image-contrastive", tmp_path)
    assert isinstance(bare, BareContrastive)
    copy_weights(bare, ours)
    views = torch.from_numpy(pixels).float() / 255
    theirs = ours({"inputs": torch.stack([views[:3], views[3:]])})["loss"]
    torch.testing.assert_close(bare.contrast(views), theirs, atol=1e-5, rtol=0)


def test_both_reconstruct_alike(tmp_path: Path) -> None:
    bare, ours, pixels = both("image-masked", tmp_path)
    assert isinstance(bare, BareMasked)
    copy_weights(bare, ours)
    images = torch.from_numpy(pixels)
    torch.manual_seed(3)
    theirs = ours({"inputs": images})["loss"]
    torch.manual_seed(3)
    # patches are listed channel by channel here and pixel by pixel there; a film has one channel
    torch.testing.assert_close(bare.reconstruct(images.float() / 255), theirs, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_quick_run_measures_both_objectives(tmp_path: Path) -> None:
    pretraining(quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "pretraining.json")
    assert written.figures.keys() == OBJECTIVES.keys()
    assert all(value > 0 for one in written.figures.values() for values in one["speeds"].values() for value in values)
