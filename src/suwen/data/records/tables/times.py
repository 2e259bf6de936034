"""Times of rows as a mapping tells them: read from a column, counted from a beginning, or fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.core.errors import DataError
from suwen.data.records.tables import casts
from suwen.data.records.tables.mapping import UNITS, Time, columns_in, instant

MOMENT = pa.timestamp("us")
DAY, HOUR = 86_400_000_000, 3_600_000_000
"""Microseconds."""

FARTHEST = 3e17
"""Microseconds from the beginning, some 9,500 years: what lies beyond is no time of a patient's."""

ENOUGH = 10
"""Values of which none follows a format before it is said that the format is wrong, rather than the values."""

CLOCK = r"^(?P<hours>\d{1,6}):(?P<minutes>[0-5]\d)(?::(?P<seconds>[0-5]\d))?$"


class Columns(Protocol):
    """What a row is made of."""

    name: str

    def __len__(self) -> int: ...

    def column(self, name: str) -> pa.Array:
        """As the file has it."""
        ...

    def text(self, name: str) -> pa.Array:
        """As text."""
        ...

    def several(self, name: str) -> bool:
        """Whether the times of a column have more than one offset, in all of its file."""
        ...


@dataclass(frozen=True)
class Moments:
    """Times of every row.

    Attributes:
        values: timestamp[us].
        bad: column → bool, where something is in it that is no time, and no other column had one.
    """

    values: pa.Array
    bad: dict[str, np.ndarray]


def moments(rows: Columns, times: Sequence[Time]) -> Moments:
    """The first of several times that is there.

    Raises:
        DataError: a column is in another format throughout; a value is shown.
    """
    values = pa.nulls(len(rows), MOMENT)
    bad: dict[str, np.ndarray] = {}
    for time in times:
        if not values.null_count:
            break
        found, wrong = _moment(rows, time)
        open_ = np.asarray(values.is_null())
        if wrong is not None and (wrong & open_).any():
            bad[time.column] = wrong & open_
        values = pc.coalesce(values, found)
    none = np.asarray(values.is_null())
    return Moments(values, {name: where & none for name, where in bad.items() if (where & none).any()})


def _moment(rows: Columns, time: Time) -> tuple[pa.Array, np.ndarray | None]:
    bad: np.ndarray | None = None
    if time.at:
        values = pa.repeat(pa.scalar(instant(time.at, "at"), MOMENT), len(rows))
    elif time.since:
        values, bad = _since(rows, time)
    else:
        values, bad = _read(rows, time)
    if time.end_of_day:
        # rather a moment too late than known before it was
        values = pc.add(pc.floor_temporal(values, unit="day"), pa.scalar(DAY - 1, pa.duration("us")))
    if time.plus_hours:
        values = pc.add(values, pa.scalar(round(time.plus_hours * HOUR), pa.duration("us")))
    return values, bad


def _read(rows: Columns, time: Time) -> tuple[pa.Array, np.ndarray | None]:
    if not time.format:
        found = casts.time(rows.column(time.column), partial(rows.several, time.column))
        values, bad = found.values, found.bad
        texts = rows.text(time.column) if bad is not None else None
    else:
        texts = rows.text(time.column)
        values = formatted(texts, time.format)
        bad = np.asarray(texts.is_valid()) & np.asarray(values.is_null())
    if bad is not None and texts is not None and bad.sum() >= ENOUGH and not values.null_count < len(values):
        shown = texts.drop_null()[0].as_py()
        raise DataError(
            f"{rows.name}: {time.column} has {shown!r}, which is not {time.format or 'ISO 8601'}",
            why=f"none of {int(bad.sum())} values follows it",
            fix=f'time: {{column: {time.column}, format: "%d.%m.%Y %H:%M"}} with the format that they have',
        )
    return values, bad


def formatted(texts: pa.Array, given: str) -> pa.Array:
    """timestamp[us] of a format, null where it does not fit or the calendar has no such day."""
    found = pc.strptime(texts, format=given, unit="s", error_is_null=True)
    # Arrow takes 31 February for 3 March: what does not come back as it was written is looked at once more
    same = pc.equal(pc.strftime(found, format=given), texts)
    odd = texts.filter(pc.invert(same.fill_null(True))).unique()
    if len(odd):
        wrong = [each for each in odd.to_pylist() if not _possible(each, given)]
        gone = pc.is_in(texts, value_set=pa.array(wrong, texts.type))
        found = pc.if_else(gone, pa.scalar(None, found.type), found)
    return found.cast(MOMENT)


def _possible(text: str, given: str) -> bool:
    try:
        datetime.strptime(text, given)
    except ValueError:
        return False
    return True


def _since(rows: Columns, time: Time) -> tuple[pa.Array, np.ndarray | None]:
    counted, bad = _microseconds(rows, time)
    if not time.since.startswith("{"):
        start: pa.Array = pa.repeat(pa.scalar(instant(time.since, "since"), MOMENT), len(rows))
    else:
        name = columns_in(time.since)[0]
        begun = casts.time(rows.column(name), partial(rows.several, name))
        start = begun.values
        bad = begun.bad if bad is None else bad if begun.bad is None else bad | begun.bad
    return pc.add(start, counted.cast(pa.duration("us"))), bad


def _microseconds(rows: Columns, time: Time) -> tuple[pa.Array, np.ndarray | None]:
    values = rows.column(time.column)
    if pa.types.is_duration(values.type):
        return values.cast(pa.duration("us")).cast(pa.int64()), None
    if not time.unit:
        raise DataError(
            f"{rows.name}: {time.column} is {values.type}",
            why="of what it counts is not said",
            fix="add unit: hours, or what it is",
        )
    if time.unit == "hours:minutes":
        return _clock(rows.text(time.column))
    texts = rows.text(time.column)
    fits = pc.match_substring_regex(texts, casts.NUMBER)
    texts = pc.if_else(fits, pc.ascii_ltrim(texts, "+"), pa.scalar(None, pa.string()))
    micro = np.asarray(pc.multiply(texts.cast(pa.float64()), UNITS[time.unit] * 1e6).fill_null(np.nan))
    bad = np.asarray(values.is_valid()) & ~(np.abs(micro) <= FARTHEST)
    if time.sign:
        # by its bit: -0.0 is one who was lost at once, and not one who died
        micro = np.where(np.signbit(micro) == (time.sign == "-"), np.abs(micro), np.nan)
    near = np.abs(micro) <= FARTHEST
    whole = np.where(near, np.round(np.where(near, micro, 0.0)), 0.0).astype(np.int64)
    return pa.array(whole, mask=~near), bad if bad.any() else None


def _clock(texts: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """``47:30`` since the beginning; hours may be more than a day's."""
    parts = pc.extract_regex(texts, CLOCK)
    hours, minutes, seconds = (
        pc.if_else(pc.equal(parts.field(place), ""), "0", parts.field(place)).cast(pa.int64()) for place in range(3)
    )
    total = pc.add(pc.add(pc.multiply(hours, 3600), pc.multiply(minutes, 60)), seconds)
    total = pc.if_else(parts.is_valid(), pc.multiply(total, 1_000_000), pa.scalar(None, pa.int64()))
    bad = np.asarray(texts.is_valid()) & np.asarray(total.is_null())
    return total, bad if bad.any() else None
