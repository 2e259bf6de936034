from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.codebook import IGNORED, Codebook, checked_overlaps, overlaps_of, planned, sets_in

LABELS = ("background", "whole", "core", "edge")
NESTED = (("whole", "core"), ("whole", "core", "edge"))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_masks_become_codes_and_codes_masks_again(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    names = tuple("abcd"[:count])
    masks = rng.random((count, 6, 7)) < rng.random()
    found, sets = sets_in(zip(names, masks, strict=True))
    assert found is not None
    shown = [sets[number] for number in np.unique(found)]
    codebook = Codebook(("background", *names), overlaps_of([shown], names))
    codes = np.array([codebook.code_of(one) or 0 for one in sets], np.uint8)[found]
    assert np.array_equal(codebook.masks(codes), masks)
    counts = codebook.counts(np.bincount(codes.ravel(), minlength=256))
    assert counts[1:].tolist() == masks.sum((1, 2)).tolist()


def test_each_set_of_labels_has_a_code_of_its_own() -> None:
    codebook = Codebook(LABELS, NESTED)
    assert len(codebook) == 6 and [codebook.named(code) for code in (0, 2, 5)] == [
        ("background",),
        ("core",),
        ("whole", "core", "edge"),
    ]
    assert codebook.code_of(("core", "whole")) == 4 and codebook.code_of(("whole", "edge")) is None
    codes = np.array([0, 1, 4, 5, IGNORED], np.uint8)
    assert codebook.mask(codes, 1).tolist() == [False, True, True, True, False]
    assert codebook.mask(codes, 3).tolist() == [False, False, False, True, False]


def test_a_label_that_is_taken_away_leaves_the_others() -> None:
    codebook = Codebook(LABELS, NESTED)
    assert codebook.without(3).tolist() == [0, 1, 2, 0, 4, 4]
    # core + edge without whole has no code: the largest part of it that has one stays
    assert codebook.without(1).tolist()[:5] == [0, 0, 2, 3, 2] and codebook.without(1)[5] in (2, 3)


def test_a_plan_names_what_overlaps() -> None:
    assert planned(()) == [] and planned(NESTED)[0][:2] == ("inputs.overlaps", "whole + core; whole + core + edge")


@pytest.mark.parametrize("overlaps", [[["whole"]], [["whole", "liver"]], [["background", "whole"]], [["core", "core"]]])
def test_sets_that_are_none_are_refused(overlaps: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="a set of two and more"):
        checked_overlaps(overlaps, LABELS)
