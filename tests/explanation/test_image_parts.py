from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from suwen.core.errors import DataError
from suwen.explanation.image_parts import BASELINES, SEGMENTS, ImageParts, blurred, slic


@given(st.sampled_from(sorted(SEGMENTS)), st.integers(1, 40), st.integers(4, 40), st.integers(4, 40), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_segments_are_numbered_without_gaps(kind: str, count: int, height: int, width: int, channels: int) -> None:
    x = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(0))
    found = ImageParts.segments(x, kind, count)
    assert found.shape == (height, width)
    assert found.unique().tolist() == list(range(int(found.max()) + 1))
    assert int(found.max()) + 1 <= max(1, round(count**0.5)) ** 2


def test_superpixels_keep_to_borders_that_a_grid_cuts() -> None:
    x = torch.zeros(1, 32, 32)
    x[:, 9:23, 11:21] = 1
    found = slic(x, 16)
    inside = x[0].bool()
    assert not set(found[inside].tolist()) & set(found[~inside].tolist())


def test_a_constant_image_is_cut_into_a_regular_grid() -> None:
    sizes = torch.bincount(slic(torch.full((1, 32, 32), 0.3), 16).flatten())
    assert len(sizes) == 16 and sizes.max() <= 2 * sizes.min()


def test_the_blur_is_a_gaussian_and_keeps_constants() -> None:
    x = torch.rand(2, 40, 40, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(gaussian_filter(x.numpy(), (0, 2, 2), mode="nearest", truncate=3.0))
    torch.testing.assert_close(blurred(x), expected, atol=1e-4, rtol=1e-3)
    assert torch.allclose(blurred(torch.full((1, 9, 30), 0.7)), torch.tensor(0.7), atol=1e-6)


def test_a_smoothed_map_keeps_its_sum() -> None:
    maps = torch.randn(2, 24, 24, generator=torch.Generator().manual_seed(0))
    smoothed = ImageParts.smooth(maps, 1 / 12)
    torch.testing.assert_close(smoothed.sum((1, 2)), maps.sum((1, 2)), atol=1e-3, rtol=1e-3)
    assert smoothed.std() < 0.5 * maps.std() and torch.equal(ImageParts.smooth(maps, 0), maps)


@pytest.mark.parametrize("kind", sorted(BASELINES))
def test_what_is_kept_is_the_image_and_the_rest_is_the_baseline(kind: str) -> None:
    x = torch.rand(3, 8, 8)
    start, keep = ImageParts.baseline(x, kind), torch.rand(5, 8, 8) < 0.5
    mixed = ImageParts.mix(x, start, keep)
    for image, kept in zip(mixed, keep, strict=True):
        assert torch.equal(image[:, kept], x[:, kept]) and torch.equal(image[:, ~kept], start[:, ~kept])


def test_other_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(B, C, H, W\)"):
        ImageParts.read(torch.rand(8, 8))
