"""From events to labels: one pass over the events of a subject, then a few steps a trigger.

The pass gathers moments: events of one time, with the bits of what holds then, and running counts of what is counted.
All moments are kept only where ``_ANY_EVENT`` is asked for, else those at which something holds, the first and the
last. A window is then a range of moments: its ends are found by halving or, where they are the next or last moment of
something, in an array that was filled in one pass; what it holds is the difference of two running counts.

Complexity: O(events + triggers × endpoints × log moments + moments × (counted + sought)), and memory of a thread for
the moments of the subject that has most. Where events became known later than they happened, a window that ends before
the prediction recounts the moments of which something was not yet known, from its end back to the earliest of them.

Threads share the subjects and run without the interpreter's lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from suwen.data.records.cohorts.program import ANY, BEFORE, CONDITION, FIRST, LAST, OFFSET, Aim, Matching
from suwen.data.records.events import NOWHEN
from suwen.data.records.kernels import Store, compiled

PLACE, TRIGGERED, PREDICTED, COUNT, HAPPENED, FOLLOWED, COVERED, SEEN, WIDTH = range(9)
"""Columns of a label: the subject's place; times of trigger and prediction; how often the label's predicate holds, and
when first; when following up ended; whether the record covers the window; whether the prediction sees some of it. Then
starts of all windows, and ends."""

SUBJECTS, ELIGIBLE, TRIGGERS, TALLIES = range(4)
"""What is tallied: subjects, those that have the demographics and an event in time, triggers; then losses by reason."""

NEVER = int(np.iinfo(np.int64).max)
BEGUN = 1024
"""Rows of labels at first; they double."""


ROWS = np.dtype([(name, np.int64) for name in ("time", "bits", "event", "known", "top")])
"""A moment: its time, and the bits of what holds. Where something is known later than it happens: its first event, when
all of it is known, and the latest of these times so far."""

ENDS = np.dtype([("time", np.int64), ("row", np.int64)])
"""Where a moment of the cohort lies in a record: its time, and the first row that is not before it; of one that is not
there, -1 less the reason."""


Fields = Any
"""One element of a structured array."""


class Record(NamedTuple):
    """Moments of one subject, in time: `rows`; `sums` (moments + 1, counted), counts before each; `near` (sought,
    moments), the row from there on, or up to there, at which something holds, or -1."""

    rows: np.ndarray
    sums: np.ndarray
    near: np.ndarray


@compiled
def labels_of(
    first: int, last: int, store: Store, matching: Matching, moments: np.ndarray, windows: np.ndarray,
    criteria: np.ndarray, aim: Aim, tallies: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The labels of subjects `first` to `last`, int64 (L, WIDTH + 2 × windows), in time; `tallies` are added to."""
    record, late = _room(first, last, store, matching), len(store.available) > 0
    found = np.empty((BEGUN, WIDTH + 2 * len(windows)), np.int64)
    ends = np.empty(len(moments), ENDS)
    labels = 0
    for place in range(first, last):
        tallies[SUBJECTS] += 1
        begin, end = store.offsets[place], store.offsets[place + 1]
        begin, since = _demographics(begin, end, store, matching)
        if begin == end:
            continue
        tallies[ELIGIBLE] += 1
        count, death = _gather(begin, end, store, matching, record)
        rows = record.rows[:count]
        for row in range(count):
            if not rows[row].bits & aim.trigger:
                continue
            tallies[TRIGGERS] += 1
            ends[0].time, ends[0].row = rows[row].time, row
            for moment in range(1, len(moments)):
                _place(moments[moment], ends[moments[moment].parent], ends[moment], rows, record.near)
            lost = _lacking(ends, end, rows, record.sums, store, matching, windows, criteria, aim)
            if lost < 0 and ends[aim.predicted].time < rows[0].time:
                lost = aim.early
            if lost < 0 and late:
                lost = _unknown(ends, end, since, rows, store, matching, moments, aim)
            if lost >= 0:
                tallies[TALLIES + lost] += 1
                continue
            if labels == len(found):
                found = _doubled(found)
            found[labels, PLACE] = place
            _label(ends, death, rows, record, windows, aim, found[labels])
            labels += 1
    return found[:labels].copy()


@compiled
def _doubled(found: np.ndarray) -> np.ndarray:
    more = np.empty((2 * len(found), found.shape[1]), np.int64)
    more[: len(found)] = found
    return more


@compiled
def _room(first: int, last: int, store: Store, matching: Matching) -> Record:
    """For the subject of most events."""
    most = 0
    for place in range(first, last):
        most = max(most, store.offsets[place + 1] - store.offsets[place])
    sums = np.zeros((most + 1, len(matching.counted)), np.int64)
    return Record(np.empty(most, ROWS), sums, np.empty((len(matching.sought), most), np.int64))


