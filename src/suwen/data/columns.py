"""The decoded whole: every image as a row of a memory-mapped array, with its labels, splits and subjects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.cache import Columns
from suwen.data.decoded import decode
from suwen.data.preprocess import ImagePreprocess
from suwen.data.samples import Digests, Samples, sortable
from suwen.data.split import names_of

NAMED = 20
"""How many bad files one error names."""

AT_A_TIME = 4096
"""Rows whose names are in memory as Python strings at one time."""

Skipped = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A set of images or volumes, decoded and preprocessed. Rows of images are ordered by content, so that file names
    play no part; those of volumes by id.

    Attributes:
        ids: str (N,), as in the Samples.
        subjects: str (N,); the very same array as `ids` where every image is a subject of its own.
        splits: str (N,): ``train``, ``val``, ``test``, or empty where none was given.
        labels: the label names; a class index is a position in it.
        multi_label: whether an image can have several labels, or none.
        targets: int64 (N,) class index, -1 where unlabelled; or uint8 (N, K), 1 for each label it has.
        metadata: N rows, one column for each kind of metadata; numbers where all values are numbers.
        pixels: uint8 (N, C, H, W) or (N, C, X, Y, Z), mapped from disk, read-only.
        digests: uint8 (N, 16), equal for equal pictures (`Picture.digest`, before preprocessing).
        phash: uint64 (N,), `perceptual_hash` of the pixels, in volumes of those of the middle slice.
        sizes: int32 (N, 2), height and width before preprocessing; (N, 3) voxels of the file's axes.
        modes: str (N,), how the files store their pixels.
        preprocess: what was done to each picture.
        fingerprint: hash over digests, label names, targets, splits and preprocessing.
        skipped: (id, reason) of what could not be decoded and was left out on request.
    """

    ids: np.ndarray
    subjects: np.ndarray
    splits: np.ndarray
    labels: tuple[str, ...]
    multi_label: bool
    targets: np.ndarray
    metadata: pd.DataFrame
    pixels: np.ndarray
    digests: np.ndarray
    phash: np.ndarray
    sizes: np.ndarray
    modes: np.ndarray
    preprocess: Any
    fingerprint: str
    skipped: list[Skipped]

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, split: str) -> np.ndarray:
        """int64 indices of the rows in a split, ascending."""
        return np.flatnonzero(self.splits == split)

    def take(self, index: np.ndarray) -> np.ndarray:
        """A uint8 copy (n, C, H, W) of these rows, in this order."""
        return np.asarray(np.asarray(self.pixels)[index])


def build(
    samples: Sequence[Sample],
    preprocess: ImagePreprocess,
    *,
    labels: Sequence[str] | None = None,
    skip_bad: bool = False,
    cache: Path | None = None,
    progress: bool = True,
) -> Dataset:
    """Decode the samples once into a memory-mapped cache, and open it.

    A second run over unchanged files only looks at their size and time of change. Changed or new files are decoded,
    and the rows of the others are copied from the earlier cache. Memory stays bounded: rows go straight to disk.

    Args:
        samples: as a reader yields them, with or without splits.
        preprocess: applied to each picture.
        labels: the label names in the order of a model; those of the samples in natural order when None.
        skip_bad: leave out what cannot be decoded and count it; False refuses the set and names every bad file.
        cache: folder of the cache; the user's cache folder when None.
        progress: show a bar if it takes over two seconds.

    Raises:
        FileUnreadable: files that cannot be decoded.
        DataError: no sample at all, or a label that is not among `labels`.
        SuwenError: the cache cannot be written, for example because the disk is full.
    """
    if not samples:
        raise DataError("no samples", why="there is nothing to decode", fix="check the path")
    samples = Samples.of(samples)
    names, multi_label = label_names(samples, labels)
    decoded = decode(samples, preprocess, cache=cache, progress=progress)
    skipped = refuse_or_skip(samples, decoded.failures, skip_bad)
    if decoded.columns is None:
        raise DataError(f"none of {len(samples)} files can be decoded", why=skipped[0][1], fix="check the path")
    order = _ordered(samples, decoded.digests)
    return _dataset(samples, order, decoded.columns, names, multi_label, preprocess, skipped)


