"""Class folders: ``root/{train,val,test}/CLASS/*``, ``root/CLASS/*``, or images without classes."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from suwen.core.errors import DataError
from suwen.core.sample import Sample, Split
from suwen.data.readers.headers import DICOM_SUFFIXES, read_headers

SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
"""Names that are taken for images."""

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def read_folder(root: Path, *, cache: Path | None = None) -> list[Sample]:
    """Every image below `root`, with the class and the split that its folder names.

    A DICOM file belongs to the subject of its header (PatientID); any other image is a subject of its own.
    Hidden files are passed over, and files with other suffixes too, with a warning that counts them.

    Raises:
        DataError: no image at all; split folders mixed with other folders; images beside class folders.
    """
    splits = _split_folders(root)
    parts = [(root / name, split) for name, split in splits.items()] if splits else [(root, None)]
    found = [found for folder, split in parts for found in _read_part(folder, split)]
    if not found:
        raise DataError(
            f"{root} holds no image",
            why=f"looked for {' '.join(sorted(SUFFIXES - {''}))} files in it and in its folders",
            fix="check the path; the layout is root/CLASS/* or root/{train,val,test}/CLASS/*",
        )
    headers = read_headers([file for file, _, _ in found], cache=cache)
    return [
        image_sample(file, header, id=file.relative_to(root).as_posix(), target=target, split=split)
        for (file, target, split), header in zip(found, headers, strict=True)
    ]


def image_sample(
    file: Path, header: dict[str, Any], *, id: str, target: Any = None, split: Split | None = None
) -> Sample:
    """A `Sample` of one file; subject and metadata come from its DICOM header, if that is not empty."""
    metadata = {name: value for name, value in header.items() if name != "subject"}
    return Sample(id=id, source=file, target=target, subject=header.get("subject", id), split=split, metadata=metadata)


def image_files(folder: Path) -> list[Path]:
    """Images below `folder`, sorted; warns about other files."""
    files = sorted(path for path in _walk(folder) if not _hidden(path, folder))
    others = Counter(path.suffix.lower() for path in files if path.suffix.lower() not in SUFFIXES)
    if others:
        counts = ", ".join(f"{suffix} ({count})" for suffix, count in sorted(others.items()))
        warnings.warn(f"{folder}: files that are not read as images: {counts}", stacklevel=2)
    return [path for path in files if path.suffix.lower() in SUFFIXES]


def _walk(folder: Path) -> Iterator[Path]:
    """Files below `folder`, linked folders included, but not those that lead back to a folder they lie in."""
    for name, folders, files in os.walk(folder, followlinks=True):
        place = Path(name)
        if place.resolve() in {parent.resolve() for parent in place.parents}:
            folders.clear()
            continue
        yield from (place / file for file in files)


def _split_folders(root: Path) -> dict[str, Split]:
    """Folder name to split, or nothing where the folders of `root` are classes."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not _hidden(path, root))
    splits = {name: SPLIT_FOLDERS[name.lower()] for name in folders if name.lower() in SPLIT_FOLDERS}
    others = [name for name in folders if name not in splits]
    if splits and others:
        raise DataError(
            f"{root} holds {', '.join(splits)} and also {', '.join(others[:5])}",
            why="its folders are either splits or classes, not both",
            fix="move the other folders away, or describe the images in a manifest.csv",
        )
    twice = [name for name, count in Counter(splits.values()).items() if count > 1]
    if twice:
        raise DataError(f"{root} holds {', '.join(splits)}", why=f"two of them mean {twice[0]}", fix="join them")
    return splits


def _read_part(folder: Path, split: Split | None) -> list[tuple[Path, str | None, Split | None]]:
    """(file, class, split) of the images of one split, or of the whole; no class if they lie in no folder."""
    files = image_files(folder)
    loose = [file for file in files if file.parent == folder]
    if loose and len(loose) < len(files):
        raise DataError(
            f"{folder} holds {len(loose)} images, such as {loose[0].name}, beside folders with images",
            why="their class is not known: the class of an image is the folder that it lies in",
            fix="move them into their class folders, or away",
        )
    return [(file, None if loose else file.relative_to(folder).parts[0], split) for file in files]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
