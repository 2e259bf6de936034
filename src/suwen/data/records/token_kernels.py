"""From events to tokens: for each sequence one walk over the events of its subject, without an object an event.

A sequence is what was known of a subject at a time, in the order in which it became known: an event that was available
later than it happened stands where it became available, so that every prefix of a history is a history as it was then,
and pretraining on whole histories sees nothing that a prediction would not.

- Events without a time (static) come first, and stay when the sequence is longer than there is room for.
- The birth is no token: it is what ages are counted from.
- Of the others the latest are kept. After a death there are none: what is written later is no history.

Complexity: O(events of the subject until the time), and the sort of those that became known out of order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from suwen.data.records.events import NOWHEN
from suwen.data.records.kernels import DAY, Store, compiled

STATIC = 0
"""The interval of tokens without a time."""

MINUTES = (
    *(5, 15, 45, 75, 120, 180, 300, 480, 720, 1080, 1440, 2880, 5760, 10_080, 17_280, 28_800, 43_200),
    *(86_400, 262_800, 525_600, 1_051_200, 2_628_000),
)
"""Edges of the intervals between tokens: those of ETHOS (Renc et al., npj Digit Med 2024;7:256, ``interval_tokens`` of
ipolharvard/ethos-ares), 5 minutes to 6 months of 30.4 days, and 1, 2 and 5 years."""

INTERVALS = len(MINUTES) + 2
"""0 static, 1 less than five minutes after the token before, or the first, then one each edge."""

DECILES = 9
"""Edges between the ten buckets of the values of a code."""

BUCKETS = DECILES + 2
"""0 for no value, then ten."""

MOST = 5.0
"""Standardised values are cut off there."""

EVER = int(np.iinfo(np.int64).max)


class Rows(NamedTuple):
    """S sequences: of which subject, until when, up to which of the tokens that have a time, and how many of these.

    `cut` counts in the order in which they became known; -1 is after all that are known `until` then.
    """

    places: np.ndarray
    until: np.ndarray
    cut: np.ndarray
    most: np.ndarray


class Book(NamedTuple):
    """What is known of codes: int32 (V,) tokens of the store's codes; float32 edges (tokens, 9), NaN where there are
    none; mean and 1 / deviation (tokens,); numbers of the birth and death codes in the store, or -1."""

    token: np.ndarray
    edges: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    birth: int
    death: int


class Packed(NamedTuple):
    """Sequences end to end. See `suwen.data.records.sequences`."""

    codes: np.ndarray
    buckets: np.ndarray
    values: np.ndarray
    ages: np.ndarray
    intervals: np.ndarray
    times: np.ndarray
    offsets: np.ndarray
    born: np.ndarray


@compiled
def known(
    begin: int, end: int, until: int, store: Store, birth: int, death: int, order: np.ndarray, when: np.ndarray
) -> tuple[int, int, int, int]:
    """The events `begin` to `end` of a subject that were known until then: numbers into `order`, static ones first,
    then by when they became known, which `when` holds. How many are static, how many not; birth (or first time), and
    whether there is a birth."""
    _, times, codes, _, available = store
    late, statics, n, born, origin = len(available) > 0, 0, 0, 0, NOWHEN
    # a birth may be written after another event of the same day, or become known too late
    for event in range(begin, end):
        if times[event] > until:
            break
        if codes[event] == birth and times[event] != NOWHEN and not (late and available[event] > until):
            origin, born = times[event], 1
            break
    in_order = True
    for event in range(begin, end):
        time = times[event]
        if time > until:
            break
        if codes[event] == birth:
            continue
        since = time
        if late and available[event] > time:
            since = available[event]
        if since > until:
            continue
        if time == NOWHEN:
            # an event without a time comes before all others, so that n is still 0
            order[statics] = event
            when[statics] = NOWHEN
            statics += 1
            continue
        if origin == NOWHEN:
            origin = time
        place = statics + n
        order[place], when[place] = event, since
        if n > 0 and since < when[place - 1]:
            in_order = False
        n += 1
    if not in_order:
        sorted_ = np.argsort(when[statics : statics + n], kind="mergesort")
        order[statics : statics + n] = order[statics : statics + n][sorted_]
        when[statics : statics + n] = when[statics : statics + n][sorted_]
    if death >= 0:
        for place in range(statics, statics + n):
            if codes[order[place]] == death:
                n = place + 1 - statics
                break
    return statics, n, origin, born


@compiled
def _share(statics: int, timed: int, room: int, cut: int, most: int) -> tuple[int, int, int]:
    """How many static tokens fit, and which of the others: first and last, exclusive."""
    fits = min(statics, room // 2)
    last = timed if cut < 0 else min(cut, timed)
    return fits, max(0, last - min(room - fits, most)), last


@compiled
def measure(rows: Rows, store: Store, birth: int, death: int, room: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 (S,): how many static and how many other tokens each sequence has, at most `room` together."""
    order, when = np.empty(longest, np.int64), np.empty(longest, np.int64)
    statics, timed = np.zeros(len(rows.places), np.int64), np.zeros(len(rows.places), np.int64)
    for row in range(len(rows.places)):
        place = rows.places[row]
        found = known(store.offsets[place], store.offsets[place + 1], rows.until[row], store, birth, death, order, when)
        fits, first, last = _share(found[0], found[1], room, rows.cut[row], rows.most[row])
        statics[row], timed[row] = fits, last - first
    return statics, timed


