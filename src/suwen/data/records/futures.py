"""What came after: of some moments of each history, when each code first happened afterwards, or until when not."""

from __future__ import annotations

from typing import Any

import numpy as np

from suwen.data.records.kernels import DAY, Store, compiled
from suwen.data.records.sequences import Sequences
from suwen.data.records.token_kernels import EVER, known

MOMENTS = 8
"""Of each sequence."""

NEVER = np.float32(np.inf)


class Futures:
    """The targets of whole histories: indexed by row numbers it gives a dict of arrays for M moments of these rows.

    | name | what |
    |---|---|
    | tokens | int64 (M,): the token of the packed batch after which a moment is |
    | follow | float32 (M,): days until the record ends |
    | first | float32 (M, tokens): days until a code, or one below it, first happens afterwards; infinite where it does
      not while the record goes on |

    Moments are those in which time passes: the last token before each step to a later time, evenly many of them if
    there are more than `MOMENTS`. What happened at the moment itself is not after it. A record ends with its last event
    in any case; with death nothing else can happen, which is as good as being followed up no longer.
    """

    def __init__(self, sequences: Sequences) -> None:
        self.sequences = sequences
        tokens = sequences.tokens
        self.tokens = tokens.count
        lists = [(number, *above) for number, above in enumerate(tokens.above)]
        self.starts = np.cumsum([0, *map(len, lists)])
        self.above = np.array([each for row in lists for each in row], np.int64)

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        rows = np.atleast_1d(np.asarray(index, np.int64))
        packed = self.sequences.packed(rows)
        tokens, owners = moments(packed.times, packed.offsets, MOMENTS)
        places = self.sequences.rows.places[rows][owners]
        first, follow = _after(
            places,
            packed.times[tokens],
            self.sequences.store,
            self.sequences.book.token,
            self.sequences.book.birth,
            self.sequences.book.death,
            self.starts,
            self.above,
            self.tokens,
            self.sequences.longest,
        )
        return {"tokens": tokens, "follow": follow, "first": first}


def moments(times: np.ndarray, offsets: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 (M,): the tokens after which time passes, the last of each sequence among them, at most so many of each;
    and the sequence of each. Tokens without a time are none."""
    tokens, owners = _moments(times, offsets.astype(np.int64), most)
    return tokens, owners


@compiled
def _moments(times: np.ndarray, offsets: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    count = (len(offsets) - 1) * most
    tokens, owners, found = np.empty(count, np.int64), np.empty(count, np.int64), 0
    for row in range(len(offsets) - 1):
        first, last = offsets[row], offsets[row + 1]
        steps = 0
        for token in range(first, last):
            steps += times[token] > -EVER and (token + 1 == last or times[token + 1] > times[token])
        take, seen, taken = min(most, steps), 0, 0
        for token in range(first, last):
            if times[token] > -EVER and (token + 1 == last or times[token + 1] > times[token]):
                seen += 1
                # the last step is always taken
                if seen * take >= (taken + 1) * steps:
                    tokens[found], owners[found] = token, row
                    found, taken = found + 1, taken + 1
    return tokens[:found], owners[:found]


@compiled
def _after(
    places: np.ndarray, since: np.ndarray, store: Store, token: np.ndarray, birth: int, death: int,
    starts: np.ndarray, above: np.ndarray, count: int, longest: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Days from each moment to the first of each token, and to the end of the record."""
    first, follow = np.full((len(places), count), NEVER, np.float32), np.zeros(len(places), np.float32)
    order, when = np.empty(longest, np.int64), np.empty(longest, np.int64)
    before, statics, timed = -1, 0, 0
    for moment in range(len(places)):
        place, now = places[moment], since[moment]
        if place != before:  # moments of one history lie together
            statics, timed, _, _ = known(
                store.offsets[place], store.offsets[place + 1], EVER, store, birth, death, order, when
            )
            before = place
        end = now
        for number in range(statics, statics + timed):
            event = order[number]
            time = store.times[event]
            end = max(end, time)
            if time <= now:
                continue
            days = np.float32((time - now) / DAY)
            code = token[store.codes[event]]
            for which in range(starts[code], starts[code + 1]):
                if days < first[moment, above[which]]:
                    first[moment, above[which]] = days
        follow[moment] = (end - now) / DAY
    return first, follow
