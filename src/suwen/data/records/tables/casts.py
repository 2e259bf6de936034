"""A column of whatever a file holds → text, whole numbers, numbers or times, a column at a time.

A value that is none does not stop the others: it becomes null, and a mask says where. Clean columns take Arrow's own
casts; only where one fails are the values looked at by pattern, still as columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = pa.array(["", "NA", "NaN", "nan", "NULL", "null", "None", "\\N"])
"""How programs write that a number or a time is not there. Text is never compared with these: NA is sodium to some."""

LARGEST = str(np.iinfo(np.int64).max)

WHOLE = r"^[+-]?\d{1,19}(\.0*)?$"
NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
TIME = (
    r"^(?P<year>\d{4})-?(?P<month>\d{2})-?(?P<day>\d{2})"
    r"(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6})\d*)?)?)?"
    r" ?(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)?$"
)
"""ISO 8601, with or without hyphens; SQL Server writes seven digits of a second, PostgreSQL an offset of two digits."""

ZONE = r"(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)$"
"""At the end of a time of day."""

FIXED = re.compile(r"[+-]\d{2}:?\d{2}")
"""Zones of Arrow that are one offset."""

SHORTEST_CLOCK = len("20200131T10:00")
"""Characters of a time that is more than a date; spaces around a date are not looked at."""

PROBE = 64


@dataclass(frozen=True)
class Cast:
    """A column of one type.

    Attributes:
        values: null where there is nothing, or nothing of this type.
        bad: bool, where something is that is not of this type; None where that is nowhere.
    """

    values: pa.Array
    bad: np.ndarray | None = None


def text(column: pa.Array) -> Cast:
    """Any column → string. Bytes that are not UTF-8 are bad."""
    column = _plain(column)
    if not _is_text(column.type):
        return Cast(column.cast(pa.string()))
    raw = column.cast(pa.binary())
    try:
        return Cast(raw.cast(pa.string()))
    except pa.ArrowInvalid:
        bad = _not_utf8(raw)
        return Cast(_without(raw, bad).cast(pa.string()), bad)


def whole(column: pa.Array) -> Cast:
    """Any column → int64. ``7.0`` is 7, as programs write whole numbers where some are missing; 7.5 is bad."""
    column = _plain(column)
    if pa.types.is_integer(column.type) or pa.types.is_null(column.type):
        return Cast(column.cast(pa.int64()))
    if not _is_text(column.type):
        column = column.cast(pa.string())
    said = text(column)
    try:
        return Cast(said.values.cast(pa.int64()), said.bad)
    except pa.ArrowInvalid:
        pass
    values = _said(said.values)
    fits = pc.match_substring_regex(values, WHOLE)
    values = pc.replace_substring_regex(pc.ascii_ltrim(values, "+"), r"\.0*$", "")
    digits = pc.ascii_ltrim(values, "-")
    fits = pc.and_(fits, pc.or_(pc.less(pc.binary_length(digits), 19), pc.less_equal(digits, LARGEST)))
    return _fitting(values, fits, pa.int64(), said.bad)


def number(column: pa.Array) -> Cast:
    """Any column → float32; NaN becomes null, and what is too large for float32 is bad."""
    column = _plain(column)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if not _is_text(column.type):
        return _in_range(Cast(column.cast(pa.float32(), safe=False)), column.cast(pa.float64(), safe=False))
    said = text(column)
    try:
        found = Cast(said.values.cast(pa.float32()), said.bad)
        values = said.values
    except pa.ArrowInvalid:
        values = pc.ascii_ltrim(_said(said.values), "+")
        found = _fitting(values, pc.match_substring_regex(values, NUMBER), pa.float32(), said.bad)
        values = _without(values, np.zeros(len(values), bool) if found.bad is None else found.bad)
    if not pc.any(pc.is_inf(found.values)).as_py():
        return _in_range(found, found.values)
    return _in_range(found, values.cast(pa.float64()))


def time(column: pa.Array, several: Callable[[], bool] | None = None) -> Cast:
    """Any column → timestamp[us] without a zone.

    Of one offset throughout, as ``+09:00``, the clock time is kept as it is written, since the dates beside it are of
    that clock; of several, what has an offset becomes UTC, or what came first would come last. A column of Parquet
    whose zone is an offset keeps its clock likewise; one of any other zone becomes UTC.

    Args:
        column: of anything.
        several: asked once a value has an offset, whether there are others in the column, of which this may be a part.
            See `suwen.data.records.tables.zones`. Unless given, the clock is kept.
    """
    column = _plain(column)
    if pa.types.is_timestamp(column.type) and FIXED.fullmatch(column.type.tz or ""):
        return Cast(pc.local_timestamp(column).cast(pa.timestamp("us"), safe=False))
    if pa.types.is_timestamp(column.type) or pa.types.is_null(column.type):
        return Cast(column.cast(pa.timestamp("us"), safe=False))
    if pa.types.is_date(column.type):
        return Cast(column.cast(pa.timestamp("us")))
    said = text(column)
    for characters in (" ", "Z"):
        try:
            # Arrow writes a message for each value that is none, which takes long: a few of them tell as much
            for some in (said.values.slice(0, PROBE), said.values):
                found = pc.ascii_rtrim(some, characters).cast(pa.timestamp("us"))
            if characters == "Z" and several is not None and not pc.all(pc.ends_with(said.values, "Z")).as_py():
                several()  # the clock of Z is UTC's either way: only that there are others is to be told
            return Cast(found, said.bad)
        except pa.ArrowInvalid:
            continue
    values = _said(said.values)
    parts = pc.extract_regex(values, TIME)
    fits = parts.is_valid()
    instants, real = _instant({field.name: parts.field(i) for i, field in enumerate(parts.type)}, np.asarray(fits))
    real &= np.asarray(fits)
    away = _minutes(parts.field("zone"))
    if several is not None and away is not None and several():
        instants = instants - away.astype("timedelta64[m]")
    bad = np.asarray(values.is_valid()) & ~real
    return Cast(pa.array(instants, mask=~real), _either(bad, said.bad))


def offsets(column: pa.Array) -> set[int | None]:
    """Which offsets the times of day of a column have, in minutes east of UTC; None of those that name none."""
    column = _plain(column)
    if not _is_text(column.type):
        return set()
    values = _said(text(column).values)
    clocks = values.filter(pc.greater_equal(pc.binary_length(values), SHORTEST_CLOCK))
    zones = pc.extract_regex(clocks, ZONE).field("zone").unique()
    # empty where there is no match: a field of a struct does not know that the struct is null
    return {_minutes_of(zone) if zone else None for zone in zones.to_pylist()}


def _minutes_of(zone: str) -> int:
    if zone[:1] not in ("+", "-"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[0] == "-" else 1)


def _minutes(zones: pa.Array) -> np.ndarray | None:
    """Minutes east of UTC of each; None where nothing is away from it."""
    coded = zones.fill_null("").dictionary_encode()
    minutes = np.array([_minutes_of(each) for each in coded.dictionary.to_pylist()], np.int64)
    return minutes[np.asarray(coded.indices)] if minutes.any() else None


def days_only(column: pa.Array) -> np.ndarray | None:
    """bool: which values of a column of times are dates without a time of day; None where that is nowhere."""
    column = _plain(column)
    if pa.types.is_date(column.type):
        return np.asarray(column.is_valid())
    if not _is_text(column.type):
        return None
    short = pc.less(pc.binary_length(column), SHORTEST_CLOCK).fill_null(False)
    return np.asarray(short) if pc.any(short).as_py() else None


def date(year: pa.Array, month: pa.Array, day: pa.Array) -> Cast:
    """int64 columns → timestamp[us]: the first of the month, or of the year, where no more is known. Bad where there is
    no such day."""
    there = np.asarray(year.is_valid())
    y, m, d = (np.asarray(each.fill_null(1)) for each in (year, month, day))
    found, real = _days(y, m, d)
    return Cast(pa.array(found.astype("datetime64[us]"), mask=~(there & real)), there & ~real)


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days, and whether the calendar has them."""
    real = (year >= 1) & (year <= 9999) & (month >= 1) & (month <= 12) & (day >= 1)
    months = (np.where(real, (year - 1970) * 12 + month - 1, 0)).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(real, day - 1, 0)
    return days, real & (days.astype("datetime64[M]") == months)


