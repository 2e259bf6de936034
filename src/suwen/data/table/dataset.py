"""`TableDataset`: the rows of a table as numbers, with their labels, splits and subjects."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from suwen.data.table.preprocess import TablePreprocess


@dataclass(frozen=True, kw_only=True)
class TableDataset:
    """N rows in the file's order (a `suwen.core.dataset.Dataset`).

    Attributes:
        ids: str (N,), ``FILE:ROW`` as a spreadsheet numbers the rows.
        subjects: str (N,); the very same array as `ids` where every row is a person of its own.
        splits: str (N,): ``train``, ``val``, ``test``, or empty.
        labels: label names; a class index is a position in it. Of times the names of the causes.
        multi_label: whether a row can have several labels, or none.
        targets: int64 (N,) class index, -1 where unlabelled; uint8 (N, K); or float64 (N, 2): time, event code.
        metadata: N rows, every column of the table.
        values: float32 (N, C), see `TablePreprocess`.
        digests: uint8 (N, 16), equal for the same person or the same row.
        preprocess: fitted.
        fingerprint: hash over values, targets, splits and preprocessing.
        skipped: (id, reason) of rows that were left out on request.
        said: what the reader took for what.
        dropped: column → why it is not used.
    """

    ids: np.ndarray
    subjects: np.ndarray
    splits: np.ndarray
    labels: tuple[str, ...]
    multi_label: bool
    targets: np.ndarray
    metadata: pd.DataFrame
    values: np.ndarray
    digests: np.ndarray
    preprocess: TablePreprocess
    fingerprint: str
    skipped: list[tuple[str, str]]
    said: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, split: str) -> np.ndarray:
        """int64 indices of the rows in a split, ascending."""
        return np.flatnonzero(self.splits == split)

    def take(self, index: np.ndarray) -> np.ndarray:
        """A float32 copy (n, C) of these rows, in this order."""
        return np.asarray(self.values[index])


def digest_rows(rows: Any) -> np.ndarray:
    """uint8 (N, 16): BLAKE2 of each row of texts."""
    found = [hashlib.blake2b("\0".join(row).encode(), digest_size=16).digest() for row in rows]
    return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 16)


def fingerprint_of(
    preprocess: TablePreprocess,
    labels: tuple[str, ...],
    values: np.ndarray,
    targets: np.ndarray,
    splits: np.ndarray,
    subjects: np.ndarray,
) -> str:
    """Hash over all that a training could depend on."""
    content = hashlib.blake2b(preprocess.model_dump_json().encode(), digest_size=16)
    content.update("\0".join(["", *labels, "", *map(str, splits), "", *map(str, subjects)]).encode())
    content.update(np.ascontiguousarray(values).tobytes())
    content.update(np.ascontiguousarray(targets).tobytes())
    return content.hexdigest()
