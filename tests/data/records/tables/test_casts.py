from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.records.tables import casts

MISSING = {"", "NA", "NaN", "nan", "NULL", "null", "None", "\\N"}


def both(values: list[Any], kind: Callable[[pa.Array], casts.Cast], form: pa.DataType) -> tuple[list[Any], list[bool]]:
    found = kind(pa.array(values, form))
    bad = np.zeros(len(values), bool) if found.bad is None else found.bad
    return found.values.to_pylist(), bad.tolist()


def naive_whole(text: str) -> int | None:
    """None: missing. Raises ValueError: no whole number."""
    text = text.strip()
    if text in MISSING:
        return None
    digits, _, fraction = text.partition(".")
    if fraction.strip("0") or not digits.lstrip("+-").isascii() or not digits.lstrip("+-").isdecimal():
        raise ValueError(text)
    value = int(digits)
    if abs(value) >= 2**63 or len(digits.lstrip("+-")) > 19:
        raise ValueError(text)
    return value


def naive_time(text: str) -> datetime | None:
    text = text.strip()
    if text in MISSING:
        return None
    text = text.removesuffix("Z").removesuffix("UTC").strip()
    if len(text) > 12 and text[-3] in "+-":
        text = text[:-3]
    elif len(text) > 12 and text[-6] in "+-" and ":" in text[10:]:
        text = text[:-6]
    main, _, fraction = text.partition(".")
    return datetime.fromisoformat(main.replace("/", "?")) + timedelta(microseconds=int((fraction + "000000")[:6]))


def expected(values: list[str | None], naive: Callable[[str], Any]) -> tuple[list[Any], list[bool]]:
    found, bad = [], []
    for value in values:
        try:
            found.append(None if value is None else naive(value))
            bad.append(False)
        except ValueError:
            found.append(None)
            bad.append(True)
    return found, bad


NUMERALS = st.one_of(
    st.none(),
    st.integers(-(2**64), 2**64).map(str),
    st.sampled_from(["", " 7", "7 ", "7.0", "7.", "+7", "7.5", "x", "NA", "0007", "--7", "-", "9" * 19, "1e3", "٣"]),
    st.text(max_size=4),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(NUMERALS, max_size=8))
def test_whole_numbers_are_those_that_python_reads(values: list[str | None]) -> None:
    assert both(values, casts.whole, pa.string()) == expected(values, naive_whole)


TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).flatmap(
    lambda time: st.sampled_from(
        [
            time.isoformat(),
            time.isoformat(" "),
            time.isoformat() + "Z",
            f"{time.isoformat(' ', 'microseconds')}7",
            time.isoformat(" ", "seconds") + "+02",
            time.isoformat("T", "seconds") + "-05:30",
            time.date().isoformat(),
            time.strftime("%Y%m%d").zfill(8),
            time.isoformat("T", "minutes"),
        ]
    )
)
ODD = st.sampled_from(
    [None, "", "NA", "2010-02-30", "2010-13-01", "2010-01-01 24:00:00", "01/02/2010", "soon", "20100229"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TIMES | ODD, max_size=8))
def test_times_are_those_that_python_reads_by_the_clock(values: list[str | None]) -> None:
    assert both(values, casts.time, pa.string()) == expected(values, naive_time)


def test_of_several_offsets_times_become_utc() -> None:
    column = pa.array(
        ["2020-01-01 10:00:00+09:00", "2020-01-01T09:30:00Z", "2020-01-01 05:00-0130", "2020-01-02", None]
    )
    assert casts.offsets(column) == {540, 0, -90}
    clocks = [time and (time.day, time.hour, time.minute) for time in casts.time(column).values.to_pylist()]
    assert clocks == [(1, 10, 0), (1, 9, 30), (1, 5, 0), (2, 0, 0), None]
    moved = casts.time(column, lambda: True).values.to_pylist()
    assert [time and (time.day, time.hour, time.minute) for time in moved] == [
        (1, 1, 0),
        (1, 9, 30),
        (1, 6, 30),
        (2, 0, 0),
        None,
    ]


