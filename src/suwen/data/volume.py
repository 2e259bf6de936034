"""A `Volume`: voxels in the order of their file, and where in the patient each of them lies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.data.grid import Grid

SQUARE = 1e-3
"""Largest cosine between two axes that are taken for perpendicular: 0.06 degrees. Files keep six decimals and fewer."""

LAYERS_AT_A_TIME = 16


@dataclass(frozen=True, eq=False)
class Volume:
    """One image of the body.

    Attributes:
        stored: (I, J, K) integers or floats as the file holds them, or what reads them where it is indexed.
        affine: see `suwen.data.grid.Grid`.
        slope, intercept: values are ``stored * slope + intercept`` (Hounsfield units for CT).
        mode: what it is: ``nifti int16``, ``dicom CT`` …
        window: the (black, white) values that the file itself asks for, or None.
        oriented: whether the file says where the patient is; without that, left and right are guesses.
        name: the file or folder, for errors.
        header: what a mask of it is written with: a NIfTI header, or the DICOM headers of its slices.
    """

    stored: np.ndarray
    affine: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    mode: str = "array"
    window: tuple[float, float] | None = None
    oriented: bool = True
    name: str = "the volume"
    header: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        refuse_impossible(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(I, J, K)."""
        found: tuple[int, int, int] = tuple(self.stored.shape)
        return found

    @property
    def grid(self) -> Grid:
        """Where its voxels lie."""
        return Grid(self.shape, self.affine)

    def layers(self) -> Iterator[tuple[slice, np.ndarray]]:
        """A few layers at a time along the last axis: where, and their values as float32.

        Raises:
            DataError: a voxel is not a finite number.
        """
        for start in range(0, self.shape[2], LAYERS_AT_A_TIME):
            part = slice(start, min(start + LAYERS_AT_A_TIME, self.shape[2]))
            values = np.asarray(self.stored[:, :, part]).astype(np.float32)
            if (self.slope, self.intercept) != (1.0, 0.0):
                values = values * np.float32(self.slope) + np.float32(self.intercept)
            if not np.isfinite(values).all():
                count = int((~np.isfinite(values)).sum())
                raise DataError(
                    f"{self.name} has voxels that are NaN or infinite, {count} of them in layers {part.start} to "
                    f"{part.stop - 1}",
                    why="they have no brightness, and one of them turns every weight of a network into NaN",
                    fix="replace them, for example with numpy.nan_to_num, and save the volume again",
                )
            yield part, values

    def without_voxels(self) -> Volume:
        """Where it lies and what a mask of it is written with, for who has no need of its values any longer."""
        return replace(self, stored=np.broadcast_to(np.zeros((), np.dtype(self.stored.dtype)), self.shape))

    def digest(self) -> bytes:
        """16 bytes that two volumes share only when their values and their places are equal."""
        state = hashlib.blake2b(f"{self.shape} {self.affine.round(6).tolist()}".encode(), digest_size=16)
        for _, values in self.layers():
            state.update(np.ascontiguousarray(values).data)
        return state.digest()


def refuse_impossible(volume: Volume) -> None:
    """Refuse voxels without a size, and axes that are not perpendicular.

    Raises:
        DataError: the volume is named.
    """
    if volume.stored.ndim != 3 or 0 in volume.stored.shape:
        raise DataError(
            f"{volume.name} has the shape {' x '.join(map(str, volume.stored.shape))}",
            why="a volume has three axes, and voxels along each of them",
            fix=_one_of(volume.stored.shape),
        )
    axes = volume.affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(volume.affine).all() or not (lengths > 0).all():
        raise DataError(
            f"{volume.name} has voxels of {' x '.join(f'{length:g}' for length in lengths)} mm",
            why="a voxel without a size has no volume, and distances in it mean nothing",
            fix="correct the spacing in its header",
        )
    cosines = np.abs((axes / lengths).T @ (axes / lengths))
    lean = float(cosines[np.triu_indices(3, 1)].max())
    if lean > SQUARE:
        raise DataError(
            f"{volume.name} has axes that stand at {math.degrees(math.acos(min(lean, 1.0))):.2f} degrees to each other",
            why="it was sheared (a tilted gantry does that), so that distances and volumes of voxels would be wrong",
            fix="resample it onto a straight grid first, for example with dcm2niix or SimpleITK",
        )


def _one_of(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return f"save the one of its {shape[3]} volumes that is meant as a file of its own"
    return "save a volume of three axes"
