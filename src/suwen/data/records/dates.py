"""Dates without a time of day (``2013``, ``2013-06``, ``2013-06-22``): where they lie, and since when they are known.

What is dated so lies at the first instant of its date, and is available from the last one: nobody knew of it before it
was, and at which hour it was is not said. A birth is known all the time, a death lies at the last instant: until then
the patient may have been alive.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date

ENDS_EARLY = "ends before it begins"

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400_000_000


class PartialDate(int):
    """The first instant of a date, in microseconds since 1970.

    Attributes:
        last: its last instant.
    """

    last: int


def partial(first: int, last: int) -> PartialDate:
    """Something between two instants of which no more is known."""
    found = PartialDate(first)
    found.last = last
    return found


def partial_date(year: int, month: int | None = None, day: int | None = None) -> PartialDate:
    """A year, a month or a day.

    Raises:
        ValueError: the calendar has none such.
    """
    first = date(year, month or 1, day or 1)
    until = month or 12
    last = date(year, until, day or monthrange(year, until)[1])
    return partial((first.toordinal() - _EPOCH) * _DAY, (last.toordinal() - _EPOCH + 1) * _DAY - 1)


def last_of(time: int) -> int:
    """The last instant that a time may be."""
    return time.last if type(time) is PartialDate else time


def at_last(time: int) -> int:
    """The last instant of a date, of which no more is to be waited for; any other time as it is."""
    return partial(time.last, time.last) if type(time) is PartialDate else time


def known_from(time: int | None, known: int | None) -> int | None:
    """When somebody could know of what was at `time`: not before it was, or before `known` was over.

    Args:
        time: None for what has no time.
        known: when it was written down, where that is said.

    Returns:
        None: at its own time.
    """
    if known is not None:
        known = last_of(known)
    if time is None or (known is None and type(time) is not PartialDate):
        return known
    until = last_of(time)
    if known is None:
        return until if until > time else None
    return max(known, until)


def over(begin: int | None, end: int) -> int | None:
    """When something that began was over; None where it ends before it begins (`ENDS_EARLY`).

    An end that is dated only, and would lie before the beginning on its day, lies at the last instant of its date.
    """
    if begin is None or end >= begin:
        return end
    until = at_last(end)
    return until if until >= begin else None
