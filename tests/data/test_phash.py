"""Pictures that look alike have hashes that differ in few bits; others in about half."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
from PIL import Image

from suwen.data.phash import perceptual_hash


def jpeg(pixels: np.ndarray, quality: int = 60) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def smaller(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((70, 70), Image.Resampling.BILINEAR))


def brighter(pixels: np.ndarray) -> np.ndarray:
    return (pixels * 0.8 + 40).astype(np.uint8)


@pytest.mark.parametrize("change", [jpeg, smaller, brighter])
def test_small_changes_flip_few_bits(draw: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for seed in range(20):
        pixels = draw(seed, 100, 100)
        distance = (perceptual_hash(pixels[None]) ^ perceptual_hash(change(pixels)[None])).bit_count()
        assert distance <= 4


def test_other_pictures_differ_in_about_half_of_the_bits(draw: Any) -> None:
    hashes = [perceptual_hash(draw(seed, 64, 64)[None]) for seed in range(40)]
    distances = [(one ^ other).bit_count() for one in hashes for other in hashes if one != other]
    assert 24 < np.mean(distances) < 40
    assert min(distances) > 4


def test_the_frequencies_are_those_of_scipy(draw: Any) -> None:
    pixels = draw(1, 32, 32)
    low = scipy.fft.dctn(pixels.astype(float), type=2)[:8, :8].ravel()
    expected = low > np.median(low[1:])
    bits = np.array([int(bit) for bit in f"{perceptual_hash(pixels[None]):064b}"], bool)
    assert np.array_equal(bits, expected)


def test_colour_is_hashed_by_its_brightness(draw: Any) -> None:
    pixels = draw(2, 40, 40)
    assert perceptual_hash(np.stack([pixels] * 3)) == perceptual_hash(pixels[None])
