from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from suwen.learn.fade import DEFAULTS, draw_fade, fade
from suwen.learn.mask_augment import MaskAugment
from suwen.learn.volume_augment import VolumeAugment


def ball(dims: int, side: int = 24, radius: float = 4) -> torch.Tensor:
    """uint8 (1, *S)."""
    places = np.stack(np.meshgrid(*[np.arange(side)] * dims, indexing="ij"))
    return torch.from_numpy(((places - side // 2) ** 2).sum(0) <= radius**2).to(torch.uint8)[None]


def draws(share: float, largest: float = 0.2) -> dict[str, torch.Tensor]:
    return {"share": torch.tensor([share]), "largest": torch.tensor([largest])}


@pytest.mark.parametrize("dims", [2, 3])
def test_a_part_fades_by_its_share_and_leaves_no_rim(dims: int) -> None:
    codes = ball(dims)
    dense = torch.from_numpy(ndimage.gaussian_filter(codes[0].numpy().astype(np.float32), 0.6))
    image = (0.2 + 0.6 * dense)[None, None]
    half, gone = (fade(image, codes, draws(share))[0, 0] for share in (0.5, 1.0))
    inner = ball(dims, radius=2)[0] > 0
    assert torch.allclose(half[inner], torch.tensor(0.5), atol=0.02)
    assert torch.allclose(gone, torch.tensor(0.2), atol=0.05)
    far = ball(dims, radius=8)[0] == 0
    assert torch.equal(half[far], image[0, 0][far])


def test_what_is_large_unlabelled_or_not_drawn_stays() -> None:
    image, codes = torch.rand(1, 2, 24, 24), ball(2)
    assert torch.equal(fade(image, codes, draws(0.9, largest=0.01)), image)
    assert torch.equal(fade(image, codes, draws(0.0)), image)
    assert torch.equal(fade(image, torch.where(codes == 1, 255, 0).to(torch.uint8), draws(0.9)), image)


def test_as_many_fade_as_are_asked_for_and_never_further() -> None:
    found = draw_fade(4000, {**DEFAULTS, "p": 0.3, "most": 0.6}, torch.Generator().manual_seed(0))["share"]
    assert abs((found > 0).float().mean() - 0.3) < 0.03 and 0.55 < found.max() <= 0.6


@pytest.mark.parametrize(("kind", "dims"), [(MaskAugment, 2), (VolumeAugment, 3)])
def test_a_recipe_can_ask_for_it(kind: type[MaskAugment], dims: int) -> None:
    codes = ball(dims).repeat(6, *[1] * dims)
    batch = {"inputs": (codes * 200)[:, None], "target": codes}
    found = kind({"fade": {"p": 1, "largest": 0.2}}, 2)(batch, torch.Generator().manual_seed(0))
    shades = {round(float(image[codes[0] == 1].mean()), 3) for image in found["inputs"][:, 0]}
    assert len(shades) == 6 and torch.equal(found["target"], codes)


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
@settings(max_examples=60, deadline=None)
def test_a_part_anywhere_and_of_any_size_fades_within_what_is_there(seed: int, dims: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(8, 30, dims).tolist())
    low = [int(rng.integers(side)) for side in shape]
    high = [int(rng.integers(start, side)) + 1 for start, side in zip(low, shape, strict=True)]
    codes = torch.zeros(1, *shape, dtype=torch.uint8)
    codes[(0, *(slice(start, stop) for start, stop in zip(low, high, strict=True)))] = 3
    image = torch.from_numpy(rng.random((1, 1, *shape), np.float32))
    found = fade(image, codes, draws(0.7, largest=1.0))
    assert found.shape == image.shape and bool(found.isfinite().all())
    assert float(found.min()) >= -1e-5 and float(found.max()) <= float(image.max()) + 1e-5