def _instant(parts: dict[str, pa.Array], fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times, and whether calendar and clock have them; digits that are not there count as 0."""

    def digits(name: str) -> np.ndarray:
        found = parts[name]
        found = pc.utf8_rpad(found, 6, "0") if name == "fraction" else found
        blank = pc.or_kleene(pc.equal(found, ""), pa.array(~fits))
        return np.asarray(pc.if_else(blank.fill_null(True), "0", found).cast(pa.int64()))

    days, real = _days(digits("year"), digits("month"), digits("day"))
    hour, minute, second, fraction = (digits(name) for name in ("hour", "minute", "second", "fraction"))
    real = real & (hour < 24) & (minute < 60) & (second < 60)
    within = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    return days.astype("datetime64[us]") + within, real


def _plain(column: pa.Array) -> pa.Array:
    """Without a dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    names = ("is_string", "is_large_string", "is_binary", "is_large_binary", "is_string_view", "is_binary_view")
    return any(getattr(pa.types, name)(kind) for name in names)


def _not_utf8(raw: pa.Array) -> np.ndarray:
    """bool: where bytes are no text. Only values with a byte above 127 are looked at."""
    _, starts, data = raw.buffers()
    ends = np.frombuffer(starts, np.int32)[raw.offset : raw.offset + len(raw) + 1]
    high = np.concatenate([[0], np.cumsum(np.frombuffer(data, np.uint8) > 127)])
    bad = np.zeros(len(raw), bool)
    for row in np.flatnonzero(high[ends[1:]] > high[ends[:-1]]).tolist():
        value = raw[row].as_py()
        if value is not None:
            bad[row] = value.decode("utf-8", "replace").encode() != value
    return bad


def _said(values: pa.Array) -> pa.Array:
    """Without spaces around, null for `MISSING`."""
    trimmed = pc.utf8_trim_whitespace(values)
    return _without(trimmed, np.asarray(pc.is_in(trimmed, value_set=MISSING)))


def _fitting(values: pa.Array, fits: pa.Array, kind: pa.DataType, bad: np.ndarray | None) -> Cast:
    wrong = ~np.asarray(fits.fill_null(True))
    return Cast(_without(values, wrong).cast(kind), _either(wrong, bad))


def _either(one: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    return one if other is None else one | other


def _without(values: pa.Array, where: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(where), pa.scalar(None, values.type), values)


def _in_range(found: Cast, exact: pa.Array) -> Cast:
    """Without NaN; infinite only where that is what is said."""
    infinite = pc.is_inf(found.values)
    if pc.any(infinite).as_py():
        wrong = np.asarray(pc.and_(infinite, pc.is_finite(exact)).fill_null(False))
        if wrong.any():
            found = Cast(_without(found.values, wrong), _either(wrong, found.bad))
    nan = pc.is_nan(found.values)
    if not pc.any(nan).as_py():
        return found
    return Cast(pc.if_else(nan, pa.scalar(None, pa.float32()), found.values), found.bad)
