"""Preprocessing keeps 8-bit values exactly, loses nothing of the picture that it need not, and travels as JSON."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pydantic import ValidationError

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.picture import Picture, picture_of
from suwen.data.preprocess import ImagePreprocess, choose, shade


@settings(max_examples=20, deadline=None)
@given(
    pixels=arrays(np.uint8, (9, 9)),
    channels=st.sampled_from([1, 3]),
    resize=st.sampled_from(["pad", "crop", "stretch"]),
)
def test_an_8_bit_picture_of_the_right_size_is_not_touched(pixels: np.ndarray, channels: int, resize: Any) -> None:
    made = ImagePreprocess(size=9, channels=channels, resize=resize)(pixels)
    assert made.dtype == np.uint8
    assert np.array_equal(made, np.stack([pixels] * channels))


def test_path_picture_and_array_give_the_same(tmp_path: Path, draw: Any) -> None:
    pixels = draw(1, 50, 40, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    preprocess = ImagePreprocess(size=16, channels=3)
    made = preprocess(pixels)
    assert np.array_equal(preprocess(tmp_path / "a.png"), made)
    assert np.array_equal(preprocess(str(tmp_path / "a.png")), made)
    assert np.array_equal(preprocess(picture_of(pixels)), made)


def test_it_travels_as_json_and_comes_back_the_same() -> None:
    preprocess = ImagePreprocess(size=64, channels=2, resize="crop", intensity="percentile")
    assert ImagePreprocess(**json.loads(json.dumps(preprocess.model_dump()))) == preprocess
    with pytest.raises(ValidationError):
        preprocess.size = 32  # type: ignore[misc]
    with pytest.raises(ValidationError):
        ImagePreprocess(size=64, channels=1, colour="red")  # type: ignore[call-arg]


# Brightness


def test_a_window_maps_black_and_white_and_clips_the_rest() -> None:
    values = np.array([[-500.0, -100.0, 150.0, 400.0, 900.0]])
    shown = shade(Picture(values, "dicom", -1024, 3071, (-100.0, 400.0)), "auto")
    assert shown.tolist() == [[0, 0, 128, 255, 255]]


def test_black_above_white_inverts() -> None:
    values = np.array([[0, 20, 100]], np.int16)
    assert shade(Picture(values, "dicom", 100, 0, (100.0, 0.0)), "auto").tolist() == [[255, 204, 0]]
    assert shade(Picture(values, "dicom", 100, 0), "range").tolist() == [[255, 204, 0]]
    assert shade(Picture(values, "dicom", 100, 0), "percentile").tolist()[0][::2] == [255, 0]


def test_16_bits_without_a_window_take_robust_percentiles() -> None:
    values = np.random.default_rng(0).normal(1000, 50, (200, 200)).astype(np.uint16)
    values[0, :20] = 65535  # a burnt-in marker: 0.05 % of the pixels
    low, high = np.percentile(values, [0.5, 99.5])
    expected = np.rint(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255)
    assert np.array_equal(shade(picture_of(values), "auto"), expected)
    assert shade(picture_of(values), "range")[100, 100] == round(values[100, 100] / 257)


def test_a_picture_of_one_shade_is_black_and_a_rare_bright_spot_is_still_seen() -> None:
    flat = np.full((100, 100), 700, np.uint16)
    assert shade(picture_of(flat), "auto").max() == 0
    flat[3, 3] = 800
    assert shade(picture_of(flat), "auto")[3, 3] == 255


def test_8_bits_keep_their_values_unless_percentiles_are_asked_for() -> None:
    values = np.arange(50, 150, dtype=np.uint8).reshape(10, 10)
    for intensity in ("auto", "window", "range"):
        assert np.array_equal(shade(picture_of(values), intensity), values)
    assert shade(picture_of(values), "percentile").min() == 0


def test_asking_for_a_window_that_a_deep_file_lacks_is_an_error() -> None:
    with pytest.raises(DataError, match="without a window") as refusal:
        ImagePreprocess(size=4, channels=1, intensity="window")(np.ones((4, 4), np.uint16))
    assert "intensity=auto" in refusal.value.fix


def test_nan_pixels_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 16 pixels are NaN"):
        ImagePreprocess(size=4, channels=1)(np.where(np.eye(4) * np.arange(4) == 2, np.nan, 1.0))


# Channels


def test_colour_becomes_grey_by_rec_601_luma_and_grey_keeps_its_value() -> None:
    preprocess = ImagePreprocess(size=1, channels=1)
    for colour in ([255, 0, 0], [0, 255, 0], [0, 0, 255], [12, 200, 77]):
        luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
        assert preprocess(np.array([[colour]], np.uint8)).item() == round(luma)
    every = np.arange(256, dtype=np.uint8)
    made = [preprocess(np.full((1, 1, 3), value, np.uint8)).item() for value in every]
    assert made == every.tolist()


def test_transparent_pixels_are_shown_on_black_unless_opacity_is_a_channel() -> None:
    pixels = np.array([[[200, 100, 50, 128]]], np.uint8)
    assert ImagePreprocess(size=1, channels=3)(pixels).ravel().tolist() == [100, 50, 25]
    assert ImagePreprocess(size=1, channels=4)(pixels).ravel().tolist() == [200, 100, 50, 128]
    grey = np.array([[[90, 90, 90, 10]]], np.uint8)
    assert ImagePreprocess(size=1, channels=2)(grey).ravel().tolist() == [90, 10]


def test_a_missing_opacity_is_full() -> None:
    assert ImagePreprocess(size=2, channels=2)(np.full((2, 2), 7, np.uint8))[:, 0, 0].tolist() == [7, 255]
    assert ImagePreprocess(size=2, channels=4)(np.full((2, 2), 7, np.uint8))[:, 0, 0].tolist() == [7, 7, 7, 255]


# Size


def test_pad_keeps_the_shape_and_adds_black_on_both_sides() -> None:
    made = ImagePreprocess(size=8, channels=1, resize="pad")(np.full((16, 8), 200, np.uint8))[0]
    assert (made[:, 2:6] == 200).all()
    assert made[:, :2].max() == made[:, 6:].max() == 0


def test_crop_takes_the_middle_and_stretch_takes_all(draw: Any) -> None:
    pixels = draw(3, 20, 60)
    crop = ImagePreprocess(size=20, channels=1, resize="crop")(pixels)[0]
    assert np.array_equal(crop, pixels[:, 20:40])
    stretch = ImagePreprocess(size=20, channels=1, resize="stretch")(pixels)[0]
    assert np.abs(stretch.astype(int) - pixels.reshape(20, 20, 3).mean(axis=2)).mean() < 4


def test_making_smaller_averages_and_shows_no_moire() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (256, 128))
    made = ImagePreprocess(size=28, channels=1)(stripes)
    assert np.abs(made.astype(int) - 127.5).max() < 12


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.integers(1, 40),
    channels=st.integers(1, 4),
    resize=st.sampled_from(["pad", "crop", "stretch"]),
)
def test_any_picture_gets_the_shape_asked_for(height: int, width: int, size: int, channels: int, resize: Any) -> None:
    made = ImagePreprocess(size=size, channels=channels, resize=resize)(np.full((height, width), 9, np.uint8))
    assert made.shape == (channels, size, size)
    assert set(np.unique(made[0])) <= {0, 9}


# The choice


@pytest.mark.parametrize(
    ("side", "size"), [(12, 28), (28, 28), (31, 28), (32, 32), (63, 32), (100, 96), (150, 128), (224, 224), (900, 224)]
)
def test_the_size_is_the_largest_usual_one_not_above_the_median_short_side(side: int, size: int) -> None:
    pictures = [np.zeros((side, side + 9), np.uint8)] * 3 + [np.zeros((2000, 2000), np.uint8)]
    assert choose(pictures).size == size


def test_one_channel_where_all_is_grey_else_three(draw: Any) -> None:
    grey, colour = draw(1), draw(2, channels=3)
    assert choose([grey, np.stack([grey] * 3, axis=-1)]).channels == 1
    assert choose([grey, colour]).channels == 3


def test_what_the_user_sets_is_kept() -> None:
    chosen = choose([np.zeros((50, 50), np.uint8)], size=48, channels=3, resize="crop", intensity="range")
    assert chosen == ImagePreprocess(size=48, channels=3, resize="crop", intensity="range")


def test_the_order_of_samples_plays_no_part(draw: Any) -> None:
    sides = [30] * 101 + [100] * 99
    samples = [
        Sample(id=f"{n:04d}", source=draw(n, side, side), target=None, subject="") for n, side in enumerate(sides)
    ]
    orders = [random.Random(seed).sample(samples, len(samples)) for seed in range(5)]
    assert {choose(order).size for order in orders} == {choose(samples).size}


def test_a_bad_file_is_left_for_later_but_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.png").touch()
    assert choose([tmp_path / "bad.png", np.zeros((40, 40), np.uint8)]).size == 32
    with pytest.raises(FileUnreadable, match=r"bad\.png has 0 bytes"):
        choose([tmp_path / "bad.png"])
    with pytest.raises(DataError, match="no samples"):
        choose([])
