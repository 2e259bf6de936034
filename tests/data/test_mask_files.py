from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.mask_files import classes_from, codes_of, mask_values


def test_values_become_positions_of_their_labels() -> None:
    values = np.array([[0, 255], [7, 0]])
    assert codes_of(values, {"background": 0, "cell": 255, "wall": 7}, "m").tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize("value", [3, 400, -1])
def test_a_value_without_a_label_is_refused_by_name(value: int) -> None:
    with pytest.raises(DataError, match=rf"m\.png holds the value {value}"):
        codes_of(np.array([[0, value]]), {"background": 0, "cell": 255}, "m.png")


def test_labels_nobody_named_are_named_after_their_value() -> None:
    assert classes_from([255, 0], "m") == {"background": 0, "foreground": 255}
    assert classes_from([2, 0, 1], "m") == {"background": 0, "label_1": 1, "label_2": 2}


def test_masks_that_are_empty_or_pictures_are_refused() -> None:
    with pytest.raises(DataError, match="all masks are empty"):
        classes_from([0], "m")
    with pytest.raises(DataError, match="different values"):
        classes_from(range(200), "m.jpg")


def test_of_a_palette_the_indices_count_and_not_the_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "voc.png")
    assert mask_values(tmp_path / "voc.png").tolist() == [[0, 1], [2, 1]]


def test_a_grey_mask_saved_in_colour_is_grey(tmp_path: Path) -> None:
    Image.fromarray(np.repeat(np.array([[[0], [255]]], np.uint8), 3, 2)).save(tmp_path / "m.png")
    assert mask_values(tmp_path / "m.png").tolist() == [[0, 255]]


def test_fractions_are_no_labels() -> None:
    assert mask_values(np.array([[0.0, 2.0]])).tolist() == [[0, 2]]
    with pytest.raises(FileUnreadable, match="whole numbers"):
        mask_values(np.array([[0.5]]))
