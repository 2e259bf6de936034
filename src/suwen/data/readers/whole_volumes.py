"""Volumes with a label or a number each: a manifest, class folders, or volumes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from suwen.core.errors import DataError
from suwen.core.sample import Split
from suwen.data.readers.folders import SPLIT_FOLDERS
from suwen.data.readers.images import MANIFEST
from suwen.data.readers.manifest import read_manifest
from suwen.data.readers.volumes import read_volume_masks, volume_entries, with_headers
from suwen.data.samples import Samples
from suwen.data.volumes import series_count


def read_whole_volumes(source: Path | str, *, labelled: bool = True, cache: Path | None = None) -> Samples:
    """Samples of volumes, each a NIfTI file, a DICOM file, or a folder with the slices of one series.

    - ``*.csv``, or a folder with a ``manifest.csv``: columns ``path`` and ``label``; ``subject``, ``split``, and any
      further ones
    - a folder: ``root/{train,val,test}/CLASS/*`` or ``root/CLASS/*``, if `labelled`
    - anything else that `read_volume_masks` reads: volumes without labels, whatever masks lie beside them

    A DICOM series belongs to the subject of its header.

    Args:
        source: the path or glob.
        labelled: refuse volumes without labels.
        cache: of DICOM headers.

    Raises:
        DataError: nothing is there, or volumes without labels.
    """
    path = Path(source)
    manifest = path / MANIFEST if (path / MANIFEST).is_file() else path
    if manifest.suffix.lower() == ".csv" and manifest.is_file():
        return with_headers(read_manifest(manifest, labelled=labelled, cache=cache))
    if labelled and path.is_dir() and not series_count(path):
        return with_headers(_in_classes(path))
    found = read_volume_masks(source, labelled=False, cache=cache)
    return replace(found, targets=[None] * len(found))


def _in_classes(root: Path) -> Samples:
    """The volumes in class folders.

    Raises:
        DataError: there are none.
    """
    found = list(_volumes_in(root))
    if not found:
        raise DataError(
            f"{root} holds no folders of volumes",
            why="without a manifest.csv, a volume has the class of the folder it lies in",
            fix="root/CLASS/scan.nii.gz, root/{train,val,test}/CLASS/scan.nii.gz, or a manifest.csv: path,label",
        )
    files = [file for file, _, _ in found]
    return Samples(
        ids=[file.relative_to(root).as_posix() for file in files],
        sources=lambda row: files[row],
        targets=[name for _, name, _ in found],
        splits=[split for _, _, split in found],
    )


def _volumes_in(root: Path) -> Iterator[tuple[Path, str, Split | None]]:
    """Volume, class and split."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    splits = {path: SPLIT_FOLDERS.get(path.name.lower()) for path in folders}
    if any(splits.values()) and not all(splits.values()):
        others = [path.name for path, split in splits.items() if split is None]
        raise DataError(
            f"{root} holds folders of splits and also {', '.join(others[:5])}",
            why="its folders are either splits or classes, not both",
            fix="move the other folders away, or describe the volumes in a manifest.csv",
        )
    for folder, split in splits.items():
        classes = [folder] if split is None else sorted(path for path in folder.iterdir() if path.is_dir())
        for each in classes:
            yield from ((file, each.name, split) for _, file in volume_entries(each))