def test_times_without_an_offset_ask_for_none() -> None:
    def asked() -> bool:
        raise AssertionError

    for values in (["2020-01-01 10:00:00", "2020-01-02"], ["2020-01-01T10:00:00Z"], ["20200101"]):
        assert not casts.time(pa.array(values), asked).values.null_count


@given(st.lists(st.none() | st.floats(width=32, allow_nan=False), max_size=8))
def test_float32_comes_back_from_its_shortest_text(values: list[float | None]) -> None:
    text = pa.array(values, pa.float32()).cast(pa.string())
    found = casts.number(text)
    assert found.bad is None and found.values.equals(pa.array(values, pa.float32()))


def test_numbers_that_are_none_are_told_apart_from_those_that_are_missing() -> None:
    values, bad = both(["1.5", "<5", "NaN", " 2 ", None, "1,5", "-inf", "+3e2", "1e300", ""], casts.number, pa.string())
    assert values == [1.5, None, None, 2.0, None, None, -math.inf, 300.0, None, None]
    assert bad == [False, True, False, False, False, True, False, False, True, False]
    assert both([1e300, math.nan, math.inf], casts.number, pa.float64()) == (
        [None, None, math.inf],
        [True, False, False],
    )
    assert both([Decimal("1.5")], casts.number, pa.decimal128(5, 2)) == ([1.5], [False])


def test_bytes_that_are_no_text_cost_one_value() -> None:
    values = [b"caf\xc3\xa9", b"caf\xe9", None, b"", b"\xff\xfe", b"a"]
    found = casts.text(pa.array([b"\xff", *values], pa.binary())[1:])
    assert found.values.to_pylist() == ["café", None, None, "", None, "a"]
    assert found.bad is not None and found.bad.tolist() == [False, True, False, False, True, False]
    assert both([b"7", b"\xe9", b"8"], casts.whole, pa.binary()) == ([7, None, 8], [False, True, False])


def test_the_day_of_birth_is_the_first_where_no_more_is_known() -> None:
    columns = ([1960, 1960, 1960, None, 1961, 1960], [2, 2, None, 1, 2, 13], [29, None, 5, 1, 29, 1])
    found = casts.date(*(pa.array(column, pa.int64()) for column in columns))
    assert found.values.to_pylist() == [
        datetime(1960, 2, 29),
        datetime(1960, 2, 1),
        datetime(1960, 1, 5),
        None,
        None,
        None,
    ]
    assert found.bad is not None and found.bad.tolist() == [False, False, False, False, True, True]


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (pa.array([7.0, None]), casts.whole, [7, None]),
        (pa.array([20200131], pa.int32()), casts.time, [datetime(2020, 1, 31)]),
        (pa.array(["7", "7"]).dictionary_encode(), casts.whole, [7, 7]),
        (pa.array([7]), casts.text, ["7"]),
        (pa.nulls(2), casts.number, [None, None]),
        (pa.nulls(2), casts.time, [None, None]),
        (
            pa.array([1_600_000_000_123_456_789], pa.timestamp("ns", "UTC")),
            casts.time,
            [datetime(2020, 9, 13, 12, 26, 40, 123456)],
        ),
        (pa.array([18262], pa.date32()), casts.time, [datetime(2020, 1, 1)]),
        # a zone that is one offset keeps its clock, as a column of text does
        (pa.array([0], pa.timestamp("us", "+09:00")), casts.time, [datetime(1970, 1, 1, 9)]),
        (pa.array([0], pa.timestamp("us", "Asia/Tokyo")), casts.time, [datetime(1970, 1, 1)]),
    ],
)
def test_columns_of_parquet_are_cast_from_what_they_are(column: pa.Array, kind: Any, values: list[Any]) -> None:
    found = kind(column)
    assert found.values.to_pylist() == values and (found.bad is None or not found.bad.any())
