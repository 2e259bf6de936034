from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.records.column_writer import NOWHEN
from suwen.data.records.columns import Columns
from suwen.data.records.sequences import Sequences, ids_of, subject_digests
from suwen.data.records.token_kernels import EVER, Rows, interval_of
from suwen.data.records.tokens import EventTokens, interval_edges
from suwen.data.records.units.units import Units

DAY = 86_400_000_000
VOCABULARY = ("A", "B", "C", "MEDS_BIRTH", "MEDS_DEATH")
TOKENS = EventTokens(
    length=8,
    codes=("<unknown>", "A", "B", "MEDS_DEATH"),
    subjects=(0, 3, 2, 1),
    above=((), (), (), ()),
    edges=((), tuple(float(edge) for edge in range(1, 10)), (), ()),
    mean=(0.0, 5.0, 0.0, 0.0),
    deviation=(0.0, 2.0, 0.0, 0.0),
)
Event = tuple[int, "int | None", int, float, "int | None"]
"""Subject, day, code, value, day from which it was available."""


def columns_of(events: list[Event], subjects: int) -> Columns:
    rows = sorted(events, key=lambda row: (row[0], -math.inf if row[1] is None else row[1]))
    times = np.array([NOWHEN if row[1] is None else row[1] * DAY for row in rows], np.int64)
    known = [time if row[4] is None else row[4] * DAY for row, time in zip(rows, times.tolist(), strict=True)]
    return Columns(
        codes=np.array([row[2] for row in rows], np.int32),
        times=times,
        values=np.array([row[3] for row in rows], np.float32),
        available=np.array(known, np.int64),
        subjects=np.arange(subjects),
        offsets=np.searchsorted([row[0] for row in rows], np.arange(subjects + 1)).astype(np.int64),
        vocabulary=VOCABULARY,
        counts=np.bincount([row[2] for row in rows], minlength=len(VOCABULARY)),
        units=Units(),
        fingerprint="",
    )


def sequences_of(columns: Columns, days: list[int], tokens: EventTokens = TOKENS, most: int = EVER) -> Sequences:
    """One a subject, until these days."""
    count = len(days)
    rows = Rows(np.arange(count), np.array(days, np.int64) * DAY, np.full(count, -1), np.full(count, most, np.int64))
    return Sequences(columns=columns, tokens=tokens, book=tokens.book(columns), rows=rows)


