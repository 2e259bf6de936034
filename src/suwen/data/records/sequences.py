"""Histories as rows of a Dataset: what was known of a subject at a time, as tokens, packed end to end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from suwen.data.records.columns import Columns
from suwen.data.records.kernels import Store, store_of
from suwen.data.records.token_kernels import Book, Packed, Rows, fill, measure
from suwen.data.records.tokens import EventTokens, interval_edges

Inputs = dict[str, np.ndarray]
"""A packed batch of B sequences with T tokens together, never padded:

| name | what |
|---|---|
| codes | int64 (T,), tokens of `EventTokens` |
| buckets | int64 (T,), 0 for no value, else 1 to 10: its decile among the training values of that code |
| values | float32 (T,), standardised, 0 where there is none |
| ages | float32 (T,), days since birth, 0 for tokens without a time; since the first event where no birth is known |
| intervals | int64 (T,), 0 for tokens without a time, else since the token before: `token_kernels.MINUTES` |
| offsets | int32 (B + 1,): sequence b is ``offsets[b]`` to ``offsets[b + 1]``, exclusive |
| born | float32 (B,), 1 where the birth is known |
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
    """S sequences of the subjects of a store, made of its columns when they are asked for.

    Attributes:
        columns: the events.
        tokens: fitted.
        book: of these for the store's codes.
        rows: which sequences, see `Rows`.
    """

    columns: Columns
    tokens: EventTokens
    book: Book
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows.places)

    @cached_property
    def store(self) -> Store:
        """The arrays that kernels take."""
        return store_of(self.columns)

    @cached_property
    def longest(self) -> int:
        """Events of the subject with most of them."""
        return int(np.diff(self.columns.offsets).max(initial=1))

    def lengths(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64: static and other tokens of some sequences."""
        rows, book = self._some(index), self.book
        found: tuple[np.ndarray, np.ndarray] = measure(
            rows, self.store, book.birth, book.death, self.tokens.length, self.longest
        )
        return found

    def packed(self, index: np.ndarray) -> Packed:
        """Some sequences, in this order; with the time at which each token became known."""
        rows = self._some(index)
        statics, timed = self.lengths(index)
        offsets = np.concatenate([[0], np.cumsum(statics + timed)]).astype(np.int32)
        count = int(offsets[-1])
        found = Packed(
            codes=np.empty(count, np.int64),
            buckets=np.empty(count, np.int64),
            values=np.empty(count, np.float32),
            ages=np.empty(count, np.float32),
            intervals=np.empty(count, np.int64),
            times=np.empty(count, np.int64),
            offsets=offsets,
            born=np.empty(len(index), np.float32),
        )
        fill(rows, self.store, self.book, self.tokens.length, self.longest, interval_edges(), found)
        return found

    def take(self, index: np.ndarray) -> Inputs:
        """Some sequences as a network takes them."""
        found = self.packed(index)._asdict()
        del found["times"]
        return found

    def _some(self, index: np.ndarray) -> Rows:
        return Rows(*(np.ascontiguousarray(column[index]) for column in self.rows))


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordDataset:
    """Sequences with what is to be learned of each (a `suwen.core.dataset.Dataset`).

    Attributes:
        sequences: what `take` gives.
        ids: str (N,), ``SUBJECT@TIME``.
        subjects: str (N,).
        splits: str (N,).
        labels: names of the answers; empty where nothing is asked.
        targets: int64 (N,), -1 where unlabelled; or what stands for it in pretraining.
        metadata: ``age`` in years, ``sex`` where the store has it.
        digests: uint8 (N, 16), of the subject: who was learned from, is not to be tested on.
        fingerprint: of the store, the rows, the targets, the splits and the tokens.
        skipped: (id, reason) of what was left out.
        notes: what a reader of the results should know of the data.
    """

    sequences: Sequences
    ids: np.ndarray
    subjects: np.ndarray
    splits: np.ndarray
    labels: tuple[str, ...]
    targets: Any
    metadata: pd.DataFrame
    digests: np.ndarray
    fingerprint: str
    skipped: list[tuple[str, str]]
    notes: tuple[str, ...] = ()

    multi_label: bool = False

    @property
    def preprocess(self) -> EventTokens:
        """Fitted."""
        return self.sequences.tokens

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, split: str) -> np.ndarray:
        """int64 numbers of the rows of a split, ascending."""
        return np.flatnonzero(self.splits == split)

    def take(self, index: np.ndarray) -> Inputs:
        """A packed batch of these rows."""
        return self.sequences.take(np.asarray(index, np.int64))

    def when(self, index: np.ndarray) -> np.ndarray:
        """int64 (n, 2): subject_id and time of rows, as `suwen.data.records.features.Features` takes them."""
        rows = self.sequences.rows
        return np.stack([self.sequences.columns.subjects[rows.places[index]], rows.until[index]], axis=1)

    def counts(self, split: str) -> Mapping[str, int]:
        """How many rows of each label, or of what else there is, a split has."""
        rows = self.where(split)
        if not self.labels:
            return {"histories": len(rows), "subjects": len(np.unique(self.subjects[rows]))}
        found = np.bincount(self.targets[rows][self.targets[rows] >= 0], minlength=len(self.labels))
        return dict(zip(self.labels, map(int, found), strict=True))


def ids_of(subjects: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``SUBJECT@TIME``, to the second."""
    when = np.datetime_as_string(times.astype("datetime64[us]"), unit="s")
    return np.array([f"{subject}@{time}" for subject, time in zip(subjects.tolist(), when.tolist(), strict=True)])


def subject_digests(subjects: np.ndarray) -> np.ndarray:
    """uint8 (N, 16), equal for equal subjects."""
    known, place = np.unique(subjects, return_inverse=True)
    found = np.array(
        [
            np.frombuffer(hashlib.blake2b(f"subject {each}".encode(), digest_size=16).digest(), np.uint8)
            for each in known
        ]
    ).reshape(-1, 16)
    return found[place]


def fingerprint_of(*parts: Any) -> str:
    """Of arrays and texts."""
    content = hashlib.blake2b(digest_size=16)
    for part in parts:
        content.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else str(part).encode())
        content.update(b"\0")
    return content.hexdigest()
