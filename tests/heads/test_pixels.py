from __future__ import annotations

import numpy as np
import torch

from suwen.heads.pixels import A_PART, MOST, SURE, PixelSample


def said(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return (4 * torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed))).softmax(0)


def test_places_are_those_of_the_whole_and_only_unsure_ones_are_taken() -> None:
    p = said((10, 6, 5))
    sample = PixelSample(seed=1)
    for start in range(0, 10, 4):
        sample.see(start, p[:, start : start + 4])
    places, found = sample.taken()
    flat = p.flatten(1).T.numpy()
    assert len(np.unique(places)) == len(places) > 100 and np.allclose(found, flat[places])
    assert found[:, 0].max() < SURE and (flat[:, 0] >= SURE).any()


def test_no_more_are_kept_than_are_asked_for_and_a_seed_repeats_them() -> None:
    def take(seed: int) -> np.ndarray:
        sample = PixelSample(seed)
        for start in range(6):
            sample.see(start, said((1, 40, 50), start))
        return sample.taken()[0]

    assert len(take(3)) == MOST < 6 * A_PART
    assert np.array_equal(take(3), take(3)) and not np.array_equal(take(3), take(4))


def test_where_all_is_background_nothing_is_taken() -> None:
    sure = torch.zeros(2, 4, 4)
    sure[0] = 1
    sample = PixelSample(0)
    sample.see(0, sure)
    assert len(sample.taken()[0]) == 0
