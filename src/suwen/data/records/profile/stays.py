"""Stays, from the event that begins one to the event that ends it: how many, how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suwen.data.records.columns import Columns
from suwen.data.records.events import END
from suwen.data.records.kernels import DAY, store_of
from suwen.data.records.profile import kernels
from suwen.data.records.profile import kinds as names
from suwen.data.records.profile.spread import SHARES


@dataclass(frozen=True, kw_only=True, eq=False)
class Stays:
    """Of K kinds of stays, with a beginning and an end.

    Attributes:
        names: ``VISIT//IMP``.
        begun, never_ended, never_begun, subjects: int64 (K,).
        days: float64 (K, `SHARES`), lengths.
    """

    names: tuple[str, ...]
    begun: np.ndarray
    never_ended: np.ndarray
    never_begun: np.ndarray
    subjects: np.ndarray
    days: np.ndarray


def stays_of(columns: Columns) -> Stays:
    """Pair what begins and what ends, see `suwen.data.records.profile.kernels.walk_stays`."""
    place: dict[str, int] = {}
    stays = np.full(len(columns.vocabulary), -1, np.int32)
    ends = np.zeros(len(columns.vocabulary), bool)
    for number, code in enumerate(columns.vocabulary):
        stay = names.stay_of(code)
        if stay is not None:
            stays[number] = place.setdefault(stay[0], len(place))
            ends[number] = stay[1] == END
    begun, never_ended, never_begun, subjects = (np.zeros(len(place), np.int64) for _ in range(4))
    most = int(columns.counts[ends].sum())
    kinds, lengths = np.zeros(most, np.int32), np.zeros(most, np.int64)
    store = store_of(columns)
    paired = kernels.walk_stays(
        store.offsets, store.times, store.codes, stays, ends, begun, never_ended, never_begun, subjects, kinds, lengths
    )
    days = np.full((len(place), len(SHARES)), np.nan)
    order = np.argsort(kinds[:paired], kind="stable")
    parts = np.split(lengths[order] / DAY, np.searchsorted(kinds[order], np.arange(1, len(place))))
    for number, part in enumerate(parts):
        if len(part):
            days[number] = np.quantile(part, SHARES)
    return Stays(
        names=tuple(place),
        begun=begun,
        never_ended=never_ended,
        never_begun=never_begun,
        subjects=subjects,
        days=days,
    )
