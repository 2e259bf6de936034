"""A `Grid`: where the pixels of an image, or the voxels of a volume, lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Grid:
    """Indices of a file, and what lies there.

    Attributes:
        shape: (H, W) of an image, (I, J, K) of a volume, in the order of the file.
        affine: float64 (4, 4): voxel indices → millimetres towards the right, the front and the head (RAS, as NIfTI;
            DICOM counts towards left, back and head). None for an image, whose pixels have no place in the body.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None = None

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbours along each axis of the file: millimetres, or 1 pixel."""
        if self.affine is None:
            return (1.0,) * len(self.shape)
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def unit(self) -> str:
        """Of sizes: pixels, or millilitres."""
        return "px" if self.affine is None else "mL"

    @property
    def voxel(self) -> float:
        """The size of one, in `unit`."""
        return 1.0 if self.affine is None else math.prod(self.spacing) / 1000

    @property
    def body_shape(self) -> tuple[int, ...]:
        """`shape` along right, front and head."""
        return self._turned(self.shape)

    @property
    def body_spacing(self) -> tuple[float, ...]:
        """`spacing` along right, front and head."""
        return self._turned(self.spacing)

    def along_the_body(self, array: np.ndarray) -> np.ndarray:
        """An array of this shape with its axes along right, front and head (each axis the nearest one): a view."""
        if self.affine is None:
            return array
        return _apply(array, self._orientation())

    def as_in_the_file(self, array: np.ndarray) -> np.ndarray:
        """What `along_the_body` turned, turned back: a view."""
        if self.affine is None:
            return array
        from nibabel.orientations import axcodes2ornt, ornt_transform

        return _apply(array, ornt_transform(axcodes2ornt("RAS"), self._orientation()))

    def _orientation(self) -> np.ndarray:
        """(3, 2): for each axis of the file the axis of the body that it is nearest to, and whether it runs along."""
        from nibabel.orientations import io_orientation

        found: np.ndarray = io_orientation(self.affine)
        return found

    def _turned(self, values: Sequence[float]) -> tuple:  # type: ignore[type-arg]
        if self.affine is None:
            return tuple(values)
        found = list(values)
        for axis, body in enumerate(self._orientation()[:, 0].astype(int)):
            found[body] = values[axis]
        return tuple(found)


def _apply(array: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    from nibabel.orientations import apply_orientation

    turned: np.ndarray = apply_orientation(array, orientation)
    return turned
