"""Distances between the surfaces of two masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from suwen.evaluation.outcome import Bools, Floats


@dataclass(frozen=True)
class Surfaces:
    """From each surface pixel of one mask the distance to the surface of the other.

    Attributes:
        there: (n,) from the first mask to the second.
        back: (m,) from the second to the first.
    """

    there: Floats
    back: Floats

    def hausdorff(self, percent: float = 95) -> float:
        """The larger of both directions' percentiles (HD95: Huttenlocher et al. 1993, with the 95th percentile)."""
        return float(max(np.percentile(self.there, percent), np.percentile(self.back, percent)))

    def within(self, tolerance: float) -> float:
        """Surface Dice: the share of both surfaces that lies within `tolerance` of the other (Nikolov et al., Journal
        of Medical Internet Research 2021, doi:10.2196/26151), every surface pixel counting alike."""
        close = (self.there <= tolerance).sum() + (self.back <= tolerance).sum()
        return float(close / (len(self.there) + len(self.back)))


def surface_of(mask: Bools) -> Bools:
    """Pixels of a mask that touch what is not of it by a side; the edge of the image counts as not of it."""
    found: Bools = mask & ~ndimage.binary_erosion(mask)
    return found


def surfaces(first: Bools, second: Bools, spacing: Sequence[float]) -> Surfaces | None:
    """Distances in the unit of `spacing` (one number an axis); None where one mask is empty."""
    if not first.any() or not second.any():
        return None
    window = bounding_box(first | second)
    one, other = surface_of(_framed(first[window])), surface_of(_framed(second[window]))
    to_other = ndimage.distance_transform_edt(~other, sampling=spacing)
    to_one = ndimage.distance_transform_edt(~one, sampling=spacing)
    return Surfaces(to_other[one], to_one[other])


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest window that holds all of a mask that is not empty."""
    found = []
    for axis in range(mask.ndim):
        seen = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        found.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return tuple(found)


def _framed(mask: Bools) -> Bools:
    """With one pixel of nothing around it, so that what the window cuts is a surface as the image's edge is."""
    return np.pad(mask, 1)
