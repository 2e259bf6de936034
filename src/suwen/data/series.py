"""DICOM slices and multi-frame files to `Volume`, ordered by where they lie and not by their names.

References are to the DICOM standard, PS3.3. Nothing is made up: slices without a place, in two directions, in two
places at once, with a gap, or on a tilted gantry are refused, and the file is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from suwen.core.errors import DataError, FileUnreadable
from suwen.data import dicom
from suwen.data.picture import SKIP
from suwen.data.volume import Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts towards the left, the back and the head (C.7.6.2.1.1), NIfTI towards right, front and head."""

TURN = 1e-4
"""Largest difference of direction cosines between slices of one series."""

GAP, DRIFT = 0.01, 0.1
"""Largest deviation of the distance between two slices from the usual one, as a share of it; and of a slice from the
line through the first and the last one's centres, in pixels."""

NOT_IMAGES = {"RTDOSE": "a dose", "RTSTRUCT": "contours", "SEG": "a segmentation", "SR": "a report", "RTPLAN": "a plan"}


@dataclass(frozen=True)
class Plane:
    """Where one slice lies.

    Attributes:
        file: of which it is.
        position: (3,) mm, the centre of its first pixel (Image Position (Patient), LPS).
        directions: (2, 3) of its rows and columns (Image Orientation (Patient)).
        spacing: (2,) mm between rows, and between columns (Pixel Spacing).
        shape: rows and columns.
        number: of its frame, 0 for a file of one.
    """

    file: Path
    position: np.ndarray
    directions: np.ndarray
    spacing: tuple[float, float]
    shape: tuple[int, int]
    number: int = 0

    @property
    def normal(self) -> np.ndarray:
        """(3,) perpendicular to both."""
        return np.cross(self.directions[0], self.directions[1])

    @property
    def place(self) -> float:
        """How far along its normal it lies, in mm."""
        return float(self.position @ self.normal)


def series_in(folder: Path) -> dict[str, list[Path]]:
    """Series UID → the DICOM image files of it in a folder, in order of their names; other files are passed over.

    Raises:
        FileUnreadable: a file that begins as DICOM cannot be read.
    """
    found: dict[str, list[Path]] = {}
    for file in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        with file.open("rb") as opened:
            if not dicom.recognised(opened.read(dicom.HEAD_BYTES)):
                continue
        header = read_header(file)
        if header.get("Modality") in NOT_IMAGES or "Rows" not in header:
            continue
        found.setdefault(str(header.get("SeriesInstanceUID") or ""), []).append(file)
    return found


def read_header(file: Path) -> pydicom.Dataset:
    """All but the pixels."""
    try:
        return pydicom.dcmread(file, force=True, stop_before_pixels=True)
    except dicom.DICOM_ERRORS as error:
        raise FileUnreadable(f"{file}: {error}", why="the DICOM file is cut short or damaged", fix=SKIP) from error


def read_series(files: Sequence[Path]) -> Volume:
    """The volume of the slices of one series, or of one multi-frame file.

    Raises:
        FileUnreadable: a slice is damaged, or does not go with the others; the message names it.
    """
    headers = [read_header(file) for file in files]
    planes = [plane for file, header in zip(files, headers, strict=True) for plane in planes_of(file, header)]
    order = in_order(planes)
    by_file = dict(zip(files, headers, strict=True))
    try:
        stored, slope, intercept = _pixels([planes[place] for place in order], by_file)
        first = by_file[planes[order[0]].file]
        return Volume(
            # (slice, row, column) → (column, row, slice)
            stored=stored.transpose(2, 1, 0),
            affine=LPS_TO_RAS @ affine_of([planes[place] for place in order], first),
            slope=slope,
            intercept=intercept,
            mode=f"dicom {first.get('Modality', '')}".strip(),
            window=dicom.window_of(first),
            name=_named(files),
            header=[by_file[planes[place].file] for place in order],
        )
    except FileUnreadable:
        raise
    except DataError as error:
        raise FileUnreadable(error.seen, why=error.why, fix=error.fix or SKIP) from error


def _named(files: Sequence[Path]) -> str:
    return str(files[0] if len(files) == 1 else files[0].parent)


def planes_of(file: Path, header: pydicom.Dataset) -> list[Plane]:
    """Where the slice, or each frame of a multi-frame file (C.7.6.16), lies.

    Raises:
        FileUnreadable: it does not say so, or is no grey image.
    """
    if kind := NOT_IMAGES.get(str(header.get("Modality"))):
        raise FileUnreadable(f"{file} is {kind}", why="a volume is made of images", fix=SKIP)
    if header.get("PhotometricInterpretation") not in dicom.GREY:
        raise FileUnreadable(
            f"{file} has {header.get('PhotometricInterpretation', 'no')} pixels",
            why="a volume has one value a voxel",
            fix=SKIP,
        )
    return frames_of(file, header)


