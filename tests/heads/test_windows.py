from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from suwen.heads.windows import SMALL, Sliding, gaussian, starts, whole


@pytest.fixture(autouse=True, params=["at once", "layer by layer"], scope="module")
def small(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways: inputs of which all is held, and those of which a few layers are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("suwen.heads.windows.SMALL", SMALL if request.param == "at once" else 0)
        yield request.param


def pixelwise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Two logits that depend on their pixel alone, and the mean."""
    y = x.float()
    return torch.cat([y, 2 * y - 1], 1), y.flatten(2).mean(2)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=3),
    st.sampled_from([4, 8, 16]),
    st.sampled_from([0.0, 0.25, 0.5, 0.75]),
)
def test_what_depends_on_its_pixel_alone_comes_back_as_it_is(shape: list[int], side: int, overlap: float) -> None:
    pixels = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
    found = whole(Sliding(pixelwise, pixels, [side] * len(shape), overlap))
    assert found.shape == (2, *shape)
    assert torch.allclose(found[0], torch.from_numpy(pixels[0]), atol=1e-5)


@pytest.mark.parametrize("shape", [(37, 50), (20, 33, 41)])
def test_blending_is_that_of_monai(shape: tuple[int, ...]) -> None:
    inferers = pytest.importorskip("monai.inferers")
    torch.manual_seed(0)
    dims = len(shape)
    layer = (torch.nn.Conv2d if dims == 2 else torch.nn.Conv3d)(1, 2, 3, padding=1)
    size = [16] * dims

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        return layer(x), x.flatten(2).mean(2)

    with torch.inference_mode():
        # MONAI lays the last window of a row at its end and the others at whole steps; on sides where both agree
        even = tuple(16 + 8 * (-(-(side - 16) // 8)) for side in shape)
        grown = np.random.default_rng(0).random((1, *even)).astype(np.float32)
        mine = whole(Sliding(network, grown, size, 0.5))
        theirs = inferers.sliding_window_inference(
            torch.from_numpy(grown)[None], size, 4, layer, overlap=0.5, mode="gaussian", sigma_scale=0.125
        )[0]
    assert torch.allclose(mine, theirs, atol=1e-5)


def test_only_as_many_layers_as_a_window_are_held_at_a_time(small: str) -> None:
    pixels = np.zeros((1, 100, 16), np.uint8)
    sliding = Sliding(pixelwise, pixels, [16, 16], 0.5)
    parts = list(sliding)
    assert len(parts) == len(sliding) and (len(parts) == 1) == (small == "at once")
    if small == "at once":
        return
    assert [part[0] for part in parts] == [0, *(part[1] for part in parts[:-1])] and parts[-1][1] == 100
    assert max(logits.shape[1] for _, _, logits in parts) <= 16


def test_pooled_features_are_the_mean_over_windows() -> None:
    pixels = np.random.default_rng(0).random((1, 16, 32)).astype(np.float32)
    sliding = Sliding(pixelwise, pixels, [16, 16], 0.0)
    whole(sliding)
    assert torch.allclose(sliding.pooled, torch.tensor([pixels.mean()]), atol=1e-6)


@given(st.integers(1, 300), st.integers(1, 64), st.floats(0, 0.9))
def test_windows_reach_from_one_end_to_the_other_without_a_gap(side: int, size: int, overlap: float) -> None:
    found = starts(side, size, overlap)
    assert found[0] == 0 and found[-1] == max(0, side - size) and found == sorted(set(found))
    assert all(later - earlier <= size for earlier, later in pairwise(found))


def test_the_middle_of_a_window_weighs_most() -> None:
    weight = gaussian([9, 9])
    assert weight.argmax() == 40 and weight.min() > 0 and torch.equal(weight, weight.flip(0, 1))


def test_sums_in_half_precision_are_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).normal(0, 8, (1, 40, 30)).astype(np.float32)
    exact = whole(Sliding(pixelwise, pixels, [16, 16], 0.5))
    monkeypatch.setattr("suwen.heads.windows.SMALL", 0)
    monkeypatch.setattr("suwen.heads.windows.LARGE", 0)
    half = whole(Sliding(pixelwise, pixels, [16, 16], 0.5))
    assert half.dtype == torch.float32 and (half - exact).abs().max() < 0.1 and (half - exact).abs().mean() < 0.01


def test_layers_are_handed_on_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suwen.heads.windows.SMALL", 0)
    monkeypatch.setattr("suwen.heads.windows.PIECE", 3 * 16)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 50, 16), np.uint8)
    sliding = Sliding(pixelwise, pixels, [16, 16], 0.5)
    parts = list(sliding)
    assert len(parts) == len(sliding) and max(stop - start for start, stop, _ in parts) == 3
    monkeypatch.setattr("suwen.heads.windows.PIECE", 1 << 22)
    assert torch.equal(torch.cat([logits for *_, logits in parts], 1), whole(sliding))
