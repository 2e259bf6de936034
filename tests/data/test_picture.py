"""A picture is told by what it shows, not by how it is stored; numbers that are no brightness are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from suwen.core.errors import DataError
from suwen.data.picture import Picture, picture_of

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_the_digest_is_of_the_values_shape_depth_and_display_range() -> None:
    same = picture_of(GREY)
    assert picture_of(GREY[..., None], "palette").digest() == same.digest()
    assert picture_of(np.asfortranarray(GREY)).digest() == same.digest()
    others = [
        picture_of(GREY.reshape(4, 3)),
        picture_of(GREY.astype(np.uint16)),
        picture_of(GREY + 1),
        picture_of(np.stack([GREY] * 3, axis=-1)),
        dataclasses.replace(same, low=255.0, high=0.0),
        dataclasses.replace(same, window=(0.0, 10.0)),
    ]
    assert len({same.digest(), *(other.digest() for other in others)}) == len(others) + 1


def test_the_byte_order_of_an_array_plays_no_part() -> None:
    assert picture_of(GREY.astype(">u2")).digest() == picture_of(GREY.astype("<u2")).digest()


def test_black_and_white_are_the_full_range_of_8_and_16_bits_and_the_extremes_of_other_depths() -> None:
    ranges = [(picture_of(GREY.astype(kind)).low, picture_of(GREY.astype(kind)).high) for kind in ("u1", "u2", "f4")]
    assert ranges == [(0, 255), (0, 65535), (0, 11)]
    assert picture_of(GREY > 5).pixels.max() == 255


def test_three_equal_channels_are_grey() -> None:
    assert picture_of(np.stack([GREY] * 3, axis=-1)).grey
    assert picture_of(np.stack([GREY] * 4, axis=-1)).grey
    assert not picture_of(np.stack([GREY, GREY, GREY + 1], axis=-1)).grey


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_number_are_refused_and_counted(value: float) -> None:
    pixels = GREY.astype(np.float32)
    pixels[1, 1] = value
    with pytest.raises(DataError, match="1 of 12 pixels are NaN or infinite") as refusal:
        picture_of(pixels)
    assert "nan_to_num" in refusal.value.fix
    with pytest.raises(DataError, match="NaN or infinite"):
        picture_of(pixels, display=(0.0, 1.0))


@pytest.mark.parametrize("shape", [(3,), (3, 4, 2), (2, 3, 4, 3), (0, 4), (3, 4, 5)])
def test_an_array_of_another_shape_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="pixels of shape"):
        picture_of(np.zeros(shape, np.uint8))


def test_text_and_complex_numbers_are_no_pixels() -> None:
    for array in (np.full((2, 2), "a"), np.zeros((2, 2), complex)):
        with pytest.raises(DataError, match="pixels of type"):
            picture_of(array)


def test_a_picture_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        picture_of(GREY).low = 3.0  # type: ignore[misc]
    assert isinstance(picture_of(GREY), Picture)
