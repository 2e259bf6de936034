"""A `MaskOutcome`: for every image and label of one split, how far the mask that was drawn agrees with the true one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from suwen.core.errors import DataError
from suwen.data.grid import Grid
from suwen.data.instances import numbered
from suwen.evaluation.outcome import Bools, Floats, Outcome
from suwen.evaluation.surface import bounding_box, surfaces

TOLERANCE = 2.0
"""Of surface Dice, in the unit of the spacing: pixels, or mm."""

OVERLAP = 0.5
"""Least intersection over union of a matched pair in panoptic quality (Kirillov et al., CVPR 2019, section 4.1)."""


_COUNTS = ("found_lesions", "missed_lesions", "false_lesions", "drawn_lesions", "matched_iou", "matched")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two masks of one label in one image. Sizes are in pixels times the size of one."""

    hit: float
    missed: float
    false: float
    hd95: float
    surface_dice: float
    found_lesions: float
    missed_lesions: float
    false_lesions: float
    drawn_lesions: float
    matched_iou: float
    matched: float


Objects = NDArray[np.int32] | None
"""Numbers of objects, 0 where there is none; None where connected parts are the objects."""


def agreement(
    said: Bools,
    truth: Bools,
    grid: Grid | Sequence[float],
    tolerance: float = TOLERANCE,
    objects: tuple[Objects, Objects] = (None, None),
) -> Agreement:
    """How far two masks agree on a grid, or at a spacing of pixels.

    A label that neither mask has gives NaN distances. One that only one of them has gives the length of the image's
    diagonal: a missed label must not vanish from the mean (Maier-Hein et al., Nature Methods 2024,
    doi:10.1038/s41592-023-02151-z, on undefined values).

    Lesions are connected parts of the true mask (touching by a corner counts), or the drawn and the true `objects` that
    are given; one is found where a single pixel of it was drawn, and a drawn part is false where it touches none.
    """
    spacing = grid.spacing if isinstance(grid, Grid) else tuple(grid)
    pixel = grid.voxel if isinstance(grid, Grid) else math.prod(spacing)
    hit, missed, false = (float(part.sum()) * pixel for part in (said & truth, truth & ~said, said & ~truth))
    diagonal = math.dist([0.0] * said.ndim, [n * step for n, step in zip(said.shape, spacing, strict=True)])
    hd95, surface = math.nan, math.nan
    if hit + missed + false > 0:
        distances = surfaces(said, truth, spacing)
        hd95 = diagonal if distances is None else distances.hausdorff()
        surface = 0.0 if distances is None else distances.within(tolerance)
    parts = agreement_of_parts(said, truth, objects)
    return Agreement(hit=hit, missed=missed, false=false, hd95=hd95, surface_dice=surface, **parts)


def agreement_of_parts(said: Bools, truth: Bools, objects: tuple[Objects, Objects] = (None, None)) -> dict[str, float]:
    """The counts of an `Agreement`; see `agreement`."""
    union = said | truth
    none = dict.fromkeys(_COUNTS, 0.0)
    if not union.any():
        return none
    window = bounding_box(union)
    said, truth = said[window], truth[window]
    drawn, known = (None if each is None else each[window] for each in objects)
    said_parts, said_count = _parts(said, drawn)
    true_parts, true_count = _parts(truth, known)
    pairs, shared = np.unique(
        np.stack([true_parts[said & truth], said_parts[said & truth]]), axis=1, return_counts=True
    )
    true_sizes, said_sizes = np.bincount(true_parts.reshape(-1)), np.bincount(said_parts.reshape(-1))
    iou = shared / (true_sizes[pairs[0]] + said_sizes[pairs[1]] - shared)
    found, touched = len(np.unique(pairs[0])), len(np.unique(pairs[1]))
    return {
        "found_lesions": float(found),
        "missed_lesions": float(true_count - found),
        "false_lesions": float(said_count - touched),
        "drawn_lesions": float(said_count),
        "matched_iou": float(iou[iou > OVERLAP].sum()),
        "matched": float((iou > OVERLAP).sum()),
    }


