"""Class folders: ``root/{train,val,test}/CLASS/*``, ``root/CLASS/*``, or images without classes."""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from suwen.core.errors import DataError
from suwen.core.sample import Split
from suwen.data.readers.headers import DICOM_SUFFIXES, read_headers, suffix
from suwen.data.samples import Samples, Texts, files_in

SUFFIXES = DICOM_SUFFIXES | {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif"}
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


def read_folder(root: Path, *, cache: Path | None = None) -> Samples:
    """Every image below `root`, with the class and the split that its folder names.

    A DICOM file belongs to the subject of its header (PatientID); any other image is a subject of its own.
    Hidden files are passed over, and files with other suffixes too, with a warning that counts them.

    Raises:
        DataError: no image at all; split folders mixed with other folders; images beside class folders.
    """
    found = _split_folders(root)
    names, targets, splits = [], [], []
    for folder, split in found.items() if found else [("", None)]:
        files = image_files(root, folder)
        targets += _classes(root / folder, files, folder)
        splits += [split] * len(files)
        names.append(files)
    ids = names[0] if len(names) == 1 else Texts(name for files in names for name in files)
    if not len(ids):
        raise DataError(
            f"{root} holds no image",
            why=f"looked for {' '.join(sorted(SUFFIXES - {''}))} files in it and in its folders",
            fix="check the path; the layout is root/CLASS/* or root/{train,val,test}/CLASS/*",
        )
    return image_samples(ids, root, targets=targets, splits=splits, cache=cache)


def image_samples(
    ids: Sequence[str],
    root: Path,
    *,
    targets: Sequence[Any] | None = None,
    splits: Sequence[Split | None] | None = None,
    cache: Path | None = None,
) -> Samples:
    """Samples of the files `ids` in `root`; subject and metadata come from their DICOM headers, if there are any."""
    headers = read_headers(ids, root, cache=cache)
    return Samples(
        ids=ids,
        sources=files_in(root, ids),
        targets=[None] * len(ids) if targets is None else targets,
        splits=[None] * len(ids) if splits is None else splits,
        subjects=[headers.get(row, {}).get("subject", ids[row]) for row in range(len(ids))] if headers else None,
        metadata={
            row: {name: value for name, value in header.items() if name != "subject"} for row, header in headers.items()
        },
    )


def image_files(root: Path, folder: str = "") -> Texts:
    """Images below a folder of `root`, named relative to `root`; warns about other files."""
    others: Counter[str] = Counter()

    def images() -> Iterator[str]:
        for name in _walk(root / folder):
            if suffix(name) in SUFFIXES:
                yield f"{folder}/{name}" if folder else name
            else:
                others[suffix(name)] += 1

    found = Texts(images())
    if others:
        counts = ", ".join(f"{ending} ({count})" for ending, count in sorted(others.items()))
        warnings.warn(f"{root / folder}: files that are not read as images: {counts}", stacklevel=2)
    return found


def _walk(top: Path) -> Iterator[str]:
    """Files below `top`, named relative to it, in order, linked folders included.

    Hidden ones are passed over, and folders that lead back to one they lie in.
    """
    for name, folders, files in os.walk(top, followlinks=True):
        place = Path(name)
        if place.resolve() in {parent.resolve() for parent in place.parents}:
            folders.clear()
            continue
        folders[:] = sorted(folder for folder in folders if not _hidden(folder))
        files.sort()
        inner = place.relative_to(top).as_posix()
        yield from (file if inner == "." else f"{inner}/{file}" for file in files if not _hidden(file))


def _split_folders(root: Path) -> dict[str, Split]:
    """Folder name to split, or nothing where the folders of `root` are classes."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not _hidden(path.name))
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


def _classes(folder: Path, files: Texts, split: str) -> list[str | None]:
    """The class of each image of one split, or of the whole; None if they lie in no folder."""
    skipped = len(split) + 1 if split else 0
    classes = [sys.intern(name[skipped:].partition("/")[0]) if "/" in name[skipped:] else None for name in files]
    loose = [row for row, name in enumerate(classes) if name is None]
    if loose and len(loose) < len(files):
        raise DataError(
            f"{folder} holds {len(loose)} images, such as {files[loose[0]][skipped:]}, beside folders with images",
            why="their class is not known: the class of an image is the folder that it lies in",
            fix="move them into their class folders, or away",
        )
    return classes


def _hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX"))
