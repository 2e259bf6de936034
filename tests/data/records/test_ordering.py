from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from suwen.data.records.events import SCHEMA, Events
from suwen.data.records.ordering import FEW, in_order

EVENT = st.tuples(
    st.sampled_from([-5, 0, 7, 2**62]),
    st.sampled_from([None, *(datetime(1969, 12, 31) + timedelta(hours=hour) for hour in range(0, 60, 20))]),
    st.sampled_from(["A", "B", "C"]),
    st.sampled_from([None, 1.0, 2.0]),
    st.sampled_from([None, "", "text"]),
)
EARLIEST = datetime(1, 1, 1)


def table_of(events: list[tuple[Any, ...]]) -> pa.Table:
    made = Events()
    for event in events:
        made.add(*event)
    return made.taken()


def expected(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    once = list(dict.fromkeys(events))
    return sorted(once, key=lambda event: (event[0], event[1] or EARLIEST))  # sorted() keeps the order of equals


@settings(deadline=None)
@given(st.lists(EVENT, max_size=120))
@example([(1, None, "A", float(number % 50), None) for number in range(2 * FEW + 3)])
@example([])
def test_events_are_by_subject_and_time_each_once_and_equal_times_as_they_came(events: list[tuple[Any, ...]]) -> None:
    found, repeated = in_order(table_of(events))
    wanted = expected(events)
    assert found.schema == SCHEMA and repeated == len(events) - len(wanted)
    assert [tuple(row.values())[:5] for row in found.to_pylist()] == wanted


@given(st.lists(EVENT, min_size=1, max_size=40), st.integers(1, 39))
@settings(deadline=None)
def test_how_a_table_is_chunked_does_not_matter(events: list[tuple[Any, ...]], cut: int) -> None:
    table = pa.concat_tables([table_of(events[:cut]), table_of(events[cut:])])
    assert in_order(table)[0].equals(in_order(table.combine_chunks())[0])