@compiled
def _bits_of(event: int, store: Store, matching: Matching) -> int:
    """What holds of one event."""
    code = store.codes[event]
    bits = int(matching.always[code])
    if bits & CONDITION:
        value = store.values[event]
        for each in matching.conditions[matching.starts[code] : matching.starts[code + 1]]:
            if each.low <= value <= each.high:
                bits |= each.bit
    return bits


@compiled
def _demographics(begin: int, end: int, store: Store, matching: Matching) -> tuple[int, int]:
    """The first event in time, or `end` where demographics are lacking; and when the demographics were known."""
    timed, since = begin, NOWHEN
    while timed < end and store.times[timed] == NOWHEN:
        timed += 1
    for static in matching.statics:
        earliest = NEVER
        for event in range(begin, timed):
            if _bits_of(event, store, matching) & static:
                earliest = min(earliest, store.available[event] if len(store.available) > 0 else NOWHEN)
        if earliest == NEVER:
            return end, since
        since = max(since, earliest)
    return timed, since


@compiled
def _gather(begin: int, end: int, store: Store, matching: Matching, record: Record) -> tuple[int, int]:
    """The moments of one subject; how many there are, and the time of death, or the smallest int64."""
    # fields are taken first, and nothing is called in the loop: see `suwen.data.records.kernels`
    times, codes, values, available = store.times, store.codes, store.values, store.available
    always, starts, conditions, counted = matching.always, matching.starts, matching.conditions, matching.counted
    relevant, every, rows, sums = matching.relevant, matching.every, record.rows, record.sums
    late, columns, count, now = len(available) > 0, len(counted), 0, NOWHEN
    for event in range(begin, end):
        code = codes[event]
        held = always[code]
        if held & CONDITION:
            value = values[event]
            for each in range(starts[code], starts[code + 1]):
                if conditions[each].low <= value <= conditions[each].high:
                    held |= conditions[each].bit
        held &= relevant
        if held == 0 and not every and event != begin and event != end - 1:
            continue
        time = times[event]
        if time != now:
            now = time
            rows[count].time, rows[count].bits, rows[count].event, rows[count].known = time, ANY, event, NOWHEN
            for column in range(columns):
                sums[count + 1, column] = sums[count, column]
            count += 1
        rows[count - 1].bits |= held
        if held:
            for column in range(columns):
                if counted[column].eventwise and held & counted[column].bit:
                    sums[count, column] += 1
        if late:
            rows[count - 1].known = max(rows[count - 1].known, available[event])
    rows[0].bits |= FIRST
    rows[count - 1].bits |= LAST
    return count, _finish(rows[:count], matching, record)


@compiled
def _finish(rows: np.ndarray, matching: Matching, record: Record) -> int:
    """What is seen once all events of a moment are there; the time of death, or the smallest int64."""
    death, top = NOWHEN, NOWHEN
    for row in range(len(rows)):
        rows[row].bits = held = _derived(rows[row].bits, matching.formulas)
        for column in range(len(matching.counted)):
            if not matching.counted[column].eventwise:
                more = 1 if held & matching.counted[column].bit else 0
                record.sums[row + 1, column] = record.sums[row, column] + more
        top = max(top, rows[row].known)
        rows[row].top = top
        if death == NOWHEN and held & matching.death:
            death = rows[row].time
    for column in range(len(matching.sought)):
        bit, forward, found = matching.sought[column].bit, matching.sought[column].forward, -1
        for number in range(len(rows)):
            row = len(rows) - 1 - number if forward else number
            if rows[row].bits & bit:
                found = row
            record.near[column, row] = found
    return death


@compiled
def _derived(held: int, formulas: np.ndarray) -> int:
    """With the bits of derived predicates."""
    for formula in formulas:
        there = held & formula.needs
        if there == formula.needs if formula.all else there != 0:
            held |= formula.gives
    return held


@compiled
def _place(moment: Fields, parent: Fields, end: Fields, rows: np.ndarray, near: np.ndarray) -> None:
    """Where a moment lies, after the one it hangs on."""
    end.time, end.row = parent.time, parent.row
    if parent.row < 0:
        return
    if moment.kind == OFFSET:
        end.time = parent.time + moment.offset
        end.row = _row_from(rows, end.time)
        return
    row = parent.row
    exact = row < len(rows) and rows[row].time == parent.time
    if moment.kind == BEFORE:
        row = row if exact and not moment.strict else row - 1
        row = near[moment.sought, row] if row >= 0 else -1
    else:
        row = row + 1 if exact and moment.strict else row
        row = near[moment.sought, row] if row < len(rows) else -1
    end.row = row if row >= 0 else -1 - moment.missing
    if row >= 0:
        end.time = rows[row].time


