"""How far back a feature looks: ``"6h"``, ``"30d"``, ``"all"``."""

from __future__ import annotations

import re

from suwen.core.errors import RecipeError
from suwen.data.records.kernels import ALL, DAY, SECOND

UNITS = {"w": 7 * DAY, "d": DAY, "h": 3600 * SECOND, "min": 60 * SECOND, "s": SECOND, "us": 1}
"""Microseconds of each, the longest first. A month or a year has no length of its own: say how many days."""


def length_of(window: str | int) -> int:
    """Microseconds of a window; `suwen.data.records.kernels.ALL` of ``"all"``.

    Raises:
        RecipeError: it is none, or not above 0.
    """
    if window == "all":
        return ALL
    found = re.fullmatch(r"(\d+)(w|d|h|min|s|us)", window) if isinstance(window, str) else None
    length = int(found[1]) * UNITS[found[2]] if found else window
    if isinstance(length, str) or not 0 < length <= ALL:
        raise RecipeError(
            f"window {window!r}",
            why=f"a window is a number and one of {', '.join(UNITS)}, or a number of microseconds, or all",
            fix='windows=("1d", "30d", "all")',
        )
    return length


def name_of(window: str | int) -> str:
    """As it was written; of microseconds the largest unit that divides them."""
    if isinstance(window, str):
        return window
    unit = next(unit for unit, length in UNITS.items() if window % length == 0 and (unit != "w"))
    return "all" if window == ALL else f"{window // UNITS[unit]}{unit}"
