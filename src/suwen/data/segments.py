"""DICOM segmentations (SEG) as masks of the volume they were drawn on.

References are to the DICOM standard, PS3.3 A.51 and C.8.20.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from suwen.core.errors import DataError, FileUnreadable
from suwen.data import dicom
from suwen.data.grid import Grid
from suwen.data.picture import SKIP
from suwen.data.series import LPS_TO_RAS, Plane, frames_of, read_header

OFF = 0.01
"""How far from a voxel of the volume a pixel of a segmentation may lie, in voxels: what rounding in headers makes."""


@dataclass(frozen=True)
class Segments:
    """The frames of one SEG file.

    Attributes:
        file: its name.
        labels: segment number → Segment Label.
        planes: where each frame lies.
        numbers: of the segment that each frame shows; None where frames hold the numbers themselves (LABELMAP).
        pixels: (frames, rows, columns).
    """

    file: Path
    labels: dict[int, str]
    planes: list[Plane]
    numbers: list[int] | None
    pixels: np.ndarray

    def on(self, grid: Grid) -> np.ndarray:
        """uint16 segment numbers in the order of a volume's file; 0 where there is none.

        Raises:
            DataError: a frame does not lie on the volume's voxels, or two segments overlap.
        """
        found = np.zeros(grid.shape, np.uint16)
        for number, plane in enumerate(self.planes):
            frame = self.pixels[number]
            rows, columns = np.nonzero(frame)
            if not len(rows):
                continue
            start, along_rows, along_columns = self._steps(plane, grid)
            places = start + rows[:, None] * along_rows + columns[:, None] * along_columns
            if (places < 0).any() or (places >= grid.shape).any():
                raise self._elsewhere(number, "reaches out of its volume")
            index = tuple(places.T)
            values = frame[rows, columns] if self.numbers is None else np.uint16(self.numbers[number])
            taken = found[index]
            if ((taken != 0) & (taken != values)).any():
                other = int(taken[(taken != 0) & (taken != values)][0])
                raise DataError(
                    f"{self.file}: segments {self.labels.get(other, other)} and "
                    f"{self.labels.get(int(np.max(values)), np.max(values))} overlap",
                    why="a voxel has one label here, and which of both it should be is not known",
                    fix="save them as two files, and name one",
                )
            found[index] = values
        return found

    def _steps(self, plane: Plane, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The voxel of a frame's first pixel, and what a step down its rows and along its columns is in voxels."""
        assert grid.affine is not None
        to_voxel = np.linalg.inv(grid.affine)
        turn = LPS_TO_RAS[:3, :3]
        start = to_voxel[:3, :3] @ (turn @ plane.position) + to_voxel[:3, 3]
        steps = [
            to_voxel[:3, :3] @ (turn @ direction) * step
            for direction, step in ((plane.directions[1], plane.spacing[0]), (plane.directions[0], plane.spacing[1]))
        ]
        exact = [np.rint(each) for each in (start, *steps)]
        length = max(plane.shape)
        off = [
            np.abs(start - exact[0]).max(),
            *(length * np.abs(s - e).max() for s, e in zip(steps, exact[1:], strict=True)),
        ]
        if max(off) > max(OFF, OFF * length / 100) or any(np.abs(each).sum() != 1 for each in exact[1:]):
            raise self._elsewhere(plane.number, f"lies {max(off):.3g} voxels beside those of its volume")
        first, down, right = (each.astype(np.int64) for each in exact)
        return first, down, right

    def _elsewhere(self, number: int, how: str) -> DataError:
        return DataError(
            f"{self.file}, frame {number + 1}, {how}",
            why="a segmentation belongs to the series it was drawn on",
            fix="name the volume that it was drawn on, or resample it onto this one",
        )


def is_segments(file: Path) -> bool:
    """Whether a file is a DICOM segmentation."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        if not dicom.recognised(opened.read(dicom.HEAD_BYTES)):
            return False
    return bool(read_header(file).get("Modality") == "SEG")


def read_segments(file: Path) -> Segments:
    """The frames of a SEG file.

    Raises:
        FileUnreadable: it is damaged, or does not say where its frames lie.
    """
    try:
        dataset = pydicom.dcmread(file, force=True)
        planes = frames_of(file, dataset)
        pixels = dicom.stored_values(file)
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        kind = str(dataset.get("SegmentationType") or "BINARY")
        if kind == "FRACTIONAL":
            pixels = pixels >= float(dataset.MaximumFractionalValue) / 2
        labels = {
            int(item.SegmentNumber): str(item.get("SegmentLabel") or item.SegmentNumber)
            for item in dataset.SegmentSequence
        }
        numbers = None if kind == "LABELMAP" else [_number(group) for group in dataset.PerFrameFunctionalGroupsSequence]
    except DataError as error:
        if isinstance(error, FileUnreadable):
            raise
        raise FileUnreadable(f"{file}: {error.seen}", why=error.why, fix=SKIP) from error
    except dicom.DICOM_ERRORS as error:
        raise FileUnreadable(f"{file}: {error}", why="the segmentation is cut short or damaged", fix=SKIP) from error
    return Segments(file, labels, planes, numbers, pixels)


def _number(group: pydicom.Dataset) -> int:
    return int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
