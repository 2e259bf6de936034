from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.data.records.dates import at_last, known_from, last_of, over, partial, partial_date

DAY = partial(0, 99)
times = st.integers(-200, 200) | st.tuples(st.integers(-200, 200), st.integers(1, 99)).map(
    lambda pair: partial(pair[0], sum(pair))
)


@given(st.dates(date(1, 1, 1), date(9998, 12, 31)))
def test_a_date_begins_and_ends_where_the_calendar_says(day: date) -> None:
    def at(instant: int) -> datetime:
        return datetime(1970, 1, 1) + timedelta(microseconds=int(instant))

    following = (
        (partial_date(day.year), date(day.year + 1, 1, 1)),
        (partial_date(day.year, day.month), (day.replace(day=1) + timedelta(days=32)).replace(day=1)),
        (partial_date(day.year, day.month, day.day), day + timedelta(days=1)),
    )
    for found, after in following:
        assert at(found).time() == datetime.min.time()
        assert at(last_of(found) + 1) == datetime.combine(after, datetime.min.time())


@pytest.mark.parametrize("numbers", [(2019, 2, 29), (2019, 13), (0,), (2019, 4, 31)])
def test_what_is_not_in_the_calendar_is_refused(numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        partial_date(*numbers)


@given(st.none() | times, st.none() | times)
def test_nothing_is_known_before_it_was_over(time: int | None, known: int | None) -> None:
    found = known_from(time, known)
    if found is None:
        assert known is None and (time is None or last_of(time) == time)
        return
    assert time is None or found >= last_of(time)
    assert known is None or found >= last_of(known)
    assert found in (time if time is None else last_of(time), known if known is None else last_of(known))


@given(times, times)
def test_an_end_is_never_before_its_beginning_and_only_those_are_lost_that_must_be(begin: int, end: int) -> None:
    found = over(begin, end)
    if found is None:
        assert last_of(end) < begin
    else:
        assert found >= begin and end <= found <= last_of(end)


def test_the_last_instant_is_known_at_once() -> None:
    assert at_last(DAY) == 99 and known_from(at_last(DAY), None) is None
    assert at_last(5) == 5 and over(None, 5) == 5
