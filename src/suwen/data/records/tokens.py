"""`EventTokens`: how the events of a record become numbers for a network. It travels with the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from suwen.core.errors import DataError
from suwen.data.records.codes.hierarchy import Hierarchy
from suwen.data.records.codes.vocabulary import link
from suwen.data.records.columns import Columns
from suwen.data.records.events import BIRTH, DEATH, END
from suwen.data.records.kernels import SECOND
from suwen.data.records.token_kernels import DECILES, MINUTES, Book

UNKNOWN = "<unknown>"
"""Token 0: a code that training never saw, and nothing above it either."""


class EventTokens(BaseModel, frozen=True, extra="forbid"):
    """Codes, quantiles of their values and the codes above them, as they were among the training subjects.

    Settings are chosen by the user; all else is fitted by `suwen.data.records.token_fit` and empty before.

    Attributes:
        length: most tokens of a sequence; of longer histories the latest events, and the static ones.
        size: most tokens of the vocabulary; the codes of most subjects.
        min_subjects: codes that fewer training subjects have are read as the nearest code above them, or as unknown.
        codes: token → code; the first is `UNKNOWN`.
        subjects: token → how many training subjects have it, or a code below it.
        above: token → the tokens of the codes above it, whose embeddings are added to its own.
        parents: code → the codes right above it, of all codes that training knew.
        edges: token → the nine inner deciles of its training values; empty where there were too few.
        mean, deviation: token → of its training values.
    """

    length: int = Field(default=256, ge=8, le=65_536)
    size: int = Field(default=4096, ge=2)
    min_subjects: int = Field(default=10, ge=1)
    codes: tuple[str, ...] = ()
    subjects: tuple[int, ...] = ()
    above: tuple[tuple[int, ...], ...] = ()
    parents: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    edges: tuple[tuple[float, ...], ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def fitted(self) -> bool:
        """Whether there is a vocabulary."""
        return len(self.codes) > 0

    @property
    def count(self) -> int:
        """How many tokens there are.

        Raises:
            DataError: none yet.
        """
        if not self.fitted:
            raise DataError("tokens without a vocabulary", why="it is fitted on training subjects", fix="fit_tokens")
        return len(self.codes)

    @property
    def digest(self) -> str:
        """Of the vocabulary: weights belong to one."""
        whole = self.model_dump_json(exclude={"length"})
        return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()

    def settings(self) -> dict[str, Any]:
        """What stands in a recipe: what was chosen, not what was fitted, which the same subjects give again."""
        return self.model_dump(include={"length", "size", "min_subjects"})

    def __call__(self, source: Any) -> Any:
        """One history is read by its Dataset, a batch at a time.

        Raises:
            DataError: always.
        """
        raise DataError("a single history", why="histories are read from their store, together", fix="suwen predict")

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Code → token."""
        return {code: number for number, code in enumerate(self.codes)}

    def tokens_of(self, vocabulary: Sequence[str], hierarchy: Hierarchy | None = None) -> np.ndarray:
        """int32 (V,): the token of each code of a store: its own, else that of the nearest code above it, else 0.

        The end of something (``CODE//END``) is no further occurrence of it: without a token of its own it is unknown.

        Args:
            vocabulary: codes of the store.
            hierarchy: what the store knows of them, beside what training knew.
        """
        known = dict(self.parents) | ({} if hierarchy is None else dict(hierarchy.parents))
        absent = [code for code in vocabulary if code not in self.numbers and not code.endswith(END)]
        linked = link(absent, known=Hierarchy(parents=known))
        fallback = {
            code: next((self.numbers[each] for each in linked.ancestors(code) if each in self.numbers), 0)
            for code in absent
        }
        return np.array([self.numbers.get(code, fallback.get(code, 0)) for code in vocabulary], np.int32)

    def book(self, columns: Columns, hierarchy: Hierarchy | None = None) -> Book:
        """What the kernels take, for the codes of one store."""
        cuts = np.full((self.count, DECILES), np.nan, np.float32)
        for token, edges in enumerate(self.edges):
            if edges:
                cuts[token] = edges
        deviation = np.array(self.deviation, np.float32)
        scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        return Book(
            self.tokens_of(columns.vocabulary, hierarchy),
            cuts,
            np.array(self.mean, np.float32),
            scale,
            columns.numbers.get(BIRTH, -1),
            columns.numbers.get(DEATH, -1),
        )


def interval_edges() -> np.ndarray:
    """int64: `MINUTES` in microseconds."""
    return np.array(MINUTES, np.int64) * (60 * SECOND)
