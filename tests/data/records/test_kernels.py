from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.data.records.columns import Columns
from suwen.data.records.events import NOWHEN
from suwen.data.records.kernels import AGGREGATES, ALL, DAY, ZERO, Slots, aggregate, dense
from suwen.data.records.units.units import Units

Event = tuple[int, int | None, int, float, int | None]
"""Subject, time, code, value, time of availability."""

CODES = 4
WINDOWS = (2, 5, ALL)


def columns_of(events: Sequence[Event], subjects: int, codes: int = CODES) -> Columns:
    """In order of subject and time, as a store has them; those of one time in the order given."""
    rows = sorted(events, key=lambda row: (row[0], NOWHEN if row[1] is None else row[1]))
    times = np.array([NOWHEN if row[1] is None else row[1] for row in rows], np.int64)
    later = np.array([time if row[4] is None else row[4] for row, time in zip(rows, times, strict=True)], np.int64)
    return Columns(
        codes=np.array([row[2] for row in rows], np.int32),
        times=times,
        values=np.array([row[3] for row in rows], np.float32),
        available=later if (later != times).any() else None,
        subjects=np.arange(subjects),
        offsets=np.searchsorted([row[0] for row in rows], np.arange(subjects + 1)).astype(np.int64),
        vocabulary=tuple(map(str, range(codes))),
        counts=np.bincount([row[2] for row in rows], minlength=codes),
        units=Units(),
        fingerprint="",
    )


def naive(events: Sequence[Event], subject: int, t: int, code: int, window: int) -> dict[str, float]:
    """By the definitions, one event after another, in plain Python."""
    seen = []
    for whose, time, what, value, available in events:
        if whose != subject or what != code or (available is not None and available > t):
            continue
        if time is None:
            if window == ALL:
                seen.append((NOWHEN, value))
        elif time <= t and (window == ALL or time > t - window):
            seen.append((time, value))
    seen.sort(key=lambda pair: pair[0])  # stable: of one time the later one stays the later
    found = dict.fromkeys(AGGREGATES, math.nan) | {"count": float(len(seen)), "present": float(len(seen) > 0)}
    timed = [time for time, _ in seen if time != NOWHEN]
    if timed:
        found["since"] = (t - max(timed)) / DAY
    values = [float(np.float32(value)) for _, value in seen if not math.isnan(value)]
    if values:
        found |= {"last": values[-1], "first": values[0], "min": min(values), "max": max(values)}
        found |= {"sum": math.fsum(values), "mean": math.fsum(values) / len(values)}
        found["change"] = found["last"] - found["first"]
    if len(values) > 1:
        found["std"] = statistics.stdev(values)
    points = [
        (time / DAY, float(np.float32(value))) for time, value in seen if time != NOWHEN and not math.isnan(value)
    ]
    if len({x for x, _ in points}) > 1:
        found["slope"] = statistics.linear_regression(*zip(*points, strict=True)).slope
    if points and points[0][0] < t / DAY:
        ends = [x for x, _ in points[1:]] + [t / DAY]
        area = math.fsum((end - x) * y for (x, y), end in zip(points, ends, strict=True))
        found["held"] = area / (t / DAY - points[0][0])
    return found


def table_of(events: Sequence[Event], labels: Sequence[tuple[int, int]], windows: Sequence[int]) -> np.ndarray:
    rows = [
        [
            naive(events, subject, t, code, window)[name]
            for code in range(CODES)
            for window in windows
            for name in AGGREGATES
        ]
        for subject, t in labels
    ]
    return np.array(rows, np.float64).reshape(len(labels), -1)


