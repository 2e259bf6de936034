from __future__ import annotations

import numpy as np
import pytest

from suwen.data.codebook import Codebook
from suwen.evaluation.mask_baselines import MASK_BASELINES, dice_of, drawers, otsu_threshold

ONE = Codebook(("background", "organ"))


def pair(
    rng: np.random.Generator, *, dark: bool = False, shape: tuple[int, ...] = (40, 48)
) -> tuple[np.ndarray, np.ndarray]:
    codes = np.zeros(shape, np.uint8)
    codes[tuple(slice(8, 24) for _ in shape)] = 1
    values = rng.normal(80, 12, codes.shape) + np.where(codes == 1, -60 if dark else 90, 0)
    return np.clip(values, 0, 255).astype(np.uint8)[None], codes


def test_otsu_splits_where_the_variance_between_both_parts_is_largest() -> None:
    values = np.random.default_rng(0).integers(0, 256, 500).astype(np.uint8)
    values[:300] = np.random.default_rng(1).normal(60, 10, 300).clip(0, 255)

    def between(t: int) -> float:
        low, high = values[values <= t], values[values > t]
        if not len(low) or not len(high):
            return 0.0
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    assert np.isclose(between(otsu_threshold(values)), max(between(t) for t in range(256)))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("shape", [(40, 48), (28, 30, 32)])
def test_what_is_bright_or_dark_is_found_by_otsu_and_what_lies_always_there_by_the_atlas(
    dark: bool, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    train = [pair(rng, dark=dark, shape=shape) for _ in range(4)]
    pixels, codes = pair(rng, dark=dark, shape=shape)
    drawn = {name: drawer(pixels) for name, drawer in drawers(MASK_BASELINES, train, ONE).items()}
    assert all(each.shape == (1, *shape) and each.dtype == bool for each in drawn.values())
    assert dice_of(drawn["otsu"][0], codes == 1) > 0.95
    assert dice_of(drawn["atlas"][0], codes == 1) > 0.9
    assert not drawn["largest-class"].any()


def test_a_label_that_most_pixels_have_is_drawn_everywhere() -> None:
    pixels, codes = pair(np.random.default_rng(0))
    drawer = drawers(["largest-class"], [(pixels, 1 - codes)], ONE)["largest-class"]
    assert drawer(pixels).all()


def test_an_atlas_fits_images_of_other_sizes_and_does_not_count_what_is_unknown() -> None:
    pixels, codes = pair(np.random.default_rng(0))
    hidden = codes.copy()
    hidden[:20] = 255
    drawn = drawers(["atlas"], [(pixels, codes), (pixels, hidden)], ONE)["atlas"](np.zeros((1, 80, 96), np.uint8))
    assert dice_of(drawn[0], np.kron(codes, np.ones((2, 2))) == 1) > 0.9


def test_labels_that_overlap_are_each_drawn_by_themselves() -> None:
    rng = np.random.default_rng(0)
    codebook = Codebook(("background", "organ", "core"), (("organ", "core"),))
    pixels, codes = pair(rng)
    codes[12:20, 12:20] = 3
    drawn = drawers(MASK_BASELINES, [(pixels, codes)], codebook)
    atlas = drawn["atlas"](pixels)
    assert dice_of(atlas[0], codes > 0) > 0.9 and dice_of(atlas[1], codes == 3) > 0.8
    assert dice_of(drawn["otsu"](pixels)[0], codes > 0) > 0.95
