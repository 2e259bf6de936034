from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from suwen.explanation.overlay import layer_of, overlay, picture, png, slice_of


def image_of(side: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (channels, side, side), np.uint8)


@pytest.mark.parametrize(("side", "shown"), [(28, 224), (32, 224), (64, 256), (96, 192), (224, 224), (512, 512)])
def test_small_images_are_enlarged_by_a_whole_factor(side: int, shown: int) -> None:
    found = picture(image_of(side))
    assert found.size == (shown, shown) and found.mode == "RGB"
    assert np.array_equal(np.asarray(found)[:: shown // side, :: shown // side, 0], image_of(side)[0])


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_images_are_shown_grey(channels: int) -> None:
    image = image_of(224, channels)
    assert np.array_equal(np.asarray(picture(image)), np.repeat(image[0][..., None], 3, 2))


@pytest.mark.parametrize("channels", [3, 4])
def test_coloured_images_keep_their_colours(channels: int) -> None:
    image = image_of(224, channels)
    assert np.array_equal(np.asarray(picture(image)), image[:3].transpose(1, 2, 0))


def test_where_the_attribution_is_0_the_picture_shows_through() -> None:
    image = image_of(32)
    plain = overlay(image, np.zeros((32, 32), np.float32))
    assert np.array_equal(np.asarray(plain), np.asarray(picture(image)))


def test_where_it_is_1_the_heat_covers_as_much_as_its_strength() -> None:
    image = np.zeros((1, 32, 32), np.uint8)
    whole = np.ones((32, 32), np.float32)
    full, half = (np.asarray(overlay(image, whole, strength=strength), float) for strength in (1.0, 0.5))
    np.testing.assert_allclose(half, full / 2, atol=0.51)
    assert full.max() > 200


def test_half_of_the_image_can_be_covered() -> None:
    image, attribution = image_of(28), np.zeros((28, 28), np.float32)
    attribution[:, 14:] = 1
    found, below = np.asarray(overlay(image, attribution), int), np.asarray(picture(image), int)
    assert np.abs(found - below)[:, :96].max() <= 3 and np.abs(found - below)[:, 128:].mean() > 30


@pytest.mark.parametrize("side", [28, 300])
def test_png_bytes_are_the_picture(side: int) -> None:
    shown = overlay(image_of(side, 3), np.random.default_rng(1).random((side, side)))
    data = png(shown)
    assert data.startswith(b"\x89PNG")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(shown))


def test_a_volume_is_shown_where_its_map_says_most() -> None:
    volume = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 9), np.uint8)
    heat = np.zeros((20, 30, 9), np.float32)
    heat[3, 4, 7] = 1
    assert layer_of(heat) == 7 and layer_of(heat[..., 0]) is None
    below, shown = np.asarray(picture(volume, 7), int), np.asarray(overlay(volume, heat), int)
    changed = np.argwhere(np.abs(shown - below).sum(-1) > 60)
    # seen from the feet, front up: the right side of the body (small x in RAS order reversed) lies left
    assert slice_of(volume, 7).shape == (1, 30, 20)
    scale = below.shape[0] / 30
    assert np.allclose(changed.mean(0) / scale, [30 - 4 - 0.5, 20 - 3 - 0.5], atol=1)
