"""What a profile counts: each kernel walks once over the events, subject by subject, in the order in which they lie.

Complexity: O(events) each, with memory for the codes and the years, whatever the number of events. Arrays that are
filled come last, and are zero (or `NOWHEN`) before.
"""

from __future__ import annotations

import numpy as np

from suwen.data.records.events import NOWHEN
from suwen.data.records.kernels import DAY, compiled

ROLE_BIRTH, ROLE_DEATH, ROLE_FEMALE, ROLE_MALE, ROLE_OTHER, ROLE_UNKNOWN = 1, 2, 4, 8, 16, 32
"""What a code says of a person; other codes are 0."""

ODD = ("died before birth", "before birth", "known before", "future", "before 1901", "after death")
O_DIED, O_UNBORN, O_FORESEEN, O_FUTURE, O_ANCIENT, O_LATER = range(len(ODD))
"""What is odd: the first are subjects, the others events. The last are more than a day after death, since a death that
has a date only lies at one end of its day."""

DEPTH = 32
"""Stays of one kind that are open at once in one subject; of more, the first is given up as never ended."""

LEAP_YEAR = 366 * DAY


@compiled
def _person(times: np.ndarray, codes: np.ndarray, roles: np.ndarray, begin: int, end: int) -> tuple[int, int, int]:
    """Of one subject's events: the roles of sex that are said, and the first birth and death that have a time."""
    flags, born, died = 0, NOWHEN, NOWHEN
    for event in range(begin, end):
        role = roles[codes[event]]
        if role == 0:
            continue
        if role == ROLE_BIRTH:
            born = times[event] if born == NOWHEN else born
        elif role == ROLE_DEATH:
            died = times[event] if died == NOWHEN else died
        else:
            flags |= role
    return flags, born, died


@compiled
def _count_odd(
    time: int, known: int, born: int, died: int, latest: int, oldest: int, odd: np.ndarray,
) -> None:  # fmt: skip
    """Count what is odd about an event that has a time; `known` is `NOWHEN` where nothing else is said."""
    if known < time and known != NOWHEN:
        odd[O_FORESEEN] += 1
    if time < born:
        odd[O_UNBORN] += 1
    if time > latest:
        odd[O_FUTURE] += 1
    if time < oldest:
        odd[O_ANCIENT] += 1
    if died != NOWHEN and time - died > DAY:
        odd[O_LATER] += 1


@compiled
def _count_subject(year: int, widths: np.ndarray, place: np.ndarray, subjects: np.ndarray) -> None:
    """Count a subject in a year, once in all that are put together; `place` is where it was counted last."""
    for each in range(len(widths)):
        together = year // widths[each]
        if together != place[each]:
            place[each] = together
            subjects[each, together] += 1


