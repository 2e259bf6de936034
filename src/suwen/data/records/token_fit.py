"""Fitting `EventTokens`: which codes there are, and how their values are spread, among the training subjects alone."""

from __future__ import annotations

from itertools import chain

import numpy as np

from suwen.core.errors import DataError
from suwen.data.records.codes.hierarchy import Hierarchy
from suwen.data.records.codes.vocabulary import link
from suwen.data.records.columns import Columns
from suwen.data.records.events import BIRTH, END
from suwen.data.records.kernels import store_of
from suwen.data.records.tallies import quantiles, tally
from suwen.data.records.token_kernels import DECILES, subjects_with
from suwen.data.records.tokens import UNKNOWN, EventTokens

FEW_VALUES = 20
"""Deciles of fewer values say nothing."""


def fit_tokens(
    columns: Columns,
    places: np.ndarray,
    until: np.ndarray,
    settings: EventTokens,
    hierarchy: Hierarchy | None = None,
) -> EventTokens:
    """The vocabulary of some subjects.

    A code is kept, or one above some, if at least ``min_subjects`` have it or a code below it; of more than ``size``
    those of most subjects are, of equally many the first by name.

    Args:
        columns: the events.
        places: int64 (P,), training subjects, each once.
        until: int64 (P,), microseconds: nothing later of each is looked at.
        settings: what was chosen; what is fitted in it is replaced.
        hierarchy: of the store.

    Raises:
        DataError: no code is left.
    """
    linked = link(columns.vocabulary, known=hierarchy)
    names, starts, above = _with_ancestors(columns, linked)
    counts = subjects_with(places, until, store_of(columns), starts, above, len(names))
    kept = [
        number for number in range(len(names)) if counts[number] >= settings.min_subjects and names[number] != BIRTH
    ]
    kept = sorted(kept, key=lambda number: (-counts[number], names[number]))[: settings.size - 1]
    if not kept:
        raise DataError(
            f"no code that {settings.min_subjects} of {len(places)} training subjects have",
            why="there is nothing to make tokens of",
            fix="--set inputs.min_subjects=1, or more subjects",
        )
    codes = (UNKNOWN, *(names[number] for number in kept))
    token = {code: number for number, code in enumerate(codes)}
    edges, mean, deviation = _values(columns, places, until, token)
    return EventTokens(
        **settings.settings(),
        codes=codes,
        subjects=(0, *(int(counts[number]) for number in kept)),
        above=tuple(tuple(token[each] for each in _ancestors(code, linked) if each in token) for code in codes),
        parents={code: parents for code, parents in linked.parents.items() if parents},
        edges=edges,
        mean=mean,
        deviation=deviation,
    )


def _ancestors(code: str, linked: Hierarchy) -> tuple[str, ...]:
    """All above a code; of the end of something nothing, since that is no occurrence of it."""
    return () if code.endswith(END) or code not in linked else linked.ancestors(code)


def _with_ancestors(columns: Columns, linked: Hierarchy) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of codes and of those above them; of each code of the store itself and all above it, end to end."""
    number = {code: place for place, code in enumerate(columns.vocabulary)}
    lists = []
    for code in columns.vocabulary:
        lists.append([number.setdefault(each, len(number)) for each in (code, *_ancestors(code, linked))])
    starts = np.cumsum([0, *map(len, lists)])
    return list(number), starts, np.array(list(chain.from_iterable(lists)), np.int64)


def _values(
    columns: Columns, places: np.ndarray, until: np.ndarray, token: dict[str, int]
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...], tuple[float, ...]]:
    """Inner deciles, mean and deviation of the values of each token's own code."""
    of_code = np.array([token.get(code, -1) for code in columns.vocabulary], np.int32)
    found = tally(columns, places, until, of_code, len(token))
    shares = tuple((np.arange(DECILES) + 1) / (DECILES + 1))
    cut = quantiles(columns, places, until, of_code, found.values, shares).astype(np.float32)
    enough = found.values >= FEW_VALUES
    edges = tuple(tuple(map(float, row)) if some else () for row, some in zip(cut, enough.tolist(), strict=True))
    # as float32, which JSON holds to the last bit
    mean, deviation = (np.where(enough, each, 0.0).astype(np.float32) for each in (found.mean, found.std))
    return edges, tuple(map(float, mean)), tuple(map(float, deviation))