def _parts(mask: Bools, objects: Objects) -> tuple[NDArray[np.int32], int]:
    """Numbers from 1 on of the objects within a mask, and how many there are."""
    if objects is None:
        found, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
        return found, int(count)
    inside = numbered(np.where(mask, objects, 0))
    return inside, int(inside.max(initial=0))


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskOutcome:
    """What was true and what was drawn, N images and K labels (without the background).

    Attributes:
        ids, subjects: (N,) names; bootstraps draw subjects.
        labels: the K labels.
        hit, missed, false: (N, K) sizes of what both masks have, the true one alone, the drawn one alone.
        hd95, surface_dice: (N, K), NaN where neither mask has the label.
        found_lesions, missed_lesions, false_lesions, drawn_lesions, matched: (N, K) counts.
        matched_iou: (N, K) the sum of the IoUs of matched parts.
        unit: of the sizes, ``"px"`` or ``"mL"``.
        pixels: what was said of some pixels, and what was true; their subjects are those of the images.
        metadata: N rows of further columns.
    """

    ids: NDArray[np.str_]
    subjects: NDArray[np.str_]
    labels: tuple[str, ...]
    hit: Floats
    missed: Floats
    false: Floats
    hd95: Floats
    surface_dice: Floats
    found_lesions: Floats
    missed_lesions: Floats
    false_lesions: Floats
    drawn_lesions: Floats
    matched_iou: Floats
    matched: Floats
    unit: str = "px"
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)
    pixels: Outcome | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[Agreement]],
        *,
        ids: Sequence[str],
        subjects: Sequence[str],
        labels: Sequence[str],
        unit: str = "px",
        metadata: pd.DataFrame | None = None,
    ) -> MaskOutcome:
        """From the agreements of N images, K each.

        Raises:
            DataError: none.
        """
        if not rows:
            raise DataError(
                "no images to evaluate", why="every figure would be undefined", fix="check the split's size"
            )
        columns: dict[str, Any] = {
            part.name: np.array([[getattr(cell, part.name) for cell in row] for row in rows])
            for part in fields(Agreement)
        }
        table = pd.DataFrame(index=range(len(rows))) if metadata is None else metadata.reset_index(drop=True)
        return cls(
            ids=np.array(list(ids), np.str_),
            subjects=np.array(list(subjects), np.str_),
            labels=tuple(labels),
            unit=unit,
            metadata=table,
            **columns,
        )

    @property
    def in_short(self) -> tuple[str, ...]:
        """The few metrics that a table with little room shows beside the headline."""
        return ("hd95", "surface_dice", "volume_error")

    @property
    def sentence(self) -> str:
        """Which sentence of the report says how good the model is."""
        return "finds_mask" if len(self.labels) == 1 else "finds_masks"

    @property
    def positive(self) -> int:
        """The label that a sentence about one label names."""
        return 0

    @property
    def truth(self) -> Bools:
        """(N, K) True where an image shows a label."""
        return np.asarray(self.hit + self.missed > 0)

    @property
    def present(self) -> Bools:
        """(N, K) True where either mask has the label: where Dice is defined."""
        return np.asarray(self.hit + self.missed + self.false > 0)

    @property
    def dice(self) -> Floats:
        """(N, K) 2TP / (2TP + FP + FN), NaN where neither mask has the label."""
        return _share(2 * self.hit, 2 * self.hit + self.missed + self.false)

    @property
    def true_size(self) -> Floats:
        """(N, K)."""
        return self.hit + self.missed

    @property
    def said_size(self) -> Floats:
        """(N, K)."""
        return self.hit + self.false

    def take(self, index: ArrayLike) -> MaskOutcome:
        """The images at `index` (integers or a boolean mask), in that order."""
        rows = np.arange(len(self))[np.asarray(index, dtype=None if np.size(index) else np.int64)]
        return self._changed(lambda values: values[rows], rows)

    def only(self, column: int) -> MaskOutcome:
        """The same images, asked about one label alone."""
        one = self._changed(lambda values: values[:, [column]] if values.ndim == 2 else values, np.arange(len(self)))
        return replace(one, labels=(self.labels[column],))

    def _changed(self, change: Any, rows: NDArray[np.int64]) -> MaskOutcome:
        arrays = {
            part.name: change(value)
            for part in fields(self)
            if isinstance(value := getattr(self, part.name), np.ndarray)
        }
        return replace(self, **arrays, metadata=self.metadata.iloc[rows].reset_index(drop=True), pixels=None)

    def note(self) -> str:
        """What keeps these images from being compared with others; empty if nothing does."""
        lacking = [label for column, label in enumerate(self.labels) if not self.truth[:, column].any()]
        return f"none of {', '.join(lacking[:3])}" if lacking else ""


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
