from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.records.column_writer import NOWHEN
from suwen.data.records.columns import Columns
from suwen.data.records.futures import MOMENTS, Futures, moments
from suwen.data.records.histories import pieces
from suwen.data.records.sequences import Sequences
from suwen.data.records.token_kernels import EVER, Rows
from suwen.data.records.tokens import EventTokens
from suwen.data.records.units.units import Units

DAY = 86_400_000_000
VOCABULARY = ("E11.9", "I10", "MEDS_DEATH")
TOKENS = EventTokens(
    length=8,
    codes=("<unknown>", "E11", "E11.9", "I10", "MEDS_DEATH"),
    subjects=(0, 1, 1, 1, 1),
    above=((), (), (1,), (), ()),
    edges=((),) * 5,
    mean=(0.0,) * 5,
    deviation=(0.0,) * 5,
)


def sequences_of(days: list[int], codes: list[int], tokens: EventTokens = TOKENS) -> Sequences:
    """One subject's whole history."""
    order = np.argsort(days, kind="stable")
    columns = Columns(
        codes=np.array(codes, np.int32)[order],
        times=np.array(days, np.int64)[order] * DAY,
        values=np.full(len(days), np.nan, np.float32),
        available=None,
        subjects=np.array([0]),
        offsets=np.array([0, len(days)]),
        vocabulary=VOCABULARY,
        counts=np.bincount(codes, minlength=3),
        units=Units(),
        fingerprint="",
    )
    rows = Rows(np.array([0]), np.array([EVER]), np.array([-1]), np.array([EVER]))
    return Sequences(columns=columns, tokens=tokens, book=tokens.book(columns), rows=rows)


history = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 40), min_size=n, max_size=n), st.lists(st.integers(0, 1), min_size=n, max_size=n)
    )
)


@settings(max_examples=100, deadline=None)
@given(history)
def test_first_times_are_those_of_a_plain_search(found: tuple[list[int], list[int]]) -> None:
    days, codes = found
    sequences = sequences_of(days, codes)
    target, packed = Futures(sequences)[np.array([0])], sequences.packed(np.array([0]))
    for moment, token in enumerate(target["tokens"]):
        now = packed.times[token] / DAY
        later = [(day - now, code) for day, code in zip(days, codes, strict=True) if day > now]
        diabetes = min((day for day, code in later if code == 0), default=math.inf)
        expected = [math.inf, diabetes, diabetes, min((day for day, code in later if code == 1), default=math.inf)]
        assert target["first"][moment, :4].tolist() == pytest.approx(expected)
        assert target["follow"][moment] == pytest.approx(max(days) - now)


def test_what_happens_after_a_death_is_not_told_and_death_ends_the_record() -> None:
    target = Futures(sequences_of([0, 5, 9], [1, 2, 0]))[np.array([0])]
    assert target["follow"].tolist() == [5, 0]
    assert target["first"][0].tolist() == [math.inf, math.inf, math.inf, math.inf, 5]


def test_moments_are_before_steps_of_time_and_at_the_end() -> None:
    times = np.array([NOWHEN, 1, 1, 4, 9, 9, 2, 2])
    tokens, owners = moments(times, np.array([0, 6, 8]), 8)
    assert tokens.tolist() == [2, 3, 5, 7] and owners.tolist() == [0, 0, 0, 1]


@given(st.integers(1, 60))
def test_of_many_moments_so_many_are_taken_and_always_the_last(count: int) -> None:
    tokens, _ = moments(np.arange(count), np.array([0, count]), MOMENTS)
    assert len(tokens) == min(count, MOMENTS) == len(np.unique(tokens)) and tokens[-1] == count - 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60))
def test_pieces_hold_every_event_once_in_order(count: int) -> None:
    whole = sequences_of(list(range(count)), [1] * count)
    member, rows = pieces(whole)
    cut = replace(whole, rows=rows)
    times = [cut.packed(np.array([row])).times for row in range(len(member))]
    left_out = 1 if count % TOKENS.length == 1 and count > 1 else 0  # one event alone teaches nothing
    if count == 1:
        assert not times
    else:
        assert (np.concatenate(times) / DAY).tolist() == list(range(count - left_out))
