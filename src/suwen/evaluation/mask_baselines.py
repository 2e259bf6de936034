"""What a model that draws must beat: Otsu's threshold, the commonest label everywhere, and the mean training mask.

Each is fitted on the training images, a label at a time, and draws one boolean mask a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from suwen.data.codebook import IGNORED, Codebook

Pixels = NDArray[np.uint8]
Codes = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Drawer = Callable[[Pixels], Masks]
"""Pixels ``(C, *S)`` → masks ``(K, *S)``, the background left out."""

ATLAS_SIDE = 64
THRESHOLDS = np.arange(0.1, 0.91, 0.1)
MOST_IMAGES = 50
"""Training images that a baseline looks at."""


@dataclass(frozen=True)
class MaskBaseline:
    """One row.

    Attributes:
        name: as in ``metrics.json``.
        fit: (training images with their codes, which can be gone through again and again; what the codes mean) → what
            draws.
        summary: what it is, in one sentence.
    """

    name: str
    fit: Callable[[Sequence[tuple[Pixels, Codes]], Codebook], Drawer]
    summary: str


def otsu_threshold(values: NDArray[np.uint8]) -> int:
    """The value t that splits a histogram into ≤ t and > t with the largest variance between both parts
    (Otsu, IEEE Transactions on Systems, Man, and Cybernetics 1979;9:62-66, equation 18)."""
    counts = np.bincount(values.reshape(-1), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return int(np.nan_to_num(between).argmax())


def dice_of(said: Masks, truth: Masks) -> float:
    """2TP / (2TP + FP + FN); 1 where both are empty."""
    total = said.sum() + truth.sum()
    return float(2 * (said & truth).sum() / total) if total else 1.0


def _planes(pixels: Pixels) -> list[Pixels]:
    """Every channel, and their mean."""
    mean = pixels.mean(axis=0)
    return [*pixels, np.rint(mean).astype(np.uint8)] if len(pixels) > 1 else [pixels[0]]


def _otsu_masks(pixels: Pixels) -> list[Masks]:
    """What is bright and what is dark in every plane."""
    found = []
    for plane in _planes(pixels):
        bright = plane > otsu_threshold(plane)
        found += [bright, ~bright]
    return found


def fit_otsu(train: Sequence[tuple[Pixels, Codes]], codebook: Codebook) -> Drawer:
    """For each label the channel, and the side of its threshold, that fit training best."""
    scores: list[NDArray[np.float64]] = []
    for pixels, codes in train:
        known = codes != IGNORED
        masks = _otsu_masks(pixels)
        true = codebook.masks(codes)
        scores.append(np.array([[dice_of(mask & known, there) for mask in masks] for there in true]))
    best = np.mean(scores, axis=0).argmax(axis=1)
    return lambda pixels: np.stack([_otsu_masks(pixels)[choice] for choice in best])


def fit_largest(train: Sequence[tuple[Pixels, Codes]], codebook: Codebook) -> Drawer:
    """The label that most pixels have, everywhere; nothing where that is the background."""
    counts = sum(codebook.counts(np.bincount(codes.reshape(-1), minlength=256)) for _, codes in train)
    commonest = int(np.argmax(counts))

    def draw(pixels: Pixels) -> Masks:
        found = np.zeros((len(codebook.labels) - 1, *pixels.shape[1:]), bool)
        if commonest > 0:
            found[commonest - 1] = True
        return found

    return draw


def fit_atlas(train: Sequence[tuple[Pixels, Codes]], codebook: Codebook) -> Drawer:
    """Where training images have each label, on one grid; drawn from the share that fits training best."""
    dims = train[0][1].ndim
    grid = (ATLAS_SIDE,) * dims
    labels = len(codebook.labels) - 1
    sums, known = np.zeros((labels, *grid)), np.zeros(grid)
    for _, codes in train:
        there = _resized(codes, grid)
        known += there != IGNORED
        sums += codebook.masks(there)
    shares = np.divide(sums, known, out=np.zeros_like(sums), where=known > 0)
    scores = np.zeros((labels, len(THRESHOLDS)))
    for _, codes in train:
        there = _resized(codes, grid)
        for label, true in enumerate(codebook.masks(there)):
            for number, least in enumerate(THRESHOLDS):
                drawn = (shares[label] >= least) & (there != IGNORED)
                scores[label, number] += dice_of(drawn, true)
    least = THRESHOLDS[scores.argmax(axis=1)]

    def draw(pixels: Pixels) -> Masks:
        shape = pixels.shape[1:]
        factors = [size / ATLAS_SIDE for size in shape]
        return np.stack(
            [ndimage.zoom(share, factors, order=1) >= low for share, low in zip(shares, least, strict=True)]
        )

    return draw


def _resized(codes: Codes, grid: Sequence[int]) -> Codes:
    places = [((np.arange(new) + 0.5) * old / new).astype(int) for old, new in zip(codes.shape, grid, strict=True)]
    return codes[np.ix_(*places)]


def drawers(names: Iterable[str], train: Sequence[tuple[Pixels, Codes]], codebook: Codebook) -> dict[str, Drawer]:
    """Each baseline, fitted. Of a large training set so many as `MOST_IMAGES`, evenly spread, are looked at."""
    rows = np.unique(np.linspace(0, len(train) - 1, MOST_IMAGES).round().astype(int)).tolist()
    seen = [train[row] for row in rows]
    return {name: MASK_BASELINES[name].fit(seen, codebook) for name in names}


MASK_BASELINES: dict[str, MaskBaseline] = {
    baseline.name: baseline
    for baseline in (
        MaskBaseline("otsu", fit_otsu, "Otsu's threshold of the best channel, on the side that fits training"),
        MaskBaseline("largest-class", fit_largest, "the label that most training pixels have, everywhere"),
        MaskBaseline("atlas", fit_atlas, "the mean training mask, whatever the image"),
    )
}
