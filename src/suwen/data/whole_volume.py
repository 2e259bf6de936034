"""What is done to a volume that is judged as a whole: axes, intensity, spacing, one size. It stays with the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import field_validator

from suwen.core.sample import Sample
from suwen.data.case import Opened
from suwen.data.codebook import Codebook
from suwen.data.volume_preprocess import (
    PATCH_VOXELS,
    STEP,
    VolumeShades,
    chosen_intensity,
    looked_at,
    median_spacing,
    three_sides,
)

WITHIN = 0.95
"""Share of the volumes looked at of which nothing is cut off."""


class WholeVolume(VolumeShades):
    """Volume to ``uint8 (1, *box)``: the middle of it, continued with black where it ends before the box does.

    Args:
        box: voxels along right, front and head; the same for every volume.
    """

    box: tuple[int, int, int]

    @field_validator("box")
    @classmethod
    def _large_enough(cls, box: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(box) < 8 or max(box) > 512:
            raise ValueError("each side of the box has 8 to 512 voxels")
        return box

    @property
    def patch(self) -> tuple[int, int, int]:
        """What the network sees at a time: all of it."""
        return self.box

    @property
    def size(self) -> int:
        """The longest side: what an encoder is built for."""
        return max(self.box)

    @property
    def window(self) -> tuple[int, int, int]:
        """What it sees at a time when it is asked: all of it."""
        return self.box

    @property
    def overlap(self) -> float:
        """There are no neighbouring windows."""
        return 0.0

    @property
    def classes(self) -> dict[str, int]:
        """Voxels have no labels."""
        return {}

    @property
    def codebook(self) -> Codebook:
        """Nor codes."""
        return Codebook(())

    @property
    def instances(self) -> bool:
        """Nor objects."""
        return False

    @property
    def spacing_from(self) -> str:
        """Why the spacing is what it is, unless it was asked for."""
        return "the finest, not below the median of the volumes, at which they fit into the box"

    def prepare(self, opened: Opened) -> np.ndarray:
        """The volume as uint8 ``(1, *box)``."""
        return middle_of(super().prepare(opened), self.box)

    def plan(self, shapes: np.ndarray) -> list[tuple[str, str, str]]:
        """See `suwen.data.case.DensePreprocess`."""
        spacing, intensity = super().plan(shapes)
        box = ("inputs.box", " x ".join(map(str, self.box)), "voxels of each volume, black where it ends before")
        return [spacing, box, intensity]


def middle_of(values: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """The middle ``(C, *box)`` of ``(C, *S)``, with zeros where S is shorter."""
    found = np.zeros((len(values), *box), values.dtype)
    taken, put = [slice(None)], [slice(None)]
    for have, wanted in zip(values.shape[1:], box, strict=True):
        both = min(have, wanted)
        taken.append(slice((have - both) // 2, (have - both) // 2 + both))
        put.append(slice((wanted - both) // 2, (wanted - both) // 2 + both))
    found[tuple(put)] = values[tuple(taken)]
    return found


def choose_whole_volume(samples: Sequence[Sample], settings: dict[str, Any]) -> WholeVolume:
    """The preprocessing that suits these volumes, where settings leave something open.

    The box holds `WITHIN` of them whole, in about `PATCH_VOXELS` voxels. What they are seen at is their median spacing,
    or coarser, by one factor along all axes, as far as that needs.

    Raises:
        DataError: none of those looked at can be read. (A single bad one is left for `build_cases` to report.)
    """
    found = three_sides(settings, "box", "spacing")
    if {"spacing", "intensity", "box"} <= set(found):
        return WholeVolume(**found)
    grids, values = looked_at(samples)
    found = chosen_intensity(values) | found
    extents = np.quantile([np.multiply(grid.body_shape, grid.body_spacing) for grid in grids], WITHIN, axis=0)
    if "spacing" not in found:
        finest = np.array(median_spacing(grids))
        room = math.prod(found["box"]) if "box" in found else PATCH_VOXELS
        coarser = max(1.0, (np.prod(extents / finest) / room) ** (1 / 3))
        found["spacing"] = tuple((finest * coarser).round(2).tolist())
    if "box" not in found:
        sides = extents / np.array(found["spacing"])
        found["box"] = tuple(max(STEP, STEP * math.ceil(side / STEP - 0.25)) for side in sides.tolist())
    return WholeVolume(**found)