def frames_of(file: Path, header: pydicom.Dataset) -> list[Plane]:
    """Where each frame of a file lies, whatever it shows.

    Raises:
        FileUnreadable: it does not say so.
    """
    frames = int(header.get("NumberOfFrames") or 1)
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in header:
        return [_plane(file, header, header, header, header, 0)]
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(groups) != frames:
        raise FileUnreadable(
            f"{file} has {frames} frames and says of {len(groups)} where they lie",
            why="where the others are in the patient is not known",
            fix=SKIP,
        )
    return [
        _plane(
            file,
            header,
            _group("PlanePositionSequence", group, shared),
            _group("PlaneOrientationSequence", group, shared),
            _group("PixelMeasuresSequence", group, shared),
            number,
        )
        for number, group in enumerate(groups)
    ]


def _group(name: str, frame: pydicom.Dataset, shared: pydicom.Dataset) -> pydicom.Dataset:
    """A functional group of one frame, or what all share (C.7.6.16.1)."""
    found: pydicom.Dataset = (frame.get(name) or shared.get(name) or [pydicom.Dataset()])[0]
    return found


def _plane(
    file: Path,
    header: pydicom.Dataset,
    position: pydicom.Dataset,
    orientation: pydicom.Dataset,
    measures: pydicom.Dataset,
    number: int,
) -> Plane:
    said = {
        "ImagePositionPatient": position.get("ImagePositionPatient"),
        "ImageOrientationPatient": orientation.get("ImageOrientationPatient"),
        "PixelSpacing": measures.get("PixelSpacing"),
    }
    missing = [name for name, value in said.items() if not value]
    if missing:
        raise FileUnreadable(
            f"{file} has no {' and no '.join(missing)}",
            why="where its pixels lie in the patient is not known, and it is not guessed",
            fix="export the series with its geometry, or pass --skip-bad to go on without it",
        )
    directions = np.array([float(each) for each in said["ImageOrientationPatient"]]).reshape(2, 3)
    spacing = [float(each) for each in said["PixelSpacing"]]
    if abs(float(directions[0] @ directions[1])) > TURN or not np.allclose(
        np.linalg.norm(directions, axis=1), 1, atol=1e-3
    ):
        raise FileUnreadable(
            f"{file} has the image orientation {directions.ravel().tolist()}",
            why="rows and columns are not perpendicular directions",
            fix=SKIP,
        )
    return Plane(
        file,
        np.array([float(each) for each in said["ImagePositionPatient"]]),
        directions,
        (spacing[0], spacing[1]),
        (int(header.Rows), int(header.Columns)),
        number,
    )


def in_order(planes: Sequence[Plane]) -> list[int]:
    """Positions of the planes along their normal, once they are known to make one straight block.

    Raises:
        FileUnreadable: they do not; the file that breaks it is named.
    """
    first = planes[0]
    for plane in planes:
        if plane.shape != first.shape or not np.allclose(plane.spacing, first.spacing, rtol=1e-5):
            raise _broken(plane, f"has {plane.shape[1]} x {plane.shape[0]} pixels of {_mm(plane.spacing)} mm, "
                          f"{first.file.name} {first.shape[1]} x {first.shape[0]} of {_mm(first.spacing)}",
                          "slices of one volume have pixels of one size")  # fmt: skip
        if np.abs(plane.directions - first.directions).max() > TURN:
            raise _broken(plane, f"has the image orientation {plane.directions.ravel().round(4).tolist()}, "
                          f"{first.file.name} {first.directions.ravel().round(4).tolist()}",
                          "slices of one volume lie in one direction")  # fmt: skip
    order = sorted(range(len(planes)), key=lambda place: float(planes[place].position @ first.normal))
    _refuse_uneven([planes[place] for place in order])
    return order