@compiled
def _row_from(rows: np.ndarray, time: int) -> int:
    """The first row that is not before a time."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle].time < time:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _range(window: Fields, ends: np.ndarray, rows: np.ndarray) -> tuple[int, int]:
    """The moments within a window: from, and up to but without."""
    start, end = ends[window.start], ends[window.end]
    low, high = start.row, end.row
    if not window.left and low < len(rows) and rows[low].time == start.time:
        low += 1
    if window.right and high < len(rows) and rows[high].time == end.time:
        high += 1
    return low, max(low, high)


@compiled
def _lacking(
    ends: np.ndarray, last: int, rows: np.ndarray, sums: np.ndarray, store: Store, matching: Matching,
    windows: np.ndarray, criteria: np.ndarray, aim: Aim,
) -> int:  # fmt: skip
    """The reason why the first window that is not there, or does not hold what it must, is none; -1 where all do.

    What is in windows that end before the prediction counts as far as it was known then.
    """
    index = NEVER if ends[aim.predicted].row < 0 or len(store.available) == 0 else ends[aim.predicted].time
    each = 0
    for window in windows:
        for end in (window.start, window.end):
            if ends[end].row < 0:
                return int(-1 - ends[end].row)
        low, high = _range(window, ends, rows)
        while each < window.criteria:
            column = criteria[each].counted
            within = sums[high, column] - sums[low, column]
            if ends[window.end].time <= index < NEVER:
                within -= _hidden(low, high, column, last, index, rows, sums, store, matching)
            if within < criteria[each].least:
                return int(criteria[each].fewer)
            if within > criteria[each].most:
                return int(criteria[each].more)
            each += 1
    return -1


@compiled
def _hidden(
    low: int, high: int, column: int, last: int, index: int, rows: np.ndarray, sums: np.ndarray, store: Store,
    matching: Matching,
) -> int:  # fmt: skip
    """How many of what is counted from row `low` to `high` were not yet known at `index`."""
    hidden, counted = 0, matching.counted[column]
    row = high - 1
    while row >= low and rows[row].top > index:
        if rows[row].known > index:
            bits, times = _known(rows[row], counted.bit, last, index, store, matching)
            hidden += sums[row + 1, column] - sums[row, column]
            hidden -= times if counted.eventwise else 1 if bits & counted.bit else 0
        row -= 1
    return hidden


@compiled
def _known(row: Fields, bit: int, last: int, index: int, store: Store, matching: Matching) -> tuple[int, int]:
    """What of a moment was known at `index`: bits, and in how many events one of them holds."""
    event, held, times = row.event, 0, 0
    while event < last and store.times[event] == row.time:
        if store.available[event] <= index:
            bits = _bits_of(event, store, matching)
            times += 1 if bits & bit else 0
            held |= (bits & matching.relevant) | ANY
        event += 1
    return _derived(held | (row.bits & (FIRST | LAST)), matching.formulas) if held else 0, times


@compiled
def _unknown(
    ends: np.ndarray, last: int, since: int, rows: np.ndarray, store: Store, matching: Matching, moments: np.ndarray,
    aim: Aim,
) -> int:  # fmt: skip
    """The reason why the prediction could not have been made: what it hangs on was not yet known. -1 for none."""
    index = ends[aim.predicted].time
    if since > index:
        return aim.statics_unknown
    for moment in range(len(moments)):
        end, bit, reason = ends[moment], aim.trigger, aim.trigger_unknown
        if moment > 0:
            if moments[moment].kind == OFFSET:
                continue
            bit, reason = matching.sought[moments[moment].sought].bit, moments[moment].unknown
        if reason >= 0 and end.time <= index < rows[end.row].known:
            bits, _ = _known(rows[end.row], bit, last, index, store, matching)
            if not bits & bit:
                return reason
    return -1


@compiled
def _label(
    ends: np.ndarray, death: int, rows: np.ndarray, record: Record, windows: np.ndarray, aim: Aim, found: np.ndarray
) -> None:
    """What is to be predicted, and how long it was looked for."""
    index = ends[aim.predicted].time
    found[TRIGGERED], found[PREDICTED], found[COUNT], found[HAPPENED] = ends[0].time, index, 0, NOWHEN
    found[FOLLOWED], found[COVERED], found[SEEN] = index, 1, 0
    for window in range(len(windows)):
        found[WIDTH + window] = ends[windows[window].start].time
        found[WIDTH + len(windows) + window] = ends[windows[window].end].time
    if aim.label < 0:
        return
    window = windows[aim.label]
    low, high = _range(window, ends, rows)
    found[COUNT] = record.sums[high, aim.counted] - record.sums[low, aim.counted]
    event = record.near[aim.next, low] if low < high else -1
    if 0 <= event < high:
        found[HAPPENED] = rows[event].time
    start, end = ends[window.start].time, ends[window.end].time
    ended = rows[len(rows) - 1].time if death == NOWHEN else death
    found[FOLLOWED] = max(index, min(end, ended))
    found[COVERED] = 1 if death != NOWHEN or end <= ended else 0
    found[SEEN] = 1 if start < index or (start == index and window.left) else 0
