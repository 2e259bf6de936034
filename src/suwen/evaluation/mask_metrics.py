"""Metrics of masks, as rows of `suwen.evaluation.metrics.METRICS`.

A figure of several labels is the mean over labels of the mean over images; an image in which neither mask has a label
says nothing of that label.
"""

from __future__ import annotations

import numpy as np

from suwen.evaluation.mask_outcome import MaskOutcome
from suwen.evaluation.metric import Metric
from suwen.evaluation.outcome import Floats, Threshold
from suwen.evaluation.ranking import Statistic, ratio


def _over_images(values: Floats) -> Statistic:
    """Mean over labels of the weighted mean over the images where a value (N, K) is defined."""
    defined = np.isfinite(values)
    kept = defined.any(axis=0)
    if not kept.any():
        return lambda weights: np.full(len(weights), np.nan)
    filled, there = np.where(defined, values, 0.0)[:, kept], defined[:, kept].astype(np.float64)
    return lambda weights: np.asarray(ratio(weights @ filled, weights @ there).mean(axis=1))


def _pooled(part: Floats, whole: Floats) -> Statistic:
    """Mean over labels of Σ part / Σ whole over all images."""
    kept = whole.any(axis=0)
    if not kept.any():
        return lambda weights: np.full(len(weights), np.nan)
    parts, wholes = part[:, kept], whole[:, kept]
    return lambda weights: np.asarray(ratio(weights @ parts, weights @ wholes).mean(axis=1))


def dice(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """2TP / (2TP + FP + FN) (Dice 1945)."""
    return _over_images(outcome.dice)


def dice_pooled(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """The same over all pixels of all images together."""
    return _pooled(2 * outcome.hit, 2 * outcome.hit + outcome.missed + outcome.false)


def iou(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """TP / (TP + FP + FN) (Jaccard 1901)."""
    return _over_images(outcome.dice / (2 - outcome.dice))


def hd95(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """See `suwen.evaluation.surface.Surfaces.hausdorff`."""
    return _over_images(outcome.hd95)


def surface_dice(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """See `suwen.evaluation.surface.Surfaces.within`."""
    return _over_images(outcome.surface_dice)


def volume_error(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """|drawn - true| / true, of the images that show the label."""
    true = np.where(outcome.truth, outcome.true_size, np.nan)
    return _over_images(np.abs(outcome.said_size - true) / true)


def pixel_sensitivity(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """TP / (TP + FN) of the images that show the label."""
    return _over_images(np.where(outcome.truth, outcome.hit, np.nan) / np.where(outcome.truth, outcome.true_size, 1.0))


def pixel_precision(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """TP / (TP + FP) of the images in which the label was drawn."""
    drawn = outcome.said_size > 0
    return _over_images(np.where(drawn, outcome.hit, np.nan) / np.where(drawn, outcome.said_size, 1.0))


def lesion_sensitivity(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """Found lesions / all true ones."""
    return _pooled(outcome.found_lesions, outcome.found_lesions + outcome.missed_lesions)


def false_lesions(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """Drawn parts that touch no true one, an image."""
    return _over_images(outcome.false_lesions)


def panoptic_quality(outcome: MaskOutcome, _: Threshold) -> Statistic:
    """ΣIoU / (TP + FP/2 + FN/2) over parts matched with IoU > 0.5 (Kirillov et al., CVPR 2019, equation 1)."""
    true = outcome.found_lesions + outcome.missed_lesions
    return _pooled(2 * outcome.matched_iou, true + outcome.drawn_lesions)


_RELOADED = "Maier-Hein et al., Nature Methods 2024"

MASK_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("dice", dice, True, "overlap of the drawn and the true mask, mean over images", "Dice, Ecology 1945"),
        Metric("dice_pooled", dice_pooled, True, "the same over all pixels together", "Dice, Ecology 1945"),
        Metric("iou", iou, True, "intersection over union, mean over images", "Jaccard, New Phytologist 1912"),
        Metric(
            "hd95",
            hd95,
            False,
            "95th percentile of the distances between both surfaces, in pixels or mm",
            "Huttenlocher et al., IEEE PAMI 1993",
        ),
        Metric(
            "surface_dice",
            surface_dice,
            True,
            "share of both surfaces that lies within 2 pixels or mm of the other",
            "Nikolov et al., J Med Internet Res 2021",
        ),
        Metric("volume_error", volume_error, False, "|drawn - true| / true size", _RELOADED),
        Metric("pixel_sensitivity", pixel_sensitivity, True, "share of the true mask that was drawn", _RELOADED),
        Metric("pixel_precision", pixel_precision, True, "share of the drawn mask that is true", _RELOADED),
        Metric("lesion_sensitivity", lesion_sensitivity, True, "share of true parts that were touched", _RELOADED),
        Metric("false_lesions", false_lesions, False, "drawn parts an image that touch no true one", _RELOADED),
        Metric(
            "panoptic_quality",
            panoptic_quality,
            True,
            "part by part, matched with IoU > 0.5",
            "Kirillov et al., CVPR 2019",
        ),
    )
}
"""Name → metric."""
