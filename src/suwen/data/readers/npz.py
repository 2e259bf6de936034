"""MedMNIST-format ``.npz``: ``{train,val,test}_images`` and ``{train,val,test}_labels``."""

from __future__ import annotations

import contextlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import SPLITS, Split
from suwen.data.contents import FileTable, stamp
from suwen.data.picture import picture_of
from suwen.data.progress import track
from suwen.data.readers.packed import PackedRows
from suwen.data.samples import Digests, Samples, Texts

COLOUR = (1, 3, 4)
"""Sizes that the last axis of a colour picture can have."""

DAMAGES = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)
"""What reading a file raises that is no npz, is damaged, or holds pickled objects."""


def read_npz(path: Path, *, cache: Path | None = None) -> Samples:
    """The pictures of a MedMNIST-format file as Samples named ``train[0]``, ``train[1]`` …

    Images are (n, H, W) or (n, H, W, 1|3|4). Labels are integers (n,) or (n, 1), one class each, or 0/1 (n, K) for
    K labels at once. Labels are named by their number, unless the file has an array ``labels`` of names, or the
    file ``STEM.labels.json`` lies beside it: a list, or a mapping such as ``{"0": "normal", "1": "pneumonia"}``.
    Every picture is a subject of its own: the format knows no subjects. The pictures stay in the file and are unpacked
    when they are asked for, a few at a time. The whole is read once, to see whether it is sound and what it holds;
    an unchanged file is not read again for that.

    Args:
        path: the file.
        cache: folder of the table of what was read before; the user's cache folder when None.

    Raises:
        DataError: not an npz file, damaged, with pickled objects, without the arrays above, or with arrays of
            other shapes or lengths; labels that are NaN, negative or without a name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            splits = [split for split in SPLITS if f"{split}_images" in names]
            small = [*(f"{split}_labels" for split in splits), "labels"]
            arrays = {name: _array(archive, name) for name in small if name in names}
        images = {split: PackedRows(path, f"{split}_images") for split in splits}
    except DAMAGES as error:
        raise _damaged(path, error) from error
    if not splits:
        raise DataError(
            f"{path} holds {', '.join(names) or 'nothing'}",
            why="there is no train_images, val_images or test_images in it",
            fix="save it in MedMNIST format: numpy.savez(path, train_images=…, train_labels=…, …)",
        )
    named = _label_names(path, arrays)
    targets = [target for split in splits for target in _read_split(path, images[split], arrays, split, named)]
    with FileTable("packed", cache) as table:
        digests = [_digests(path, images[split], table) for split in splits]
    starts = np.cumsum([0, *(len(images[split]) for split in splits)])

    def source(row: int) -> np.ndarray:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return images[splits[part]][row - int(starts[part])]

    return Samples(
        ids=Texts(f"{split}[{index}]" for split in splits for index in range(len(images[split]))),
        sources=source,
        targets=targets,
        splits=[split for split in splits for _ in range(len(images[split]))],
        digests=Digests(*(np.concatenate([getattr(d, name) for d in digests]) for name in ("values", "known"))),
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: {error}",
        why="it is no npz file, it is damaged, or it holds pickled objects, which are never loaded",
        fix="save plain arrays with numpy.savez_compressed",
    )


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as packed:
        return np.asarray(np.lib.format.read_array(packed, allow_pickle=False))


def _digests(path: Path, images: PackedRows, table: FileTable) -> Digests:
    """The digest of each picture. An unchanged file is believed; any other is read to its end and its checksum."""
    when, count = stamp(path), len(images)
    known = table.get(path, images.name)
    if known is not None and len(known) == 17 * count:
        packed = np.frombuffer(known, np.uint8)
        return Digests(packed[count:].reshape(count, 16).copy(), packed[:count].astype(bool))
    digests = Digests.unknown(count)
    try:
        for row in track(range(count), f"Reading {images.name}", count):
            with contextlib.suppress(FileUnreadable):
                digests.put(row, picture_digest(images[row]))
        images.check_end()
    except DAMAGES as error:
        raise _damaged(path, error) from error
    table.add(path, when, digests.known.astype(np.uint8).tobytes() + digests.values.tobytes(), images.name)
    return digests


def picture_digest(pixels: np.ndarray) -> bytes:
    """`Picture.digest` of pixels.

    Raises:
        FileUnreadable: they are no picture.
    """
    try:
        return picture_of(pixels).digest()
    except DataError as error:
        raise FileUnreadable(error.seen, why=error.why, fix=error.fix) from error


def _read_split(
    path: Path, images: PackedRows, arrays: dict[str, np.ndarray], split: Split, names: dict[int, str]
) -> list[Any]:
    """The targets of one split."""
    labels = arrays.get(f"{split}_labels")
    if len(images.shape) not in (3, 4) or (len(images.shape) == 4 and images.shape[-1] not in COLOUR):
        raise DataError(
            f"{path}: {split}_images has the shape {images.shape}",
            why="pictures are (n, height, width) or (n, height, width, 1, 3 or 4); volumes are not pictures",
            fix="save one 2-D picture a row",
        )
    targets = [None] * len(images) if labels is None else _targets(path, f"{split}_labels", labels, names)
    if len(targets) != len(images):
        raise DataError(
            f"{path}: {len(images)} {split}_images and {len(targets)} {split}_labels",
            why="each picture has one row of labels",
            fix="save them together again",
        )
    return targets


def _targets(path: Path, name: str, labels: np.ndarray, names: dict[int, str]) -> list[Any]:
    """Label names, or tuples of them where `labels` has several columns."""
    labels = np.atleast_1d(labels)
    table = labels.reshape(len(labels), int(np.prod(labels.shape[1:])))
    numeric = table.dtype.kind in "buif"
    whole = numeric and bool(np.isfinite(table).all() and (table == np.floor(table)).all() and (table >= 0).all())
    if not whole:
        rows = np.flatnonzero([not _is_class(row) for row in table])[:10].tolist() if numeric else []
        raise DataError(
            f"{path}: {name} ({table.dtype}) is no class number in rows {rows or 'all'}",
            why="a label is a whole number from 0; NaN or -1 would be learnt as if they were a class",
            fix="number the classes from 0 and remove pictures without a label",
        )
    classes = table.astype(np.int64)
    if classes.shape[1] == 1:
        known = {int(index): _named(path, names, int(index)) for index in np.unique(classes)}
        return [known[int(index)] for index in classes[:, 0]]
    if classes.max(initial=0) > 1:
        raise DataError(
            f"{path}: {name} has {classes.shape[1]} columns and values up to {classes.max()}",
            why="several columns are several labels, each of which an image has (1) or not (0)",
            fix="save one column of class numbers, or columns of 0 and 1",
        )
    shared: dict[bytes, tuple[str, ...]] = {}  # one tuple for all pictures with the same labels
    for row in np.unique(classes, axis=0):
        shared[row.tobytes()] = tuple(_named(path, names, int(index)) for index in np.flatnonzero(row))
    return [shared[row.tobytes()] for row in classes]


def _is_class(row: np.ndarray) -> bool:
    return bool(np.isfinite(row).all() and (row >= 0).all() and (row == np.floor(row)).all())


def _named(path: Path, names: dict[int, str], index: int) -> str:
    if names and index not in names:
        raise DataError(
            f"{path}: class {index} has no name; named are {', '.join(f'{k} {v}' for k, v in names.items())}",
            why="every class of the file needs one",
            fix=f"add {index} to the label names",
        )
    return names.get(index, str(index))


def _label_names(path: Path, arrays: dict[str, np.ndarray]) -> dict[int, str]:
    """Class number to name; empty where the set does not name its classes."""
    if "labels" in arrays:
        return dict(enumerate(map(str, arrays["labels"].tolist())))
    beside = path.with_suffix(".labels.json")
    if not beside.is_file():
        return {}
    try:
        known = json.loads(beside.read_text(encoding="utf-8"))
        pairs = known.items() if isinstance(known, dict) else enumerate(known)
        return {int(index): str(name) for index, name in pairs}
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{beside}: {error}",
            why="label names are a JSON list, or an object from class number to name",
            fix='{"0": "normal", "1": "pneumonia"}',
        ) from error