def _ordered(samples: Samples, digests: Digests) -> np.ndarray:
    """int64 rows of the decoded samples by digest; those of equal pictures by split, labels and id."""
    rows = np.flatnonzero(digests.known)
    values = sortable(digests.values[rows])
    order = np.argsort(values, kind="stable")
    rows, values = rows[order], values[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
        if stop - start > 1:
            rows[start:stop] = sorted(
                rows[start:stop].tolist(),
                key=lambda row: (samples.splits[row] or "", names_of(samples.targets[row]), samples.ids[row]),
            )
    return rows


def refuse_or_skip(samples: Samples, failures: Mapping[int, DataError], skip_bad: bool) -> list[Skipped]:
    """(id, reason) of the failures; unless they may be skipped, one error that names them."""
    bad = [(samples.ids[index], failures[index]) for index in sorted(failures)]
    if not bad or skip_bad:
        return sorted((id, f"{failure.seen}: {failure.why}") for id, failure in bad)
    if len(bad) == 1:
        raise bad[0][1]
    named = [f"{failure.seen}: {failure.why}" for _, failure in bad[:NAMED]]
    more = [f"and {len(bad) - NAMED} more"] if len(bad) > NAMED else []
    raise FileUnreadable(
        "\n".join([f"{len(bad)} of {len(samples)} files cannot be decoded:", *named, *more]),
        why="what is left out silently is missing from every number that follows",
        fix="replace them, or pass --skip-bad to go on without them; the report will count them",
    )


def label_names(samples: Samples, labels: Sequence[str] | None) -> tuple[tuple[str, ...], bool]:
    """Label names, and whether an image can have several."""
    multi_label = any(isinstance(target, tuple) for target in samples.targets)
    seen = {label for target in samples.targets for label in names_of(target)}
    if labels is None:
        return tuple(sorted(seen, key=natural)), multi_label
    unknown = sorted(seen - set(labels), key=natural)
    if unknown:
        example = next(samples.ids[row] for row, target in enumerate(samples.targets) if unknown[0] in names_of(target))
        raise DataError(
            f"the label {', '.join(map(repr, unknown[:10]))}, for example of {example}",
            why=f"the known labels are {', '.join(labels)}",
            fix="rename the label, or leave these samples out",
        )
    return tuple(labels), multi_label


def natural(name: str) -> list[str | int]:
    """Sorts "2" before "10"."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _dataset(
    samples: Samples,
    order: np.ndarray,
    columns: Columns,
    labels: tuple[str, ...],
    multi_label: bool,
    preprocess: ImagePreprocess,
    skipped: list[Skipped],
) -> Dataset:
    targets = label_targets(samples, order, labels, multi_label)
    splits = np.fromiter((samples.splits[row] or "" for row in order), "U5", len(order))
    ids = texts_of(samples.ids, order)
    return Dataset(
        ids=ids,
        subjects=ids if samples.subjects is None else texts_of(samples.subjects, order),
        splits=splits,
        labels=labels,
        multi_label=multi_label,
        targets=targets,
        metadata=metadata_of(samples, order),
        pixels=columns.pixels,
        digests=columns.digests,
        phash=columns.phash,
        sizes=columns.sizes,
        modes=columns.modes,
        preprocess=preprocess,
        fingerprint=_fingerprint(columns.digests, labels, splits, preprocess, targets),
        skipped=skipped,
    )


def texts_of(texts: Sequence[str], order: np.ndarray) -> np.ndarray:
    """Strings of any length (N,), so that one long name does not widen all others."""
    return np.fromiter((texts[row] for row in order), np.dtypes.StringDType(), len(order))


def _fingerprint(
    digests: np.ndarray, labels: tuple[str, ...], splits: np.ndarray, preprocess: ImagePreprocess, targets: np.ndarray
) -> str:
    content = hashlib.blake2b(digests.tobytes(), digest_size=16)
    joined = "\0".join(labels)
    content.update(f"\1{joined}\1".encode())
    for start in range(0, len(splits), AT_A_TIME):
        content.update(("\0" * (start > 0) + "\0".join(splits[start : start + AT_A_TIME].tolist())).encode())
    content.update(f"\1{preprocess.model_dump_json()}".encode())
    content.update(targets.tobytes())
    return content.hexdigest()


def label_targets(samples: Samples, order: np.ndarray, labels: tuple[str, ...], multi_label: bool) -> np.ndarray:
    """int64 (N,) class index, -1 without one; or uint8 (N, K) where an input can have several."""
    position = {label: index for index, label in enumerate(labels)}
    if not multi_label:
        named = (names_of(samples.targets[row]) for row in order)
        return np.fromiter((position[names[0]] if names else -1 for names in named), np.int64, len(order))
    targets = np.zeros((len(order), len(labels)), np.uint8)
    for target, row in zip(targets, order, strict=True):
        target[[position[label] for label in names_of(samples.targets[row])]] = 1
    return targets


def metadata_of(samples: Samples, order: np.ndarray) -> pd.DataFrame:
    """One column a kind of metadata; blanks are missing, and a column of numbers becomes numbers."""
    names = dict.fromkeys(name for row in samples.metadata for name in samples.metadata[row])
    empty: dict[str, Any] = {}
    found = {name: [samples.metadata.get(row, empty).get(name) for row in order.tolist()] for name in names}
    table = pd.DataFrame(found, index=range(len(order)))
    for column in table.columns:
        values = table[column].replace("", None)
        numbers = pd.to_numeric(values, errors="coerce")
        table[column] = numbers if numbers.notna().equals(values.notna()) and values.notna().any() else values
    return table
