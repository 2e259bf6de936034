from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.errors import NameUnknown, RecipeError
from suwen.learn.mask_augment import DEFAULT, KNOWN, MaskAugment


def batch(side: int, count: int = 8) -> dict[str, Any]:
    """Images that show their own codes: 60 where 0, 180 where 1, and some that nobody labelled."""
    rng = np.random.default_rng(0)
    codes = np.zeros((count, side, side), np.uint8)
    for each in codes:
        top, left = rng.integers(0, side - 12, 2)
        each[top : top + 12, left : left + 9] = 1
    images = np.where(codes == 1, 180, 60).astype(np.uint8)[:, None]
    codes[:, :3] = 255
    return {"inputs": torch.from_numpy(images), "target": torch.from_numpy(codes)}


@pytest.mark.parametrize("name", [name for name in KNOWN if name in ("flip", "turn", "affine")])
def test_what_moves_an_image_moves_its_codes(name: str) -> None:
    settings = {"affine": {"rotate": 180, "scale": 0.2, "stretch": 0.1, "shear": 10}, "flip": {"vertical": 0.5}}
    augment = MaskAugment({name: settings.get(name, {})}, 2)
    side = math.ceil(40 * augment.reach)
    given = batch(side)
    found = augment(given, torch.Generator().manual_seed(0))
    images, codes = found["inputs"][:, 0], found["target"]
    assert images.shape == codes.shape == (8, 40, 40) and codes.dtype == torch.uint8
    known = codes != 255
    said = images > 120 / 255
    assert ((codes == 1) == said)[known].float().mean() > 0.985  # a pixel at an edge may fall to either side
    assert set(codes.unique().tolist()) <= {0, 1, 255} and (codes == 1).any()
    assert not torch.equal(found["inputs"], given["inputs"][..., :40, :40].float() / 255)


def test_flips_and_turns_alone_lose_nothing() -> None:
    augment = MaskAugment({"flip": {"horizontal": 0.5, "vertical": 0.5}, "turn": {}}, 2)
    given = batch(32)
    found = augment(given, torch.Generator().manual_seed(3))
    assert augment.reach == 1
    for before, after in zip(given["target"], found["target"], strict=True):
        assert torch.equal(before.unique(return_counts=True)[1], after.unique(return_counts=True)[1])


def test_a_turned_patch_has_no_empty_corners() -> None:
    augment = MaskAugment({"affine": {"rotate": 180, "shift": 0, "scale": 0.3, "stretch": 0.1, "shear": 5}}, 2)
    side = math.ceil(48 * augment.reach)
    given = {
        "inputs": torch.zeros(16, 1, side, side, dtype=torch.uint8),
        "target": torch.zeros(16, side, side).to(torch.uint8),
    }
    assert not (augment(given, torch.Generator().manual_seed(0))["target"] == 255).any()


def test_shading_leaves_codes_alone_and_draws_follow_the_generator() -> None:
    augment = MaskAugment({"intensity": {}, "noise": {}, "sharpness": {}}, 2)
    first, again, other = (augment(batch(24), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first["inputs"], again["inputs"]) and not torch.equal(first["inputs"], other["inputs"])
    assert torch.equal(first["target"], batch(24)["target"])


def test_what_is_left_out_is_not_done() -> None:
    found = MaskAugment({}, 2)(batch(24), torch.Generator())
    assert torch.equal(found["inputs"], batch(24)["inputs"].float() / 255)
    assert "flip" not in DEFAULT


@pytest.mark.parametrize(
    ("allowed", "error"),
    [
        ({"mixup": {}}, NameUnknown),
        ({"affine": {"turn": 3}}, RecipeError),
        ({"turn": {"p": 2}}, RecipeError),
        ({"affine": {"scale": 0.9}}, RecipeError),
    ],
)
def test_what_cannot_be_done_to_masks_is_refused(allowed: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        MaskAugment(allowed, 2)
