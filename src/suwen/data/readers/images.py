"""Images in whatever form they come: npz, manifest, class folders, a folder, a glob, one file."""

from __future__ import annotations

import glob
from pathlib import Path

from suwen.core.errors import DataError
from suwen.data.readers.folders import image_samples, read_folder
from suwen.data.readers.manifest import read_manifest
from suwen.data.readers.npz import read_npz
from suwen.data.samples import Samples

MANIFEST = "manifest.csv"


def read_images(source: Path | str, *, labelled: bool = True, cache: Path | None = None) -> Samples:
    """Samples of images, chosen by what `source` is.

    - ``*.npz``: MedMNIST format
    - ``*.csv``, or a folder with a ``manifest.csv``: a manifest
    - a folder with one ``.npz`` and nothing else to read: that file
    - a folder: class folders, with or without split folders; images lying in it directly are unlabelled
    - a glob (``scans/*.png``) or one file: unlabelled

    Args:
        source: the path or glob.
        labelled: refuse a manifest without labels; False takes its rows as unlabelled.
        cache: folder of the table of DICOM headers; the user's cache folder when None.

    Raises:
        DataError: nothing is there, or what is there cannot be read as any of these.
    """
    path = Path(source)
    if path.is_dir():
        return _read_folder(path, labelled, cache)
    if path.suffix.lower() == ".npz" and path.is_file():
        return read_npz(path, cache=cache)
    if path.suffix.lower() == ".csv" and path.is_file():
        return read_manifest(path, labelled=labelled, cache=cache)
    matches = [str(path)] if path.is_file() else glob.glob(str(source), recursive=True)  # noqa: PTH207
    files = [Path(match) for match in sorted(matches) if Path(match).is_file()]
    if not files:
        raise DataError(
            f"{source}: no such file or folder",
            why="and as a pattern it matches no file" if glob.has_magic(str(source)) else "",
            fix="check the path; a relative one is looked up from the folder you are in",
        )
    return image_samples([file.as_posix() for file in files], Path(), cache=cache)


def _read_folder(folder: Path, labelled: bool, cache: Path | None) -> Samples:
    if (folder / MANIFEST).is_file():
        return read_manifest(folder / MANIFEST, labelled=labelled, cache=cache)
    packed = sorted(folder.glob("*.npz"))
    if len(packed) == 1 and not any(path.is_dir() for path in folder.iterdir()):
        return read_npz(packed[0], cache=cache)
    return read_folder(folder, cache=cache)