@compiled
def walk_people(
    offsets: np.ndarray, times: np.ndarray, codes: np.ndarray, available: np.ndarray, roles: np.ndarray,
    edges: np.ndarray, widths: np.ndarray, latest: int, oldest: int, first: np.ndarray, last: np.ndarray,
    birth: np.ndarray, death: np.ndarray, said: np.ndarray, events: np.ndarray, subjects: np.ndarray, odd: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """What is known of each subject, events and subjects by year, and what is odd.

    Args:
        offsets, times, codes, available: see `suwen.data.records.kernels.store_of`.
        roles: int8 (V,) of each code.
        edges: int64 (Y + 1,), when each of Y years begins, and the last ends. Births, and events outside of these
            years, are in no year and begin or end no follow-up.
        widths: int64 (W,): years that are put together; subjects are counted for each.
        latest, oldest: later, and earlier, events are odd.
        first, last: int64 (S,) first and last event.
        birth, death: int64 (S,) the first of each that has a time.
        said: int8 (S,) the roles of sex that were said.
        events: int64 (Y,).
        subjects: int64 (W, Y), each at the first year of what is put together, divided by the width.
        odd: int64 (`ODD`,).

    Returns:
        Events without a time, and events, births left out, that are in no year.
    """
    late, timeless, outside = len(available) > 0, 0, 0
    place = np.empty(len(widths), np.int64)
    for subject in range(len(offsets) - 1):
        begin, end = offsets[subject], offsets[subject + 1]
        flags, born, died = _person(times, codes, roles, begin, end)
        said[subject], birth[subject], death[subject] = flags, born, died
        if born != NOWHEN and died != NOWHEN and died < born:
            odd[O_DIED] += 1
        year, seen = 0, -1
        place[:] = -1
        for event in range(begin, end):
            time = times[event]
            if time == NOWHEN:
                timeless += 1
                continue
            _count_odd(time, available[event] if late else NOWHEN, born, died, latest, oldest, odd)
            if roles[codes[event]] == ROLE_BIRTH:
                continue
            if time < edges[0] or time >= edges[-1]:
                outside += 1
                continue
            if first[subject] == NOWHEN:
                first[subject] = time
            last[subject] = time
            if time >= edges[year + 1]:
                year = max(year, (time - edges[0]) // LEAP_YEAR)
                while time >= edges[year + 1]:
                    year += 1
            events[year] += 1
            if year != seen:
                seen = year
                _count_subject(year, widths, place, subjects)
    return timeless, outside


@compiled
def walk_kinds(
    offsets: np.ndarray, times: np.ndarray, codes: np.ndarray, values: np.ndarray, available: np.ndarray,
    kinds: np.ndarray, births: np.ndarray, edges: np.ndarray, subjects: np.ndarray, valued: np.ndarray,
    later: np.ndarray, events_in: np.ndarray, subjects_in: np.ndarray,
) -> int:  # fmt: skip
    """Events by kind and by span of years.

    Args:
        offsets, times, codes, values, available: see `suwen.data.records.kernels.store_of`.
        kinds: int32 (V,) of each code, of K.
        births: bool (V,): codes that are in no year.
        edges: int64 (B + 1,), when each of B spans begins, and the last ends.
        subjects, valued, later: int64 (K,): subjects that have events of the kind; events with a value; events that
            became available after their time.
        events_in, subjects_in: int64 (K, B).

    Returns:
        Events that repeat the one of the same code before them: same subject, time and value.
    """
    late, repeated = len(available) > 0, 0
    marks = np.full(len(subjects), -1, np.int64)
    marks_in = np.full(events_in.shape, -1, np.int64)
    before = np.full(len(kinds), -1, np.int64)
    for subject in range(len(offsets) - 1):
        begin, span = offsets[subject], 0
        for event in range(begin, offsets[subject + 1]):
            time, code, value = times[event], codes[event], values[event]
            kind, other = kinds[code], before[code]
            before[code] = event
            if other >= begin and times[other] == time:
                repeated += values[other] == value or (np.isnan(value) and np.isnan(values[other]))
            if marks[kind] != subject:
                marks[kind] = subject
                subjects[kind] += 1
            if not np.isnan(value):
                valued[kind] += 1
            if time == NOWHEN:
                continue
            if late and available[event] > time:
                later[kind] += 1
            if time < edges[0] or time >= edges[-1] or births[code]:
                continue
            while time >= edges[span + 1]:
                span += 1
            events_in[kind, span] += 1
            if marks_in[kind, span] != subject:
                marks_in[kind, span] = subject
                subjects_in[kind, span] += 1
    return repeated


@compiled
def walk_stays(
    offsets: np.ndarray, times: np.ndarray, codes: np.ndarray, stays: np.ndarray, ends: np.ndarray,
    begun: np.ndarray, never_ended: np.ndarray, never_begun: np.ndarray, subjects: np.ndarray, kinds: np.ndarray,
    lengths: np.ndarray,
) -> int:  # fmt: skip
    """Pair beginnings and ends of stays: an end closes the stay of its kind that was begun last.

    Which beginning an end belongs to changes no sum of lengths, and their spread only where stays of one kind overlap.

    Args:
        offsets, times, codes: see `suwen.data.records.kernels.store_of`.
        stays: int32 (V,), the kind of stay that a code begins or ends, of K; -1 for other codes.
        ends: bool (V,): whether it ends it.
        begun, never_ended, never_begun, subjects: int64 (K,).
        kinds, lengths: (n,) of each stay that has both ends, its kind and microseconds; n is at most the number of
            events that end one.

    Returns:
        How many have both.
    """
    depth = np.zeros(len(begun), np.int64)
    whose = np.full(len(begun), -1, np.int64)
    opened = np.empty((len(begun), DEPTH), np.int64)
    found = 0
    for subject in range(len(offsets) - 1):
        for event in range(offsets[subject], offsets[subject + 1]):
            stay = stays[codes[event]]
            if stay < 0 or times[event] == NOWHEN:
                continue
            if whose[stay] != subject:
                never_ended[stay] += depth[stay]
                whose[stay], depth[stay] = subject, 0
                subjects[stay] += 1
            if not ends[codes[event]]:
                begun[stay] += 1
                if depth[stay] == DEPTH:
                    never_ended[stay] += 1
                    for each in range(DEPTH - 1):
                        opened[stay, each] = opened[stay, each + 1]
                    depth[stay] -= 1
                opened[stay, depth[stay]] = times[event]
                depth[stay] += 1
            elif depth[stay] == 0:
                never_begun[stay] += 1
            else:
                depth[stay] -= 1
                kinds[found], lengths[found] = stay, times[event] - opened[stay, depth[stay]]
                found += 1
    never_ended += depth
    return found


@compiled
def walk_delays(
    times: np.ndarray, codes: np.ndarray, available: np.ndarray, kinds: np.ndarray, strides: np.ndarray,
    starts: np.ndarray, seen: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """Of each kind every so manieth delay (microseconds from the event until it was available) above 0."""
    for event in range(len(times)):
        if times[event] == NOWHEN or available[event] <= times[event]:
            continue
        kind = kinds[codes[event]]
        if seen[kind] % strides[kind] == 0:
            found[starts[kind] + seen[kind] // strides[kind]] = available[event] - times[event]
        seen[kind] += 1


@compiled
def walk_outliers(codes: np.ndarray, values: np.ndarray, low: np.ndarray, high: np.ndarray, far: np.ndarray) -> None:
    """Of each code the values below `low` or above `high`."""
    for event in range(len(codes)):
        value, code = values[event], codes[event]
        if value < low[code] or value > high[code]:
            far[code] += 1


@compiled
def walk_groups(offsets: np.ndarray, codes: np.ndarray, groups: np.ndarray, found: np.ndarray) -> None:
    """The group of each subject: that of the first event whose code has one (not -1)."""
    for subject in range(len(offsets) - 1):
        for event in range(offsets[subject], offsets[subject + 1]):
            if groups[codes[event]] >= 0:
                found[subject] = groups[codes[event]]
                break
