"""Many Samples as columns: each is made when it is asked for, so that a hundred thousand take little memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from suwen.core.sample import Sample, Split


class Texts(Sequence[str]):
    """Strings end to end in one buffer: 8 bytes each besides their letters, where a ``str`` takes 57."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._content, self._ends = bytearray(), array("q", [0])
        for text in texts:
            self._content += text.encode("utf-8", "surrogateescape")
            self._ends.append(len(self._content))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        position = range(len(self))[index]
        return self._content[self._ends[position] : self._ends[position + 1]].decode("utf-8", "surrogateescape")


class Table(Mapping[int, Mapping[str, Any]]):
    """Row number → column name → cell, over columns that are kept whole."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: column[row] for name, column in self._columns.items()}


@dataclass
class Digests:
    """The `Picture.digest` of many pictures.

    Attributes:
        values: uint8 (N, 16).
        known: bool (N,); False where a picture cannot be decoded, or has not been yet.
    """

    values: np.ndarray
    known: np.ndarray

    @classmethod
    def unknown(cls, count: int) -> Digests:
        """None is known yet."""
        return cls(np.zeros((count, 16), np.uint8), np.zeros(count, bool))

    def put(self, row: int, digest: bytes | None) -> None:
        """Note one digest, or that there is none."""
        self.known[row] = digest is not None
        if digest is not None:
            self.values[row] = np.frombuffer(digest, np.uint8)

    def get(self, row: int) -> bytes | None:
        """One digest, None where it is not known."""
        return self.values[row].tobytes() if self.known[row] else None

    def copy(self) -> Digests:
        """Another that can be changed by itself."""
        return Digests(self.values.copy(), self.known.copy())


def sortable(digests: np.ndarray) -> np.ndarray:
    """uint8 (N, 16) seen as N strings of 16 bytes, which numpy sorts and searches by value."""
    return np.ascontiguousarray(digests).view("S16").reshape(-1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Samples(Sequence[Sample]):
    """N Samples. Attributes hold one entry a sample.

    Attributes:
        ids: names.
        sources: row → the file, the pixels, or the cells.
        targets: labels, shared where equal.
        splits: None where the source gives none.
        subjects: None where every sample is a subject of its own, called by its id.
        metadata: row → further columns; rows without any may be missing.
        digests: of the pictures, where the reader has seen them already.
    """

    ids: Sequence[str]
    sources: Callable[[int], Path | np.ndarray]
    targets: Sequence[Any]
    splits: Sequence[Split | None]
    subjects: Sequence[str] | None = None
    metadata: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    digests: Digests | None = None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Samples:
        """Any Samples as columns."""
        if isinstance(samples, Samples):
            return samples
        own = all(sample.subject == sample.id for sample in samples)
        return cls(
            ids=[sample.id for sample in samples],
            sources=lambda row: samples[row].source,
            targets=[sample.target for sample in samples],
            splits=[sample.split for sample in samples],
            subjects=None if own else [sample.subject for sample in samples],
            metadata={row: sample.metadata for row, sample in enumerate(samples) if sample.metadata},
        )

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        row = range(len(self))[index]
        id = self.ids[row]
        return Sample(
            id=id,
            source=self.sources(row),
            target=self.targets[row],
            subject=id if self.subjects is None else self.subjects[row],
            split=self.splits[row],
            metadata=self.metadata.get(row, {}),
        )

    def subject(self, row: int) -> str:
        """Whom one sample comes from."""
        return self.ids[row] if self.subjects is None else self.subjects[row]

    def with_splits(self, splits: Sequence[Split | None]) -> Samples:
        """The same samples in other splits."""
        return replace(self, splits=splits)


def files_in(root: Path, names: Sequence[str]) -> Callable[[int], Path]:
    """`Samples.sources` of files named relative to a folder."""
    return lambda row: root / names[row]
