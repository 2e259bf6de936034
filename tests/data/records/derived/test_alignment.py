from __future__ import annotations

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.data.records.column_writer import NOWHEN
from suwen.data.records.derived.alignment import align

INPUTS = 3
event_ = st.tuples(st.integers(0, 2), st.none() | st.integers(0, 9), st.integers(-1, INPUTS - 1))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(event_, max_size=25),
    st.lists(st.integers(0, 6), min_size=INPUTS, max_size=INPUTS),
    st.lists(st.booleans(), min_size=INPUTS, max_size=INPUTS),
)
def test_moments_are_those_of_the_definition(
    events: list[tuple[int, int | None, int]], hold: list[int], drives: list[bool]
) -> None:
    rows = sorted(events, key=lambda row: (row[0], -math.inf if row[1] is None else row[1]))
    wanted = []
    for place, (who, time, _) in enumerate(rows):
        if place + 1 < len(rows) and rows[place + 1][:2] == (who, time):
            continue  # not the last of its moment
        before = [(number, row) for number, row in enumerate(rows[: place + 1]) if row[0] == who]
        chosen = []
        for each in range(INPUTS):
            mine = [(number, row[1]) for number, row in before if row[2] == each]
            fresh = mine and (mine[-1][1] is None or time - mine[-1][1] <= hold[each])
            chosen.append(mine[-1][0] if fresh else None)
        now = {row[2] for _, row in before if row[1] == time}
        if None not in chosen and any(drives[each] for each in now if each >= 0):
            wanted.append((place, chosen))
    found = align(
        np.searchsorted([row[0] for row in rows], np.arange(4)).astype(np.int64),
        np.array([NOWHEN if row[1] is None else row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int32),
        np.array(hold, np.int64),
        np.array(drives),
    )
    assert found.ends.tolist() == [place for place, _ in wanted]
    assert found.inputs.tolist() == [chosen for _, chosen in wanted]


def test_what_is_held_is_what_pandas_joins_backwards() -> None:
    """Two inputs, one of which drives: ``merge_asof`` with a tolerance."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"who": rng.integers(0, 20, 3000), "slot": rng.integers(0, 2, 3000)})
    table["time"] = rng.permutation(3000)
    table = table.sort_values(["who", "time"], ignore_index=True)
    table["event"] = np.arange(3000)
    found = align(
        np.searchsorted(table["who"], np.arange(21)).astype(np.int64),
        table["time"].to_numpy(np.int64),
        table["slot"].to_numpy(np.int32),
        np.array([0, 40], np.int64),
        np.array([True, False]),
    )
    ours, other = (table[table["slot"] == slot].sort_values("time") for slot in (0, 1))
    joined = pd.merge_asof(ours, other, on="time", by="who", tolerance=40, suffixes=("", "_held")).dropna()
    joined = joined.sort_values("event")
    assert len(joined) > 100
    assert found.ends.tolist() == joined["event"].tolist()
    assert found.inputs[:, 1].tolist() == joined["event_held"].astype(int).tolist()
