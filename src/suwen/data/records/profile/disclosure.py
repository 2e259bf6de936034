"""What of a cohort may be shown: no small cells, no dates but years, no exact ages above 89.

A count of 1 to 10 is not shown, and cannot be worked out from what is (cell size suppression policy of the US Centers
for Medicare & Medicaid Services, https://resdac.org/articles/cms-cell-size-suppression-policy; 0 is no small cell; the
policy counts patients as well as admissions and services, hence subjects and events alike here). Of dates there are
years only, and ages of 90 and more are one group (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C)).

It protects each table by itself. Who joins tables of several stores, or of several versions of one, can still learn
more than any of them says: a person has to look before figures leave the house.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SMALLEST = 11
"""The least count that is shown."""

OLDEST_AGE = 90
"""Years: this age and all above are one."""

HIDDEN = "hidden"
"""Instead of a count that is not small, but from which a small one could be worked out."""

Count = int | str
"""A count, or ``"<11"``, ``">89"``, `HIDDEN`."""


def cell(count: int, smallest: int = SMALLEST) -> Count:
    """The count, or that it is below `smallest`."""
    return f"<{smallest}" if 0 < count < smallest else int(count)


def part(count: int, whole: int, smallest: int = SMALLEST) -> Count:
    """The count of those who have something, `whole` being known: neither they nor the others may be few."""
    if 0 < count < smallest:
        return f"<{smallest}"
    return f">{max(0, whole - smallest)}" if 0 < whole - count < smallest else int(count)


def partition(counts: Sequence[int], smallest: int = SMALLEST) -> list[Count]:
    """Counts whose sum is known, unless it is small itself.

    Where some are small, others are hidden, the smallest first, until none of the small ones can be worked out from the
    sum: each could have another value. Where that is not enough, all are hidden.
    """
    told: list[Count] = [cell(count, smallest) for count in counts]
    if sum(counts) < smallest:
        return told
    small = sum(isinstance(count, str) for count in told)
    hidden, unseen = 0, sum(count for count in counts if 0 < count < smallest)
    for place in sorted(range(len(counts)), key=lambda place: (counts[place], place)):
        if not _forced(small, hidden, unseen, smallest):
            return told
        if counts[place] >= smallest:
            told[place] = HIDDEN
            hidden, unseen = hidden + 1, unseen + counts[place]
    return [HIDDEN] * len(counts) if _forced(small, hidden, unseen, smallest) else told


def _forced(small: int, hidden: int, unseen: int, smallest: int) -> bool:
    """Whether the small counts follow from what all counts out of sight add up to: they lie from 1 to ``smallest - 1``,
    and the hidden ones above."""
    if not small:
        return False
    if hidden == 0:
        return small == 1 or unseen in (small, small * (smallest - 1))
    return unseen == small + hidden * smallest


def pooled(counts: Sequence[int], smallest: int = SMALLEST) -> list[tuple[int, int, int]]:
    """Neighbouring cells put together until each holds `smallest`: (first, last, count), last inclusive.

    Cells at both ends that hold nothing are left out. Where all together are fewer there is one cell.
    """
    there = np.flatnonzero(counts)
    if not len(there):
        return []
    found: list[tuple[int, int, int]] = []
    first, held = int(there[0]), 0
    for place in range(int(there[0]), int(there[-1]) + 1):
        held += int(counts[place])
        if held >= smallest:
            found.append((first, place, held))
            first, held = place + 1, 0
    if held and found:
        before = found.pop()
        return [*found, (before[0], int(there[-1]), before[2] + held)]
    return found or [(first, int(there[-1]), held)]


def years(age: float | None) -> float | None:
    """An age in years; 90 for that and more."""
    return None if age is None else min(float(age), float(OLDEST_AGE))


def share(count: Count, whole: Count) -> float | None:
    """The share, None where one of the two is not shown, or the whole is 0."""
    return count / whole if isinstance(count, int) and isinstance(whole, int) and whole else None