def arrays(labels: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([who for who, _ in labels], np.int64), np.array([t for _, t in labels], np.int64)


EVERY = Slots.of(np.arange(CODES))
times_ = st.integers(-12, 12)
values_ = st.one_of(st.just(math.nan), st.floats(-1000, 1000, width=32).map(lambda value: round(value, 2)))
events_ = st.lists(
    st.tuples(st.integers(0, 2), st.none() | times_, st.integers(0, CODES - 1), values_, st.none() | times_),
    max_size=25,
)
labels_ = st.lists(st.tuples(st.integers(0, 2), times_), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(events_, labels_, st.sampled_from([WINDOWS, (3,), (1, 4), (ALL,)]), st.sampled_from([1, 2]))
def test_answers_are_those_of_the_definitions(
    events: list[Event], labels: list[tuple[int, int]], windows: tuple[int, ...], threads: int
) -> None:
    """Ties, events without time or value, late availability, empty windows, labels before any data."""
    events = [(who, time and time * DAY, code, value, late and late * DAY) for who, time, code, value, late in events]
    labels = [(who, t * DAY) for who, t in labels]
    windows = tuple(window if window == ALL else window * DAY for window in windows)
    events.sort(key=lambda row: (row[0], NOWHEN if row[1] is None else row[1]))
    found = dense(columns_of(events, 3), *arrays(labels), EVERY, windows, AGGREGATES, threads=threads)
    np.testing.assert_allclose(found, table_of(events, labels, windows), rtol=2e-5, atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(events_, labels_)
def test_sparse_and_dense_say_the_same(events: list[Event], labels: list[tuple[int, int]]) -> None:
    columns = columns_of(events, 3)
    thick = dense(columns, *arrays(labels), EVERY, WINDOWS, AGGREGATES)
    thin = aggregate(columns, *arrays(labels), EVERY, WINDOWS, AGGREGATES)
    thin.check_format()
    assert thin.has_canonical_format and thin.dtype == np.float32
    stored = np.zeros(thick.shape, bool)
    stored[np.repeat(np.arange(len(labels)), np.diff(thin.indptr)), thin.indices] = True
    zero = np.tile([name in ZERO for name in AGGREGATES], CODES * len(WINDOWS))
    np.testing.assert_array_equal(stored, np.where(zero, thick != 0, ~np.isnan(thick)))
    np.testing.assert_array_equal(thin.toarray()[stored], thick[stored])


@settings(max_examples=60, deadline=None)
@given(events_, labels_, st.lists(st.tuples(st.integers(0, CODES - 1), values_), min_size=1, max_size=9))
def test_what_was_not_known_changes_nothing(
    events: list[Event], labels: list[tuple[int, int]], planted: list[tuple[int, float]]
) -> None:
    """Events after the label, and events of before that became known after it, are planted: every feature stays."""
    who, t = labels[0]
    clean = [event for event in events if event[0] == who]
    leaks: list[Event] = []
    for number, (code, value) in enumerate(planted):
        leaks.append((who, t + 1 + number, code, value, None))
        leaks.append((who, t - number, code, value, t + 1 + number))
        leaks.append((who, None, code, value, t + 1))
    question = (*arrays([(who, t)]), EVERY, WINDOWS, AGGREGATES)
    before = dense(columns_of(clean, 3), *question)
    after = dense(columns_of([*clean, *leaks], 3), *question)
    np.testing.assert_array_equal(before, after)


def random_columns(seed: int, subjects: int, events: int, codes: int) -> Columns:
    """Times and values at random, no two events of one subject at one time."""
    rng = np.random.default_rng(seed)
    owners = np.sort(rng.integers(0, subjects, events))
    offsets = np.searchsorted(owners, np.arange(subjects + 1)).astype(np.int64)
    times = rng.permutation(400 * events)[:events].astype(np.int64) * DAY // events
    times = times[np.lexsort((times, owners))]
    values = np.where(rng.random(events) < 0.2, np.nan, rng.normal(size=events)).astype(np.float32)
    number = np.minimum(rng.zipf(1.3, events) - 1, codes - 1).astype(np.int32)
    return Columns(
        codes=number, times=times, values=values, available=times + rng.integers(0, 3 * DAY, events),
        subjects=np.arange(subjects), offsets=offsets, vocabulary=tuple(map(str, range(codes))),
        counts=np.bincount(number, minlength=codes), units=Units(), fingerprint="",
    )  # fmt: skip


def test_answers_are_those_of_duckdb() -> None:
    columns, windows = random_columns(0, 60, 20_000, 50), (DAY, 30 * DAY, ALL)
    rng = np.random.default_rng(1)
    places, times = rng.integers(0, 60, 150), rng.integers(0, 400 * DAY, 150)
    owner = np.repeat(np.arange(60), np.diff(columns.offsets))
    events = {"who": owner, "time": columns.times, "code": columns.codes, "value": columns.values.astype(np.float64)}
    frame = duckdb.connect()
    for name, content in (
        ("events", events | {"known": columns.available}),
        ("labels", {"row": np.arange(150), "who": places, "t": times}),
    ):
        frame.register(name, pd.DataFrame(content))
    wanted = np.full((150, 50, 3, 7), np.nan)
    wanted[..., 0] = 0
    for place, window in enumerate(windows):
        some = "value is not null and not isnan(value)"
        rows = frame.execute(
            f"""select row, code, count(*), avg(value) filter ({some}), min(value) filter ({some}),
            max(value) filter ({some}), arg_max(value, time) filter ({some}),
            case when count(distinct time) filter ({some}) > 1
                then regr_slope(value, (time - t) / {DAY}) filter ({some}) end, min(t - time) / {DAY}
            from labels join events using (who) where time <= t and known <= t and time > t - {min(window, 1 << 60)}
            group by all""",
        ).fetchnumpy()
        found = np.stack([np.ma.filled(column.astype(float), np.nan) for column in list(rows.values())[2:]], axis=1)
        wanted[rows["row"], rows["code"], place] = found
    names = ("count", "mean", "min", "max", "last", "slope", "since")
    ours = dense(columns, places, times, Slots.of(np.arange(50)), windows, names, threads=2)
    np.testing.assert_allclose(ours, wanted.reshape(150, -1), rtol=1e-4, atol=1e-5)


def test_spread_change_and_what_is_held_are_those_of_pandas() -> None:
    """``std`` and the ends of each group; held: the step function between label and first value, hour by hour."""
    columns, hour = random_columns(3, 12, 600, 3), DAY // 24
    times = np.asarray(columns.times) // hour * hour
    columns = replace(columns, times=times, available=None)
    owner = np.repeat(np.arange(12), np.diff(columns.offsets))
    frame = pd.DataFrame({"who": owner, "code": columns.codes, "time": times, "value": columns.values.astype(float)})
    label = 401 * DAY
    names = ("std", "change", "held")
    found = dense(columns, np.arange(12), np.full(12, label), Slots.of(np.arange(3)), (ALL,), names).reshape(12, 3, 3)
    known = frame.dropna()
    assert len(known) > 400
    for (who, code), group in known.groupby(["who", "code"]):
        steps = pd.Series(group["value"].to_numpy(), pd.to_datetime(group["time"], unit="us"))
        steps = steps[~steps.index.duplicated(keep="last")]
        end = pd.to_datetime(label, unit="us")
        grid = pd.date_range(steps.index[0], end, freq="h", inclusive="left")
        held = steps.reindex(grid, method="ffill").mean()
        wanted = [group["value"].std(), group["value"].iloc[-1] - group["value"].iloc[0], held]
        np.testing.assert_allclose(found[who, code], wanted, rtol=1e-4, atol=1e-5)


def test_codes_that_share_a_slot_are_one_and_those_without_are_none() -> None:
    events: list[Event] = [(0, 1, 0, 2.0, None), (0, 2, 1, 4.0, None), (0, 3, 2, 9.0, None)]
    slots = Slots.of(np.array([0, 0, -1, 1]))
    found = dense(columns_of(events, 1), *arrays([(0, 5)]), slots, (ALL,), ("count", "mean", "last"))
    np.testing.assert_array_equal(found, [[2, 3, 4, 0, np.nan, np.nan]])


def test_values_are_clipped_then_scaled() -> None:
    events: list[Event] = [(0, 1, 0, -50.0, None), (0, 2, 0, 6.0, None)]
    slots = Slots.of(np.array([0]), scales=np.array([[0.0, 10.0, 2.0, 0.5]]))
    found = dense(columns_of(events, 1, 1), *arrays([(0, 5)]), slots, (ALL,), ("min", "max", "sum"))
    assert found.tolist() == [[-1.0, 2.0, 1.0]]


def test_a_slope_far_from_the_label_keeps_its_digits() -> None:
    """Ten points within ten minutes, thirty years before the label, around a large value."""
    minute = DAY // 1440
    events: list[Event] = [(0, number * minute, 0, 4096.0 + number, None) for number in range(10)]
    found = dense(columns_of(events, 1), *arrays([(0, 30 * 365 * DAY)]), EVERY, (ALL,), ("slope",))
    assert found[0, 0] == pytest.approx(1440.0, rel=1e-4)


def test_rows_stay_in_the_order_of_the_labels() -> None:
    events: list[Event] = [(who, 10 * who, 0, float(who), None) for who in range(3)]
    labels = [(2, 99), (0, 99), (1, 99), (0, -5), (2, 99)]
    found = dense(columns_of(events, 3), *arrays(labels), EVERY, (ALL,), ("last",), threads=2)
    np.testing.assert_array_equal(found[:, 0], [2, 0, 1, np.nan, 2])


def test_no_label_and_no_slot_give_empty_matrices() -> None:
    columns = columns_of([(0, 1, 0, 2.0, None)], 1)
    assert aggregate(columns, *arrays([]), EVERY, (ALL,), ("last",)).shape == (0, CODES)
    none = Slots.of(np.full(CODES, -1))
    assert aggregate(columns, *arrays([(0, 3)]), none, (ALL,), ("last",)).shape == (1, 0)


@pytest.mark.parametrize("windows", [(), (0,), (5, 5), (7, 2)])
def test_windows_that_do_not_grow_are_refused(windows: tuple[int, ...]) -> None:
    with pytest.raises(RecipeError):
        aggregate(columns_of([(0, 1, 0, 2.0, None)], 1), *arrays([(0, 3)]), EVERY, windows, ("last",))


def test_an_unknown_aggregate_offers_the_nearest() -> None:
    with pytest.raises(NameUnknown, match="mean"):
        aggregate(columns_of([(0, 1, 0, 2.0, None)], 1), *arrays([(0, 3)]), EVERY, (ALL,), ("means",))


def test_what_lies_outside_is_refused_before_a_kernel_reads_it() -> None:
    columns = columns_of([(0, 1, 0, 2.0, None)], 1)
    for place in (-1, 1):
        with pytest.raises(DataError, match="no events"):
            aggregate(columns, *arrays([(place, 3)]), EVERY, (ALL,), ("last",))
    for slots in (Slots.of(np.arange(3)), Slots.of(np.arange(CODES), 2)):
        with pytest.raises(DataError, match="slots of"):
            aggregate(columns, *arrays([(0, 3)]), slots, (ALL,), ("last",))
