"""Whatever a volume comes as: a NIfTI file, a folder with one DICOM series, a multi-frame file, an array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import ExtraMissing, FileUnreadable
from suwen.data import dicom
from suwen.data.picture import SKIP
from suwen.data.volume import Volume

SERIES = "#"
"""Between a folder and the number of the series in it that is meant, from 1, in the order of their UIDs."""


def open_volume(source: Any) -> Volume:
    """The volume that a source names.

    Args:
        source: a Volume; an array (I, J, K), taken for voxels of 1 mm; a ``.nii`` or ``.nii.gz`` file; a folder of
            DICOM slices, with ``#2`` after it for the second series in it; a DICOM file.

    Raises:
        FileUnreadable: it cannot be read, has several series, or does not say where its voxels lie.
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, np.ndarray):
        return Volume(stored=source, affine=np.eye(4), mode=f"array {source.dtype.name}", oriented=False)
    try:
        from suwen.data.nifti import is_nifti, read_nifti
        from suwen.data.series import read_series
    except ImportError as error:
        raise ExtraMissing("reading volumes", "volume") from error
    path = Path(source)
    if not path.exists() and SERIES in path.name:
        return read_series(_one_of(path))
    if path.is_dir():
        return read_series(_only(path))
    if is_nifti(path):
        return read_nifti(path)
    if not path.is_file():
        raise FileUnreadable(f"{path}: no such file or folder", why="it cannot be opened", fix="check the path")
    with path.open("rb") as file:
        if dicom.recognised(file.read(dicom.HEAD_BYTES)):
            return read_series([path])
    raise FileUnreadable(
        f"{path} is no volume", why="volumes are NIfTI files (.nii, .nii.gz), DICOM files, or folders of them", fix=SKIP
    )


def _only(folder: Path) -> list[Path]:
    found = _series(folder)
    if len(found) > 1:
        listed = ", ".join(f"{folder}{SERIES}{number} ({len(files)} slices)" for number, files in enumerate(found, 1))
        raise FileUnreadable(
            f"{folder} holds {len(found)} series",
            why="which of them is meant is not known",
            fix=f"name one: {listed}",
        )
    return found[0]


def _one_of(path: Path) -> list[Path]:
    name, _, number = path.name.rpartition(SERIES)
    folder = path.with_name(name)
    found = _series(folder) if folder.is_dir() else []
    if not number.isdecimal() or not 1 <= int(number) <= len(found):
        raise FileUnreadable(f"{path}: no such series", why=f"{folder} holds {len(found)}", fix="check the number")
    return found[int(number) - 1]


def _series(folder: Path) -> list[list[Path]]:
    from suwen.data.series import series_in

    found = series_in(folder)
    if not found:
        raise FileUnreadable(f"{folder} holds no DICOM images", why="there is no volume in it", fix="check the path")
    return [found[uid] for uid in sorted(found)]


def first_file(path: Path) -> Path | None:
    """The first file of the series that a path names; None where it is no DICOM series.

    Raises:
        FileUnreadable: it holds several, or a damaged file.
    """
    if path.is_file():
        return path
    return _only(path)[0] if path.is_dir() else _one_of(path)[0]


def series_count(folder: Path) -> int:
    """How many series of DICOM images lie in a folder itself.

    Raises:
        FileUnreadable: a DICOM file in it is damaged.
    """
    from suwen.data.series import series_in

    return len(series_in(folder))
