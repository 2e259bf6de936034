"""The readers ``histories`` and ``futures``: whole histories, to be pretrained on without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError
from suwen.core.sample import Sample
from suwen.data.records.asked import (
    Fractions,
    RecordReader,
    RecordSamples,
    open_columns,
)
from suwen.data.records.codes.vocabulary import hierarchy_of
from suwen.data.records.futures import Futures
from suwen.data.records.questions import find_question
from suwen.data.records.sequences import RecordDataset, Sequences, fingerprint_of, subject_digests
from suwen.data.records.token_fit import fit_tokens
from suwen.data.records.token_kernels import EVER, Rows
from suwen.data.records.tokens import EventTokens

LEAST = 2
"""Tokens of a piece from which something can be learned: one to see, one to tell."""


class HistoryReader(RecordReader):
    """How whole histories come in: labels are not looked at. A long history is cut into pieces of the length of a
    sequence, each with the static tokens before it."""

    def read(self, source: str | Path, *, labelled: bool = True) -> RecordSamples:
        """Every subject of a store, whatever labels lie beside it.

        Raises:
            DataError: no store.
        """
        question = replace(find_question(source), labels=None)
        columns = open_columns(question.store)
        subjects = np.sort(np.asarray(columns.subjects))
        return RecordSamples(
            question=question,
            columns=columns,
            subject_ids=subjects,
            times=np.full(len(subjects), EVER),
            targets=np.full(len(subjects), None, object),
        )

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: EventTokens,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: Fractions | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> RecordDataset:
        """Split the subjects, fit the vocabulary on those of train, and cut.

        Raises:
            DataError: no history is long enough.
        """
        found = self.split(samples, seed=seed, fractions=fractions or (1.0, 0.0, 0.0))
        assert found.splits is not None
        columns, hierarchy = found.columns, hierarchy_of(found.question.store)
        places = columns.places(found.subject_ids)
        tokens = preprocess
        if not tokens.fitted:
            train = places[found.splits == "train"]
            tokens = fit_tokens(columns, train, np.full(len(train), EVER), preprocess, hierarchy)
        whole = Sequences(columns=columns, tokens=tokens, book=tokens.book(columns, hierarchy), rows=_whole(places))
        member, rows = pieces(whole)
        if not len(member):
            raise DataError(
                "no history of two events", why="there is nothing to tell from another", fix="other records"
            )
        sequences = replace(whole, rows=rows)
        subjects, splits = found.subject_ids[member], found.splits[member]
        return RecordDataset(
            sequences=sequences,
            ids=np.array(
                [f"{subject}#{cut}" for subject, cut in zip(subjects.tolist(), rows.cut.tolist(), strict=True)]
            ),
            subjects=subjects.astype(str),
            splits=splits,
            labels=(),
            targets=self.targets(sequences),
            metadata=pd.DataFrame(index=range(len(member))),
            digests=subject_digests(subjects),
            fingerprint=fingerprint_of(
                columns.fingerprint, subjects, rows.cut, "".join(splits.tolist()), tokens.digest
            ),
            skipped=[],
        )

    def targets(self, sequences: Sequences) -> Any:
        """Nothing: a history is its own target."""
        return np.full(len(sequences), -1, np.int64)


class FutureReader(HistoryReader):
    """As whole histories, and what came after some moments of each."""

    def targets(self, sequences: Sequences) -> Futures:
        """See `Futures`."""
        return Futures(sequences)


def _whole(places: np.ndarray) -> Rows:
    count = len(places)
    return Rows(places, np.full(count, EVER), np.full(count, -1), np.full(count, EVER))


def pieces(whole: Sequences) -> tuple[np.ndarray, Rows]:
    """Whole histories cut: int64 the history that each piece is of, and the pieces, end to end without overlap.

    A piece that is too short to learn from is left out.
    """
    endless = replace(whole, tokens=whole.tokens.model_copy(update={"length": 2 * whole.longest + 8}))
    statics, timed = endless.lengths(np.arange(len(whole)))
    room = whole.tokens.length
    stride = room - np.minimum(statics, room // 2)
    counts = -(-timed // stride)
    short = (timed - (counts - 1) * stride < LEAST) & (timed > 0)
    counts = np.where(short, counts - 1, counts)
    member = np.repeat(np.arange(len(whole)), counts)
    number = np.arange(len(member)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = number * stride[member]
    cut = np.minimum(begin + stride[member], timed[member])
    rows = Rows(whole.rows.places[member], whole.rows.until[member], cut, cut - begin)
    return member, rows


HISTORIES = HistoryReader()
FUTURES = FutureReader()
