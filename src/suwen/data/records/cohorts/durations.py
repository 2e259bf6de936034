"""How long: ``24h``, ``30 days``, ``1d 2h``, ``1 day, 14:20:16``, with a sign or without."""

from __future__ import annotations

import re
from decimal import Decimal

SECOND = 1_000_000

SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}

NAMES = {
    "weeks": "w|wks?|weeks?",
    "days": "d|dys?|days?",
    "hours": "h|hrs?|hours?",
    "minutes": "m|mins?|minutes?",
    "seconds": "s|secs?|seconds?",
}
"""As in pytimeparse, with which ACES reads them: m are minutes; months and years have no length of their own."""

_APART = r"\s*[,/]?\s*"
_PARTS = _APART.join(rf"(?:(?P<{unit}>\d+(?:\.\d*)?|\.\d+)\s*(?:{names}))?" for unit, names in NAMES.items())
_UNITS = re.compile(rf"\s*(?P<sign>[+-])?\s*{_PARTS}\s*", re.IGNORECASE)
_CLOCK = re.compile(
    rf"\s*(?P<sign>[+-])?\s*(?:(?P<days>\d+)\s*(?:{NAMES['days']}){_APART})?"
    r"(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d(?:\.\d+)?)\s*",
    re.IGNORECASE,
)

LONGEST = 1000 * 366 * 86_400 * SECOND
"""Many of these after one another are still an int64."""

SUPPORTED = "a number and w, d, h, m (minutes) or s, largest first, as 24h, 30 days, 1d 2h; or 1 day, 14:20:16"


def microseconds_of(text: str) -> int:
    """Microseconds of a duration.

    As in ACES, a fraction of a second is taken only where the seconds themselves have one: ``0.0001h`` is nothing.

    Raises:
        ValueError: it is none, with what is supported.
    """
    found = _UNITS.fullmatch(text) or _CLOCK.fullmatch(text)
    parts = {unit: amount for unit in SECONDS if found and (amount := found.groupdict().get(unit))}
    if not found or not parts:
        raise ValueError(f"{text.strip()!r} is no duration; supported: {SUPPORTED}")
    whole = int(sum(SECONDS[unit] * Decimal(amount) for unit, amount in parts.items() if unit != "seconds"))
    seconds = Decimal(parts.get("seconds", "0"))
    length = whole * SECOND + int(seconds * SECOND)
    if length > LONGEST:
        raise ValueError(f"{text.strip()!r} is longer than a thousand years")
    return -length if found["sign"] == "-" else length


def told(microseconds: int) -> str:
    """``24h``, ``30d``: the largest unit that divides it."""
    for unit in ("days", "hours", "minutes", "seconds"):
        length = SECONDS[unit] * SECOND
        if microseconds % length == 0:
            return f"{microseconds // length}{unit[0]}"
    return f"{microseconds / SECOND:g}s"
