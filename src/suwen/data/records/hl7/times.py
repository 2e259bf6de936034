"""Times of HL7 v2 (DTM, TS, DT) as microseconds since 1970.

``YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+-ZZZZ]`` (HL7 v2.5.1, chapter 2.A, DTM). A shorter one is its first instant; one
without a time of day is a `PartialDate`.

One rule for zones. A time of day with an offset becomes UTC. One without takes the offset of MSH-7, if that has one,
since that is the zone of the whole message (chapter 2, MSH-7). Where neither says any, the local time stays as it is.
A date without a time of day is never moved: nobody is born the evening before. A file in which some times have an
offset and others have none is counted (`MIXED`); its events are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from suwen.data.records.dates import PartialDate, partial_date

MIXED = "times with an offset (now UTC) and times without (as they were) in one file"
UNREADABLE = "time unreadable (as if it were not there)"

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 86_400 * _SECOND
_EPOCH = date(1970, 1, 1).toordinal()
_EARLIEST, _LATEST = (date.min.toordinal() - _EPOCH) * _DAY, (date.max.toordinal() - _EPOCH + 1) * _DAY - 1
_CLOCK = re.compile(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.?(\d{1,9}))?)?)?", re.ASCII)
_ZONE = re.compile(r"[+-](\d\d)(\d\d)", re.ASCII)

HELD = 1 << 16
"""Times that are remembered."""

NOTHING: dict[str, int | None] = {"": None, '""': None}


class _Days(dict[str, PartialDate]):
    """Dates; ValueError where it is none."""

    def __missing__(self, text: str) -> PartialDate:
        if not (text.isascii() and text.isdecimal() and len(text) in (4, 6, 8)):
            raise ValueError(text)
        numbers = [int(text[at : at + size]) for at, size in ((0, 4), (4, 2), (6, 2)) if text[at:]]
        self[text] = found = partial_date(*numbers)
        return found


class _Clock(dict[str, int]):
    """Times of day → microseconds; ValueError where it is none."""

    def __missing__(self, text: str) -> int:
        match = _CLOCK.fullmatch(text)
        if match is None:
            raise ValueError(text)
        hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
        if hour > 23 or minute > 59 or second > 60:
            raise ValueError(text)
        found = ((hour * 60 + minute) * 60 + second) * _SECOND + int((match[4] or "")[:6].ljust(6, "0"))
        if match[4] is None:
            self[text] = found
        return found


_DAYS, _CLOCKS = _Days(), _Clock()


def offset_of(text: str) -> str:
    """The offset at the end of a time, as ``-0700``; empty where it has none."""
    return text[-5:] if len(text) > 5 and text[-5] in "+-" else ""


def minutes_of(offset: str) -> int:
    """Minutes east of UTC of ``+-ZZZZ``.

    Raises:
        ValueError: there is no such zone.
    """
    match = _ZONE.fullmatch(offset)
    if match is None or int(match[2]) > 59 or (minutes := int(match[1]) * 60 + int(match[2])) > 14 * 60:
        raise ValueError(offset)
    return -minutes if offset[0] == "-" else minutes


def moment(text: str, zone: int | None = None) -> int:
    """Microseconds since 1970 of a time.

    Digits beyond microseconds are dropped, and second 60 is the next minute's first. Fractions without the point that
    belongs before them, as some senders write them, are read.

    Args:
        text: as above.
        zone: minutes east of UTC of the message, where it says any.

    Raises:
        ValueError: it is no time.
    """
    own = offset_of(text)
    if own:
        text, zone = text[:-5], minutes_of(own)
    day = _DAYS[text[:8]]
    if len(text) <= 8:
        return day
    found = day + _CLOCKS[text[8:]] - (zone or 0) * _MINUTE
    if not _EARLIEST <= found <= _LATEST:
        raise ValueError(text)
    return found


class Times(dict[str, "int | None"]):
    """Texts → `moment`, each read once. Nothing, and what cannot be read, is None.

    Args:
        component: what comes after it is not of the time (degree of precision, HL7 v2.3).
        zone: of the message.
        unreadable: told of each text that is no time.

    Attributes:
        local, zoned: how many different times of day had no offset, and had one.
    """

    def __init__(self, component: str, zone: int | None, unreadable: Callable[[str], None]) -> None:
        super().__init__(NOTHING)
        self.component, self.zone, self.unreadable = component, zone, unreadable
        self.local = self.zoned = 0

    def __missing__(self, raw: str) -> int | None:
        text = raw.partition(self.component)[0].strip()
        if text in NOTHING:
            return None
        try:
            found = moment(text, self.zone)
        except ValueError:
            self.unreadable(raw)
            return None
        if len(text) > 8:
            if self.zone is not None or offset_of(text):
                self.zoned += 1
            else:
                self.local += 1
        if len(self) > HELD:
            self.clear()
            self.update(NOTHING)
        self[raw] = found
        return found
