"""Volumes with or without masks: NIfTI files, DICOM series in folders of their own, multi-frame files."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from suwen.core.errors import DataError, FileUnreadable
from suwen.data import dicom
from suwen.data.mask_files import MaskSamples
from suwen.data.readers.headers import DICOM_SUFFIXES
from suwen.data.readers.masks import read_masks
from suwen.data.samples import Samples
from suwen.data.volumes import SERIES, first_file, series_count

NIFTI = (".nii.gz", ".nii")


def read_volume_masks(source: Path | str, *, labelled: bool = True, cache: Path | None = None) -> MaskSamples:
    """As `read_masks`, of volumes: each is a NIfTI file, a DICOM file, or a folder with the slices of one series.

    Masks are NIfTI files or DICOM segmentations. A DICOM series belongs to the subject of its header. Without masks, a
    folder may itself hold the slices: one volume a series.
    """
    return with_headers(read_masks(source, labelled=labelled, entries=volume_entries, bare=read_volumes, cache=cache))


Found = TypeVar("Found", bound=Samples)


def with_headers(found: Found) -> Found:
    """The same, with the subjects and metadata that the DICOM headers of the volumes give."""
    headers = {row: _header(found.sources(row)) for row in range(len(found))}
    if not any(headers.values()):
        return found
    subjects = [headers[row].get("subject", found.subject(row)) for row in range(len(found))]
    if found.subjects is not None:
        subjects = list(found.subjects)
    metadata = {
        row: {name: value for name, value in header.items() if name not in ("subject", "series")}
        | dict(found.metadata.get(row, {}))
        for row, header in headers.items()
    }
    return replace(found, subjects=subjects, metadata=metadata)


def volume_entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name without suffixes, file or folder) of the volumes in a folder, in order."""
    for path in sorted(folder.iterdir()):
        ending = next((each for each in NIFTI if path.name.lower().endswith(each)), None)
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield path.name, path
        elif ending is not None:
            yield path.name[: -len(ending)], path
        elif path.suffix.lower() in DICOM_SUFFIXES - {""}:
            yield path.stem, path


def read_volumes(source: Path | str) -> Samples:
    """The volumes that a path or a glob names, without masks.

    Raises:
        DataError: there is none.
    """
    path = Path(source)
    paths: Sequence[Path] = [path]
    if not path.exists() and SERIES not in path.name:
        paths = [Path(match) for match in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207
    found = [volume for each in paths for volume in _volumes(each)]
    if not found:
        raise DataError(
            f"{source}: no volume",
            why="looked for .nii and .nii.gz files, DICOM files, and folders of them",
            fix="check the path; a relative one is looked up from the folder you are in",
        )
    return Samples(
        ids=[each.as_posix() for each in found],
        sources=lambda row: found[row],
        targets=[None] * len(found),
        splits=[None] * len(found),
    )


def _volumes(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    count = series_count(path)
    if count == 1:
        return [path]
    if count > 1:
        return [path.with_name(f"{path.name}{SERIES}{number}") for number in range(1, count + 1)]
    return [inner for _, each in volume_entries(path) for inner in (_volumes(each) if each.is_dir() else [each])]


def _header(source: Any) -> dict[str, Any]:
    """What the DICOM header of a volume's first slice says of its subject; nothing for other files."""
    if not isinstance(source, Path) or source.name.lower().endswith(NIFTI):
        return {}
    try:
        file = first_file(source)
    except FileUnreadable:
        return {}  # reading the volume says why
    return {} if file is None else dicom.read_header(file)