def _refuse_uneven(planes: Sequence[Plane]) -> None:
    places = np.array([plane.position @ planes[0].normal for plane in planes])
    gaps = np.diff(places)
    if not len(gaps):
        return
    usual = float(np.median(gaps))
    smallest = 1e-3 * max(usual, min(planes[0].spacing))
    for number, gap in enumerate(gaps.tolist()):
        one, other = planes[number], planes[number + 1]
        if gap < smallest:
            raise _broken(other, f"lies in the same place as {one.file.name}", "of two slices in one place, which is "
                          "meant is not known; a series of several time points is several volumes")  # fmt: skip
        if abs(gap - usual) > GAP * usual:
            raise _broken(other, f"lies {gap:.4g} mm after {one.file.name}, the other slices {usual:.4g} mm apart",
                          "a slice is missing, or the distances are uneven, and all above would be drawn in the wrong "
                          "place")  # fmt: skip
    line = planes[-1].position - planes[0].position
    straight = line / np.linalg.norm(line)
    along = abs(float(straight @ planes[0].normal))
    sideways = np.linalg.norm(line - (line @ planes[0].normal) * planes[0].normal)
    if sideways > DRIFT * min(planes[0].spacing):
        tilt = np.degrees(np.arccos(min(along, 1.0)))
        raise _broken(planes[-1], f"is shifted {sideways:.4g} mm against {planes[0].file.name}: the gantry was tilted "
                      f"by {tilt:.2f} degrees", "a sheared volume has wrong distances")  # fmt: skip
    for number, plane in enumerate(planes):
        wanted = planes[0].position + line * (number / (len(planes) - 1))
        away = float(np.linalg.norm(plane.position - wanted))
        if away > max(DRIFT * min(plane.spacing), GAP * usual * 2):
            raise _broken(plane, f"lies {away:.4g} mm beside the line of the others", "its place does not fit")


def _mm(spacing: Sequence[float]) -> str:
    return " x ".join(f"{each:g}" for each in spacing)


def _broken(plane: Plane, seen: str, why: str) -> FileUnreadable:
    frame = f", frame {plane.number + 1}," if plane.number else ""
    return FileUnreadable(f"{plane.file}{frame} {seen}", why=why, fix=SKIP)


def affine_of(planes: Sequence[Plane], header: pydicom.Dataset) -> np.ndarray:
    """float64 (4, 4): (column, row, slice) → mm, LPS (C.7.6.2.1.1).

    The distance of slices is that of their positions; of a single one it is Spacing Between Slices or Slice Thickness.
    """
    first, last = planes[0], planes[-1]
    if len(planes) > 1:
        step = (last.position - first.position) / (len(planes) - 1)
    else:
        step = first.normal * _thickness(header, first)
    found = np.eye(4)
    found[:3, 0] = first.directions[0] * first.spacing[1]
    found[:3, 1] = first.directions[1] * first.spacing[0]
    found[:3, 2] = step
    found[:3, 3] = first.position
    return found


def _thickness(header: pydicom.Dataset, plane: Plane) -> float:
    shared = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [pydicom.Dataset()])[0]
    for place in (header, measures):
        for name in ("SpacingBetweenSlices", "SliceThickness"):
            if place.get(name):
                return abs(float(place.get(name)))
    raise _broken(plane, "is a single slice without a thickness", "how much of the body it shows is not known")


def _pixels(planes: Sequence[Plane], headers: dict[Path, pydicom.Dataset]) -> tuple[np.ndarray, float, float]:
    """Stored values (slice, row, column) with their common slope and intercept.

    Slices with slopes of their own (PET) become float32 values at once.
    """
    scales = {file: scale_of(header) for file, header in headers.items()}
    common = len(set(scales.values())) == 1
    slices: dict[Path, np.ndarray] = {}
    found: np.ndarray | None = None
    for place, plane in enumerate(planes):
        if plane.file not in slices:
            slices.clear()  # one file in memory at a time
            slices[plane.file] = _frames(plane.file)
        pixels = slices[plane.file][plane.number]
        if not common:
            slope, intercept = scales[plane.file]
            pixels = pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
        if found is None:
            found = np.empty((len(planes), *pixels.shape), pixels.dtype)
        if pixels.dtype != found.dtype:
            found = found.astype(np.promote_types(found.dtype, pixels.dtype))
        found[place] = pixels
    assert found is not None
    slope, intercept = next(iter(scales.values())) if common else (1.0, 0.0)
    return found, slope, intercept


def scale_of(header: pydicom.Dataset) -> tuple[float, float]:
    """Rescale slope and intercept (C.11.1, or C.7.6.16.2.9 of the shared groups); 1 and 0 where there are none."""
    shared: Any = (header.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    group = (shared.get("PixelValueTransformationSequence") or [header])[0]
    slope, intercept = group.get("RescaleSlope"), group.get("RescaleIntercept")
    return (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))


def _frames(file: Path) -> np.ndarray:
    """(frames, rows, columns) stored values of one file."""
    try:
        pixels = dicom.stored_values(file)
    except DataError as error:
        if isinstance(error, FileUnreadable):
            raise
        raise FileUnreadable(f"{file}: {error.seen}", why=error.why, fix=SKIP) from error
    except dicom.DICOM_ERRORS as error:
        raise FileUnreadable(f"{file}: {error}", why="the DICOM file is cut short or damaged", fix=SKIP) from error
    return pixels[None] if pixels.ndim == 2 else pixels