@compiled
def interval_of(microseconds: int, edges: np.ndarray) -> int:
    """1 below the first edge, then one each edge."""
    number = 1
    for edge in edges:
        if microseconds < edge:
            break
        number += 1
    return number


@compiled
def fill(rows: Rows, store: Store, book: Book, room: int, longest: int, edges: np.ndarray, packed: Packed) -> None:
    """Write the tokens of all sequences; `packed` has room for them, and its offsets."""
    order, when = np.empty(longest, np.int64), np.empty(longest, np.int64)
    codes, values = store.codes, store.values
    token, cuts, mean, scale, birth, death = book
    for row in range(len(rows.places)):
        place = rows.places[row]
        begin, end = store.offsets[place], store.offsets[place + 1]
        statics, timed, origin, born = known(begin, end, rows.until[row], store, birth, death, order, when)
        fits, first, last = _share(statics, timed, room, rows.cut[row], rows.most[row])
        packed.born[row] = born
        spot = packed.offsets[row]
        for number in range(fits + last - first):
            place_in = number if number < fits else statics + first + number - fits
            event = order[place_in]
            mine = token[codes[event]]
            packed.codes[spot] = mine
            value = values[event]
            packed.buckets[spot], packed.values[spot] = 0, 0.0
            if not np.isnan(value) and not np.isnan(cuts[mine, 0]):
                bucket = 1
                for edge in range(DECILES):
                    bucket += value > cuts[mine, edge]
                packed.buckets[spot] = bucket
                packed.values[spot] = min(max((value - mean[mine]) * scale[mine], -MOST), MOST)
            packed.times[spot] = when[place_in]
            if number < fits:
                packed.intervals[spot], packed.ages[spot] = STATIC, 0.0
            else:
                packed.ages[spot] = (store.times[event] - origin) / DAY
                before = 0 if place_in == statics else when[place_in] - when[place_in - 1]
                packed.intervals[spot] = interval_of(before, edges)
            spot += 1


@compiled
def subjects_with(
    places: np.ndarray, until: np.ndarray, store: Store, starts: np.ndarray, above: np.ndarray, tokens: int
) -> np.ndarray:
    """int64 (tokens,): how many of these subjects have each code, or one below it, until then. The tokens of code v are
    ``above[starts[v] : starts[v + 1]]``."""
    counts, marks = np.zeros(tokens, np.int64), np.full(tokens, -1, np.int64)
    for number in range(len(places)):
        for event in range(store.offsets[places[number]], store.offsets[places[number] + 1]):
            if store.times[event] > until[number]:
                break
            if len(store.available) and store.available[event] > until[number]:
                continue
            code = store.codes[event]
            for which in range(starts[code], starts[code + 1]):
                if marks[above[which]] != number:
                    marks[above[which]] = number
                    counts[above[which]] += 1
    return counts