def naive(events: list[Event], subject: int, day: int, room: int) -> list[tuple[int, float]]:
    """(token, day known or NaN) by the definitions, in plain Python."""
    mine = [event for event in events if event[0] == subject]
    mine.sort(key=lambda row: -math.inf if row[1] is None else row[1])
    statics, timed = [], []
    for _, when, code, _, available in mine:
        name = VOCABULARY[code]
        token = TOKENS.numbers.get(name, 0)
        if name == "MEDS_BIRTH":
            continue
        if when is None:
            if available is None or available <= day:
                statics.append((token, math.nan))
        else:
            since = max(when, when if available is None else available)
            if since <= day:
                timed.append((token, float(since)))
    timed.sort(key=lambda pair: pair[1])
    dead = next((place for place, (token, _) in enumerate(timed) if token == 3), None)
    if dead is not None:
        timed = timed[: dead + 1]
    statics = statics[: room // 2]
    return statics + timed[max(0, len(timed) - (room - len(statics))) :]


events = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.none() | st.integers(0, 30),
        st.integers(0, 4),
        st.just(math.nan) | st.floats(-5, 15, width=32),
        st.none() | st.integers(0, 40),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(events, st.lists(st.integers(0, 40), min_size=3, max_size=3))
def test_a_sequence_is_what_was_known_in_the_order_in_which_it_became_known(rows: list[Event], days: list[int]) -> None:
    packed = sequences_of(columns_of(rows, 3), days).packed(np.arange(3))
    for subject in range(3):
        first, last = packed.offsets[subject : subject + 2]
        when = [math.nan if time == NOWHEN else time / DAY for time in packed.times[first:last].tolist()]
        found = list(zip(packed.codes[first:last].tolist(), when, strict=True))
        expected = naive(rows, subject, days[subject], TOKENS.length)
        assert [token for token, _ in found] == [token for token, _ in expected]
        assert [day for _, day in found] == pytest.approx([day for _, day in expected], nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(events, st.integers(0, 40))
def test_no_event_that_happened_or_became_known_later_changes_anything(rows: list[Event], day: int) -> None:
    """Leaks planted on purpose: everything after the day is taken away, and the sequences stay what they were."""
    before = sequences_of(columns_of(rows, 3), [day] * 3).take(np.arange(3))
    kept = [row for row in rows if (row[1] or 0) <= day and (row[4] is None or row[4] <= day)]
    after = sequences_of(columns_of(kept, 3), [day] * 3).take(np.arange(3))
    for name, values in before.items():
        assert np.array_equal(values, after[name]), name


def test_tokens_carry_decile_value_age_and_interval() -> None:
    rows: list[Event] = [
        (0, None, 1, math.nan, None),
        (0, 10, 3, math.nan, None),
        (0, 30, 0, 4.5, None),
        (0, 33, 0, 500.0, None),
        (0, 33, 2, 1.0, None),
        (0, 34, 1, 1.0, None),
    ]
    found = sequences_of(columns_of(rows, 1), [40]).take(np.arange(1))
    assert found["codes"].tolist() == [2, 1, 1, 0, 2]
    assert found["buckets"].tolist() == [0, 5, 10, 0, 0]  # 4.5 is above four edges; codes without deciles have no value
    assert found["values"].tolist() == [0, -0.25, 5.0, 0, 0]  # standardised, cut off at five deviations
    assert found["ages"].tolist() == [0, 20, 23, 23, 24]
    day = interval_of(DAY, interval_edges())
    assert found["intervals"].tolist() == [0, 1, interval_of(3 * DAY, interval_edges()), 1, day]
    assert found["born"].tolist() == [1] and found["offsets"].tolist() == [0, 5]


def test_without_a_birth_ages_count_from_the_first_event() -> None:
    found = sequences_of(columns_of([(0, 7, 0, 1.0, None), (0, 9, 1, 1.0, None)], 1), [10]).take(np.arange(1))
    assert found["ages"].tolist() == [0, 2] and found["born"].tolist() == [0]


def test_static_tokens_stay_when_a_history_is_longer_than_a_sequence() -> None:
    rows: list[Event] = [(0, None, 1, math.nan, None)] + [(0, day, 0, 1.0, None) for day in range(20)]
    found = sequences_of(columns_of(rows, 1), [30]).take(np.arange(1))
    assert found["codes"].tolist() == [2] + [1] * 7 and found["offsets"].tolist() == [0, 8]


def test_a_result_that_came_late_stands_where_it_came() -> None:
    rows: list[Event] = [(0, 1, 0, 1.0, 9), (0, 5, 1, 1.0, None)]
    columns = columns_of(rows, 1)
    assert sequences_of(columns, [8]).take(np.arange(1))["codes"].tolist() == [2]
    assert sequences_of(columns, [9]).take(np.arange(1))["codes"].tolist() == [2, 1]


def test_after_a_death_there_is_nothing() -> None:
    rows: list[Event] = [(0, 1, 0, 1.0, None), (0, 2, 4, math.nan, None), (0, 3, 1, 1.0, None)]
    assert sequences_of(columns_of(rows, 1), [9]).take(np.arange(1))["codes"].tolist() == [1, 3]


def test_a_batch_is_its_rows_end_to_end_in_the_order_asked_for() -> None:
    rows: list[Event] = [(subject, day, subject % 2, 1.0, None) for subject in range(3) for day in range(subject + 1)]
    sequences = sequences_of(columns_of(rows, 3), [9] * 3)
    found = sequences.take(np.array([2, 0]))
    assert found["offsets"].tolist() == [0, 3, 4] and len(found["codes"]) == 4  # never filled up
    alone = [sequences.take(np.array([row])) for row in (2, 0)]
    for name in ("codes", "buckets", "values", "ages", "intervals"):
        assert np.array_equal(found[name], np.concatenate([each[name] for each in alone]))


def test_names_and_digests_are_of_the_subject() -> None:
    assert ids_of(np.array([7]), np.array([DAY])).tolist() == ["7@1970-01-02T00:00:00"]
    digests = subject_digests(np.array([5, 3, 5]))
    assert (digests[0] == digests[2]).all() and (digests[0] != digests[1]).any()
