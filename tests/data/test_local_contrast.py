"""Contrast against the surroundings forgets exposure, and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.local_contrast import DARK, FLAT, RANGE, SURROUNDINGS, local_contrast
from suwen.data.picture import picture_of
from suwen.data.preprocess import ImagePreprocess, shade


def texture(*shape: int, seed: int = 0, low: int = 60, high: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.uint8)


@settings(max_examples=20, deadline=None)
@given(gain=st.sampled_from([1, 2]), offset=st.integers(-30, 15), seed=st.integers(0, 99))
def test_exposure_makes_no_difference(gain: int, offset: int, seed: int) -> None:
    pixels = texture(48, 40, seed=seed)
    exposed = (pixels.astype(int) * gain + offset).astype(np.uint8)
    assert np.abs(local_contrast(exposed).astype(int) - local_contrast(pixels)).max() <= 1


def test_a_slope_over_the_picture_vanishes() -> None:
    pixels = texture(120, 120, low=40, high=60).astype(float) + np.linspace(0, 150, 120)
    shown = local_contrast(pixels.round().astype(np.uint8)).astype(float)
    assert (
        abs(shown[:, 15:45].mean() - shown[:, 75:105].mean()) < 2 < pixels[:, 75:105].mean() - pixels[:, 15:45].mean()
    )


def test_it_is_the_formula() -> None:
    pixels = texture(30, 36)
    sigma = max(1.0, 30 * SURROUNDINGS)
    reach = int(3 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()

    def around(plane: np.ndarray) -> np.ndarray:
        padded = np.pad(plane, reach, mode="edge")
        rows = np.apply_along_axis(np.convolve, 0, padded, kernel, "valid")
        return np.apply_along_axis(np.convolve, 1, rows, kernel, "valid")

    x = pixels.astype(float)
    apart = x - around(x)
    deviation = np.sqrt(around(apart**2) + (FLAT * x.std()) ** 2)
    expected = np.clip(128 + 127 / RANGE * apart / deviation, 0, 255)
    assert np.abs(local_contrast(pixels) - expected).max() <= 0.51


def test_a_black_margin_is_no_surroundings() -> None:
    pixels = texture(64, 64, 3)
    framed = np.zeros((64, 104, 3), np.uint8)
    framed[:, 20:84] = pixels
    framed[0, 0] = int(DARK * 100)
    shown, alone = local_contrast(framed), local_contrast(pixels)
    assert np.all(shown[:, :20] == 128) and np.all(shown[:, 84:] == 128)
    inner = (slice(None), slice(12, -12))
    assert np.abs(shown[:, 20:84][inner].astype(int) - alone[inner]).max() <= 2


def test_an_empty_picture_stays_empty() -> None:
    assert np.all(local_contrast(np.zeros((20, 20), np.uint8)) == 128)
    assert np.all(local_contrast(np.full((20, 20, 3), 77, np.uint8)) == 128)


def test_opacity_is_kept_and_the_preprocessing_uses_it() -> None:
    pixels = texture(40, 40, 4)
    shown = shade(picture_of(pixels), "local")
    assert np.array_equal(shown[..., 3], pixels[..., 3])
    assert np.array_equal(shown[..., :3], local_contrast(pixels[..., :3]))
    made = ImagePreprocess(size=40, channels=1, intensity="local")(pixels[..., 0])
    assert np.array_equal(made[0], local_contrast(pixels[..., 0]))
