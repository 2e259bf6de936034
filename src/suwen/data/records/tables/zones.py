"""Offsets of the times of a file, column by column: whether a clock may be kept, and what is told of mixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa

from suwen.data.records.tables import casts

SEVERAL = "times of several offsets in one column (now UTC)"
MIXED = "times with an offset and times without in one column (those without are as they were)"


class Zones:
    """What offsets there are. A file comes in batches, and what is done with the first must be right for the last: when
    the first offset is met, all of its column is looked at, once.

    Args:
        scan: a column, all of it, whatever its batches.
        tell: told the reason, and of which column.
    """

    def __init__(self, scan: Callable[[str], Iterable[pa.Array]], tell: Callable[[str, str], None]) -> None:
        self._scan, self._tell = scan, tell
        self._several: dict[str, bool] = {}

    def several(self, name: str) -> bool:
        """Whether the times of a column have more than one offset."""
        if name not in self._several:
            found: set[int | None] = set()
            for column in self._scan(name):
                found |= casts.offsets(column)
            zoned = found - {None}
            self._several[name] = len(zoned) > 1
            if len(zoned) > 1:
                self._tell(SEVERAL, name)
            if zoned and None in found:
                self._tell(MIXED, name)
        return self._several[name]
