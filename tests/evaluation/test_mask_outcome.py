from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from suwen.core.errors import DataError
from suwen.evaluation.intervals import bootstrap
from suwen.evaluation.mask_metrics import MASK_METRICS
from suwen.evaluation.mask_outcome import MaskOutcome, agreement
from suwen.evaluation.mask_sections import worst_median_best
from suwen.evaluation.metrics import METRICS, measure, names_for
from suwen.evaluation.subgroups import subgroups


def square(*parts: tuple[int, int, int], side: int = 24) -> np.ndarray:
    """Squares of (top, left, size)."""
    mask = np.zeros((side, side), bool)
    for top, left, size in parts:
        mask[top : top + size, left : left + size] = True
    return mask


EMPTY = square()


def outcome(*pairs: tuple[np.ndarray, np.ndarray], labels: tuple[str, ...] = ("organ",)) -> MaskOutcome:
    names = [str(number) for number in range(len(pairs))]
    rows = [[agreement(said, truth, (1, 1))] for said, truth in pairs]
    return MaskOutcome.of(rows, ids=names, subjects=names, labels=labels)


def test_counts_are_those_of_the_pixels() -> None:
    found = agreement(square((2, 2, 4)), square((4, 2, 4)), (2.0, 0.5))
    assert (found.hit, found.missed, found.false) == (8, 8, 8)


def test_figures_against_scikit_learn() -> None:
    from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

    rng = np.random.default_rng(0)
    said, truth = rng.random((2, 24, 24)) > 0.6
    found = measure(outcome((said, truth)), ("dice", "dice_pooled", "iou", "pixel_sensitivity", "pixel_precision"))
    flat = truth.ravel(), said.ravel()
    assert np.isclose(found["dice"], f1_score(*flat)) and np.isclose(found["dice_pooled"], found["dice"])
    assert np.isclose(found["iou"], jaccard_score(*flat))
    assert np.isclose(found["pixel_sensitivity"], recall_score(*flat))
    assert np.isclose(found["pixel_precision"], precision_score(*flat))


def test_a_missed_label_counts_as_nothing_and_an_absent_one_not_at_all() -> None:
    truth = square((4, 4, 6))
    both = outcome((truth, truth), (EMPTY, truth), (EMPTY, EMPTY))
    found = measure(both, MASK_METRICS)
    assert found["dice"] == 0.5 and found["surface_dice"] == 0.5
    assert np.isclose(found["hd95"], math.hypot(24, 24) / 2)
    assert found["volume_error"] == 0.5 and found["pixel_sensitivity"] == 0.5 and found["pixel_precision"] == 1
    nothing = measure(outcome((EMPTY, EMPTY)), MASK_METRICS)
    assert all(math.isnan(value) for name, value in nothing.items() if name != "false_lesions")
    assert nothing["false_lesions"] == 0


def test_false_alarms_where_nothing_is_count() -> None:
    found = measure(outcome((square((2, 2, 3)), EMPTY)), MASK_METRICS)
    assert found["dice"] == 0 and found["false_lesions"] == 1 and math.isnan(found["pixel_sensitivity"])


def test_parts_are_found_missed_and_false() -> None:
    truth = square((1, 1, 4), (1, 12, 4), (14, 1, 4))
    said = square((1, 1, 4), (2, 15, 4), (20, 20, 2))
    found = outcome((said, truth))
    counts = [found.found_lesions, found.missed_lesions, found.false_lesions, found.drawn_lesions, found.matched]
    assert [int(each.item()) for each in counts] == [2, 1, 1, 3, 1]
    figures = measure(found, ("lesion_sensitivity", "panoptic_quality"))
    assert np.isclose(figures["lesion_sensitivity"], 2 / 3)
    assert np.isclose(figures["panoptic_quality"], 1 / (1 + 2 / 2 + 2 / 2))


def test_intervals_draw_subjects_and_hold_the_figure() -> None:
    rng = np.random.default_rng(0)
    pairs = [(square((int(rng.integers(2, 6)), 4, 8)), square((4, 4, 8))) for _ in range(12)]
    found = bootstrap(outcome(*pairs), MASK_METRICS, resamples=200)
    assert all(each["low"] <= each["value"] <= each["high"] for each in found.values())


def test_labels_and_rows_are_taken_apart() -> None:
    rows = [[agreement(square((2, 2, 4)), square((2, 2, 4)), (1, 1)), agreement(EMPTY, square((9, 9, 3)), (1, 1))]] * 3
    both = MaskOutcome.of(
        rows, ids="abc", subjects="abc", labels=("organ", "lesion"), metadata=pd.DataFrame({"x": [1, 2, 3]})
    )
    assert measure(both.only(0), ["dice"])["dice"] == 1 and measure(both.only(1), ["dice"])["dice"] == 0
    assert measure(both, ["dice"])["dice"] == 0.5
    assert both.take([2, 0]).ids.tolist() == ["c", "a"] and both.take([2, 0]).metadata["x"].tolist() == [3, 1]


def test_groups_are_compared_and_one_without_the_label_is_marked() -> None:
    truth = square((4, 4, 6))
    pairs = [(truth, truth)] * 6 + [(EMPTY, EMPTY)] * 6
    found = outcome(*pairs)
    table = pd.DataFrame({"site": ["north"] * 6 + ["south"] * 6})
    grouped = subgroups(MaskOutcome(**{**vars(found), "metadata": table}), "site", ["dice"], None, resamples=20, seed=0)
    assert grouped["groups"]["north"]["metrics"]["dice"]["value"] == 1
    assert "none of organ" in grouped["groups"]["south"]["note"] or "only" in grouped["groups"]["south"]["note"]


def test_worst_median_and_best_are_different_images() -> None:
    truth = square((4, 4, 6))
    found = outcome((truth, truth), (EMPTY, truth), (square((6, 4, 6)), truth), (EMPTY, EMPTY))
    assert worst_median_best(found) == {"worst": 1, "median": 2, "best": 0}
    assert worst_median_best(outcome((EMPTY, EMPTY))) == {}


def test_metrics_of_masks_and_of_labels_do_not_mix() -> None:
    assert not set(METRICS) & set(MASK_METRICS)
    assert names_for(outcome((EMPTY, EMPTY))) == tuple(MASK_METRICS)


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        MaskOutcome.of([], ids=[], subjects=[], labels=["organ"])
