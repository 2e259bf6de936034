"""MedMNIST-format ``.npz``: ``{train,val,test}_images`` and ``{train,val,test}_labels``."""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.core.sample import SPLITS, Sample, Split
from suwen.data.progress import track

COLOUR = (1, 3, 4)
"""Sizes that the last axis of a colour picture can have."""

IN_MEMORY, BLOCK = 1 << 26, 1 << 24
"""Bytes of an array that is simply loaded; bytes unpacked at a time of a larger one."""


def read_npz(path: Path) -> list[Sample]:
    """The pictures of a MedMNIST-format file as Samples named ``train[0]``, ``train[1]`` …

    Images are (n, H, W) or (n, H, W, 1|3|4). Labels are integers (n,) or (n, 1), one class each, or 0/1 (n, K) for
    K labels at once. Labels are named by their number, unless the file has an array ``labels`` of names, or the
    file ``STEM.labels.json`` lies beside it: a list, or a mapping such as ``{"0": "normal", "1": "pneumonia"}``.
    Every picture is a subject of its own: the format knows no subjects.

    Raises:
        DataError: not an npz file, damaged, with pickled objects, without the arrays above, or with arrays of
            other shapes or lengths; labels that are NaN, negative or without a name.
    """
    arrays = _load(path)
    splits = [split for split in SPLITS if f"{split}_images" in arrays]
    if not splits:
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'nothing'}",
            why="there is no train_images, val_images or test_images in it",
            fix="save it in MedMNIST format: numpy.savez(path, train_images=…, train_labels=…, …)",
        )
    names = _label_names(path, arrays)
    return [sample for split in splits for sample in _read_split(path, arrays, split, names)]


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: {error}",
            why="it is no npz file, it is damaged, or it holds pickled objects, which are never loaded",
            fix="save plain arrays with numpy.savez_compressed",
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; a large one is unpacked to a temporary file and mapped, so that it does not fill the memory."""
    with archive.open(member) as packed:
        if member.file_size <= IN_MEMORY:
            return np.asarray(np.lib.format.read_array(packed, allow_pickle=False))
        version = np.lib.format.read_magic(packed)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, kind = read_header(packed)
        if kind.hasobject:
            raise ValueError(f"{member.filename} holds objects")
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115  (the mapping keeps it open; it vanishes with it)
        blocks = iter(lambda: packed.read(BLOCK), b"")
        for block in track(blocks, f"Unpacking {member.filename}", -(-member.file_size // BLOCK)):
            unpacked.write(block)
        return np.asarray(np.memmap(unpacked, kind, "r", shape=shape, order="F" if by_column else "C"))


def _read_split(path: Path, arrays: dict[str, np.ndarray], split: Split, names: dict[int, str]) -> list[Sample]:
    images, labels = arrays[f"{split}_images"], arrays.get(f"{split}_labels")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] not in COLOUR):
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
    ids = [f"{split}[{index}]" for index in range(len(images))]
    return [
        Sample(id=id, source=image, target=target, subject=id, split=split)
        for id, image, target in zip(ids, images, targets, strict=True)
    ]


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
        return [_named(path, names, int(index)) for index in classes[:, 0]]
    if classes.max(initial=0) > 1:
        raise DataError(
            f"{path}: {name} has {classes.shape[1]} columns and values up to {classes.max()}",
            why="several columns are several labels, each of which an image has (1) or not (0)",
            fix="save one column of class numbers, or columns of 0 and 1",
        )
    return [tuple(_named(path, names, int(index)) for index in np.flatnonzero(row)) for row in classes]


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
