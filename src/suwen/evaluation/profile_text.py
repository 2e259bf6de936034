"""How the numbers of a profile are written: counts that are not shown, lengths of time, values."""

from __future__ import annotations

from math import floor
from typing import Any

from suwen.data.records.profile.disclosure import HIDDEN, OLDEST_AGE
from suwen.evaluation.words import Words, read_words

SAY = read_words("profile.en")
"""The words of the page in English."""

YEAR = 365.25
"""Days."""

LENGTHS = (("years", YEAR, 2 * YEAR), ("days", 1, 2), ("hours", 1 / 24, 2 / 24), ("minutes", 1 / 1440, 1 / 1440))
"""Units of time, their days, and from how many days on they are used."""


def quantity(count: Any) -> float:
    """A count for drawing: NaN where it is not shown."""
    return float(count) if isinstance(count, int | float) else float("nan")


def counted(count: Any, say: Words = SAY) -> str:
    """A count or value: ``12,345``, ``3.14``, ``<11``, a dash where it is hidden, nothing where there is none."""
    if count is None:
        return ""
    if isinstance(count, str):
        return say["hidden"] if count == HIDDEN else count
    if isinstance(count, int) or abs(count) >= 999.5:
        return f"{count:,.0f}".replace("-", "−")
    return f"{count:.3g}".replace("-", "−")


def lasted(days: float | None, say: Words = SAY) -> str:
    """A length of time: ``15 min``, ``2.3 d``, ``9.1 y``; nothing where there is none."""
    if days is None:
        return ""
    for name, unit, least in LENGTHS:
        if days >= least:
            return say[name].format(n=counted(days / unit, say))
    return say["moments"]


def aged(years: float | None) -> str:
    """An age in full years; 90 stands for all from there."""
    if years is None:
        return ""
    return f"{OLDEST_AGE}+" if years >= OLDEST_AGE else str(int(years))


def percent(share: float | None) -> str:
    """A share; nothing where it is not shown. Only all are 100%, and only none 0%."""
    if share is None:
        return ""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def more_than(share: float) -> str:
    """A share that is more than this: ``>89%``."""
    return f">{floor(100 * share)}%"
