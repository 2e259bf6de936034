"""`Dataset`: decoded Samples as columns. What `fit` slices its batches from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from suwen.core.preprocess import Preprocess
    from suwen.core.sample import Sample

Batch = dict[str, Any]
"""``{"inputs": …, "target": …, "index": (B,) row numbers}``: tensors, or dicts and lists of tensors where one input
holds several modalities or its target has no fixed length (boxes, sentences). Where several processes share a batch,
``"part"`` too (`suwen.learn.processes.Part`)."""


class Dataset(Protocol):
    """Columns of N inputs. Row order never depends on file names."""

    ids: np.ndarray
    subjects: np.ndarray
    labels: tuple[str, ...]
    metadata: pd.DataFrame
    fingerprint: str
    skipped: list[tuple[str, str]]

    @property
    def targets(self) -> Any:
        """What to learn, indexable by an integer array."""
        ...

    @property
    def preprocess(self) -> Preprocess:
        """How the inputs were made."""
        ...

    def __len__(self) -> int: ...

    def where(self, split: str) -> np.ndarray:
        """Row numbers (int64) of one split."""
        ...

    def take(self, index: np.ndarray) -> Any:
        """The inputs of some rows: an array ``(B, …)``, or a dict of arrays, one a modality."""
        ...


class DataCheck(Protocol):
    """What the data check saw. Problems that must stop the work were raised, not listed."""

    warnings: list[str]
    leaks: list[str]

    def to_dict(self) -> dict[str, Any]:
        """``{"tables": [{"title", "columns", "rows"}], "warnings": […], "leaks": […]}``."""
        ...

    def render(self) -> Any:
        """A rich renderable for the console."""
        ...


class Reader(Protocol):
    """One kind of data: files → Samples → a Dataset, and the check that runs first. A row of ``suwen.readers``."""

    def read(self, source: str | Path, *, labelled: bool = True) -> Sequence[Sample]:
        """All Samples below `source`, not yet decoded; `labelled` refuses those that lack a target."""
        ...

    def preprocess(self, samples: Sequence[Sample], settings: dict[str, Any]) -> Preprocess:
        """The Preprocess that `settings` describe; what they leave open is chosen by looking at some samples."""
        ...

    def split(self, samples: list[Sample], *, seed: int, fractions: tuple[float, float, float]) -> list[Sample]:
        """The Samples, each with a split, as `build` would split them. Asked only where sources are joined."""
        ...

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: tuple[float, float, float] | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> Dataset:
        """Split (unless `fractions` is None) and decode once into memory-mapped columns."""
        ...

    def check(self, dataset: Dataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """Look at the whole before anything is trained, from labels or without. Raises `DataError` or `LeakError`."""
        ...


def bound(reader: Reader, settings: Mapping[str, Any]) -> Reader:
    """The reader with what it must know before it reads a file, where it asks for that: which column is what."""
    bind = getattr(reader, "bound", None)
    found: Reader = reader if bind is None else bind(settings)
    return found
