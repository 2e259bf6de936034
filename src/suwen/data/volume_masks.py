"""Masks of volumes: NIfTI files and DICOM segmentations, laid onto the volume they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from suwen.core.errors import DataError
from suwen.data.grid import Grid
from suwen.data.nifti import is_nifti
from suwen.data.segments import is_segments, read_segments
from suwen.data.volumes import open_volume

APART = 0.01
"""Largest distance, in voxels, between a corner of a mask and that of its volume: what rounding in headers makes."""


def values_on(file: Path, grid: Grid) -> np.ndarray:
    """The values of a mask, in the order of the volume it belongs to; those of a segmentation are segment numbers.

    Raises:
        FileUnreadable: it cannot be read.
        DataError: it has another shape, or lies elsewhere.
    """
    if is_segments(file):
        return read_segments(file).on(grid)
    volume = open_volume(file)
    if volume.shape == grid.shape:
        refuse_apart(str(file), volume.affine, grid)
    stored = np.asarray(volume.stored)
    if (volume.slope, volume.intercept) == (1.0, 0.0):
        return stored
    return stored * volume.slope + volume.intercept


def is_volume(file: Path) -> bool:
    """Whether a mask is one of a volume: a NIfTI file, a folder, or a DICOM segmentation."""
    return is_nifti(file) or file.is_dir() or is_segments(file)


def values_in(file: Path) -> np.ndarray:
    """The values that a mask holds, each once, wherever it lies."""
    if is_segments(file):
        return np.array([0, *read_segments(file).labels])
    volume = open_volume(file)
    return np.unique(np.asarray(volume.stored) * volume.slope + volume.intercept).astype(np.int64)


def labels_in(file: Path) -> dict[str, int] | None:
    """Label → value, where the mask itself says so, as a segmentation does."""
    if not is_segments(file):
        return None
    return {label: number for number, label in read_segments(file).labels.items()}


def refuse_apart(name: str, affine: np.ndarray, grid: Grid) -> None:
    """Refuse a mask whose corners do not lie where those of its volume do.

    Raises:
        DataError: they are more than `APART` voxels apart; how far is said.
    """
    assert grid.affine is not None
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.float64)
    corners[:, :3] *= np.array(grid.shape) - 1
    away = np.linalg.norm(corners @ (affine - grid.affine).T, axis=1).max()
    if away > APART * min(grid.spacing):
        raise DataError(
            f"{name} lies up to {away:.4g} mm away from its volume",
            why="it has another affine: which of its voxels belongs to which of the volume is not known",
            fix="resample the mask onto the volume, or save both with one header",
        )
