from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from suwen.evaluation.surface import bounding_box, surface_of, surfaces


def blob(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 4) > 0.03)


def brute(first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """All pairwise distances between surface pixels: the definition itself."""
    one, other = (np.argwhere(surface_of(mask)) * spacing for mask in (first, second))
    distances = np.sqrt(((one[:, None] - other[None]) ** 2).sum(-1))
    return distances.min(1), distances.min(0)


@pytest.mark.parametrize(("shape", "spacing"), [((40, 50), (1.0, 1.0)), ((16, 20, 18), (3.0, 0.8, 0.8))])
def test_distances_are_those_of_every_pair_of_surface_pixels(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    first, second = blob(1, shape), blob(2, shape)
    found = surfaces(first, second, spacing)
    assert found is not None
    there, back = brute(first, second, spacing)
    assert np.allclose(np.sort(found.there), np.sort(there)) and np.allclose(np.sort(found.back), np.sort(back))
    assert np.isclose(found.hausdorff(), max(np.percentile(there, 95), np.percentile(back, 95)))
    assert np.isclose(found.within(2), ((there <= 2).sum() + (back <= 2).sum()) / (len(there) + len(back)))


@pytest.mark.parametrize("shape", [(40, 50), (16, 20, 18)])
def test_figures_are_those_of_monai(shape: tuple[int, ...]) -> None:
    metrics = pytest.importorskip("monai.metrics")
    torch = pytest.importorskip("torch")
    first, second = blob(1, shape), blob(2, shape)
    found = surfaces(first, second, [1.0] * len(shape))
    assert found is not None
    said, truth = (torch.from_numpy(mask)[None, None].float() for mask in (first, second))
    hd95 = metrics.compute_hausdorff_distance(said, truth, percentile=95)
    assert np.isclose(found.hausdorff(), float(hd95), atol=1e-4)
    share = metrics.compute_surface_dice(said, truth, [2.0])
    assert np.isclose(found.within(2.0), float(share), atol=1e-4)


def test_a_mask_lies_on_itself_and_an_empty_one_nowhere() -> None:
    mask = blob(1, (30, 30))
    found = surfaces(mask, mask, (1, 1))
    assert found is not None and found.hausdorff() == 0 and found.within(0) == 1
    assert surfaces(mask, np.zeros_like(mask), (1, 1)) is None


def test_the_edge_of_the_image_is_a_surface() -> None:
    mask = np.ones((5, 5), bool)
    assert surface_of(np.pad(mask, 1)).sum() == 16
    assert bounding_box(np.pad(mask, 2)) == (slice(2, 7), slice(2, 7))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(40, 50), (18, 20, 16)]))
@settings(max_examples=20, deadline=None)
def test_both_ways_to_distances_are_one(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    masks = [ndimage.gaussian_filter(rng.normal(size=shape), 2) > 0.05 for _ in range(2)]
    spacing = rng.uniform(0.5, 3, len(shape)).tolist()
    if not all(mask.any() for mask in masks):
        return
    found = {}
    for sparse in (0, 10**9):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("suwen.evaluation.surface.SPARSE", sparse)
            found[sparse] = surfaces(*masks, spacing)
    tree, whole = found[0], found[10**9]
    assert tree is not None and whole is not None
    np.testing.assert_allclose(tree.there, whole.there, atol=1e-9)
    np.testing.assert_allclose(tree.back, whole.back, atol=1e-9)
