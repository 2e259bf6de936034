"""Which values of several inputs belong together: one walk over the events, forwards.

At every time at which an input that drives is measured, each other input is held from when it was measured last, unless
that is too long ago. Events of one time belong together, in whatever order they lie; of two of one input the later in
the store counts. Events without a time (a height) are known from the beginning and never age.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from suwen.data.records.events import NOWHEN
from suwen.data.records.kernels import compiled


class Aligned(NamedTuple):
    """M moments at which all K inputs are known.

    Attributes:
        ends: int64 (M,), the last event of each moment, ascending.
        inputs: int64 (M, K), the event that each input is taken from.
    """

    ends: np.ndarray
    inputs: np.ndarray


def align(offsets: np.ndarray, times: np.ndarray, slots: np.ndarray, hold: np.ndarray, drives: np.ndarray) -> Aligned:
    """The moments of one formula.

    Args:
        offsets: int64 (S + 1,), see `Columns`.
        times: int64 (N,), microseconds.
        slots: int32 (N,), which input each event is, -1 for none.
        hold: int64 (K,), microseconds that each may be old.
        drives: bool (K,), whether a new value of it makes a moment. Where nothing has a time, the moment has none.
    """
    count = _walk(offsets, times, slots, hold, drives, np.zeros(0, np.int64), np.zeros((0, len(hold)), np.int64))
    found = Aligned(np.empty(count, np.int64), np.empty((count, len(hold)), np.int64))
    _walk(offsets, times, slots, hold, drives, *found)
    return found


@compiled
def _walk(
    offsets: np.ndarray, times: np.ndarray, slots: np.ndarray, hold: np.ndarray, drives: np.ndarray, ends: np.ndarray,
    inputs: np.ndarray,
) -> int:  # fmt: skip
    """How many moments there are; they are written where there is room for them."""
    count, last = 0, np.empty(len(hold), np.int64)
    for subject in range(len(offsets) - 1):
        last[:] = -1
        driven = False
        for event in range(offsets[subject], offsets[subject + 1]):
            slot, time = slots[event], times[event]
            if slot >= 0:
                last[slot] = event
                driven = driven or drives[slot]
            if event + 1 < offsets[subject + 1] and times[event + 1] == time:
                continue
            known = driven
            driven = False
            for each in range(len(hold)):
                if not known:
                    break
                since = last[each]
                known = since >= 0 and (times[since] == NOWHEN or time - times[since] <= hold[each])
            if not known:
                continue
            if len(ends):
                ends[count] = event
                inputs[count] = last
            count += 1
    return count
