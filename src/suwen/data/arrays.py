"""`ArrayDataset`: rows of numbers that are in memory already, for those who have no file to read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError
from suwen.core.sample import SPLITS


@dataclass(frozen=True)
class AsTheyAre:
    """Numbers that nothing is done to (a `suwen.core.preprocess.Preprocess`).

    Attributes:
        columns: their names.
    """

    columns: tuple[str, ...]

    def __call__(self, source: Any) -> np.ndarray:
        """One row of numbers as float32 ``(D,)``."""
        return np.asarray(source, np.float32)

    def model_dump(self) -> dict[str, Any]:
        """The names, JSON-able."""
        return {"columns": list(self.columns)}


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayDataset:
    """N rows (a `suwen.core.dataset.Dataset`).

    Attributes:
        inputs: float32 (N, D); NaN is missing.
        targets: (N, …) as the head of the question reads them.
        splits: (N,) ``train``, ``val``, ``test``, or empty.
        labels: names of labels, of causes, of the number.
        ids, subjects: (N,) row numbers unless given.
        metadata: N rows of further columns.
        columns: D names.

    Raises:
        DataError: lengths that do not agree, or a split of another name.
    """

    inputs: np.ndarray
    targets: np.ndarray
    splits: np.ndarray
    labels: tuple[str, ...]
    ids: np.ndarray = field(default_factory=lambda: np.empty(0))
    subjects: np.ndarray = field(default_factory=lambda: np.empty(0))
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        inputs = np.ascontiguousarray(self.inputs, np.float32)
        names = np.arange(len(inputs)).astype(str)
        ids = np.asarray(self.ids).astype(str) if len(self.ids) else names
        found = {
            "inputs": inputs,
            "targets": np.asarray(self.targets),
            "splits": np.asarray(self.splits).astype(str),
            "ids": ids,
            "subjects": np.asarray(self.subjects).astype(str) if len(self.subjects) else ids,
            "metadata": self.metadata if self.metadata.shape[1] else pd.DataFrame(index=range(len(inputs))),
            "columns": tuple(self.columns) or tuple(f"x{number}" for number in range(inputs.shape[-1])),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        lengths = {
            name: len(getattr(self, name)) for name in ("inputs", "targets", "splits", "ids", "subjects", "metadata")
        }
        unknown = sorted(set(self.splits) - {*SPLITS, ""})
        if inputs.ndim != 2 or len(set(lengths.values())) > 1 or len(self.columns) != inputs.shape[1] or unknown:
            raise DataError(
                f"{lengths}, inputs of shape {inputs.shape}, {len(self.columns)} column names"
                + (f", a split {unknown[0]!r}" if unknown else ""),
                why="each row of numbers has one target, one split and one name",
                fix=f"give arrays of one length, a name a column, and the splits {', '.join(SPLITS)} or nothing",
            )

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Nothing is skipped."""
        return []

    @property
    def preprocess(self) -> AsTheyAre:
        """Nothing is done to them."""
        return AsTheyAre(tuple(self.columns))

    @property
    def fingerprint(self) -> str:
        """Hash over all that a training could depend on."""
        words = "\0".join(["", *self.labels, "", *self.columns, "", *self.splits, "", *self.subjects])
        content = hashlib.blake2b(words.encode(), digest_size=16)
        for array in (self.inputs, self.targets):
            content.update(np.ascontiguousarray(array).tobytes())
        return content.hexdigest()

    def where(self, split: str) -> np.ndarray:
        """int64 row numbers of a split, rising."""
        return np.flatnonzero(self.splits == split)

    def take(self, index: np.ndarray) -> np.ndarray:
        """A float32 copy (n, D) of these rows, in this order."""
        return np.asarray(self.inputs[index])
