"""Events by what their codes begin with, and by code: how many, of whom, with which values, known how much later."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from suwen.data.records.columns import Columns
from suwen.data.records.events import BIRTH
from suwen.data.records.kernels import DAY, store_of
from suwen.data.records.profile import kernels
from suwen.data.records.profile import kinds as names
from suwen.data.records.profile.people import Calendar, spans, starts
from suwen.data.records.profile.spread import SHARES
from suwen.data.records.tallies import SAMPLED, quantiles, tally

FENCE = 3.0
"""A value is far out where it is more than so many interquartile ranges outside of the quartiles (outer fences: Tukey,
Exploratory Data Analysis, 1977, section 2D). It may well be right."""

MOST_SPANS = 40
"""Of years, by which kinds are counted."""

MOST_KINDS = 250
"""Kinds that are told apart, the commonest; the others are one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ByKind:
    """Of K kinds of codes, the commonest first, by B spans of years.

    Attributes:
        names: as codes begin.
        of_code: int32 (V,), position of each code.
        events, codes, subjects, valued, later: int64 (K,); events with a value, and that were available later.
        first_year, width: of the first span, and of each.
        events_in, subjects_in: int64 (K, B).
        delays: float64 (K + 1, `SHARES`), days until those were available that were available later; of all last. Of
            more than `SAMPLED` of a kind, evenly many are passed over.
        repeated: events of the same subject, code, time and value as the one of the code before.
    """

    names: tuple[str, ...]
    of_code: np.ndarray
    events: np.ndarray
    codes: np.ndarray
    subjects: np.ndarray
    valued: np.ndarray
    later: np.ndarray
    first_year: int
    width: int
    events_in: np.ndarray
    subjects_in: np.ndarray
    delays: np.ndarray
    repeated: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ByCode:
    """Of V codes, in the order of the vocabulary.

    Attributes:
        subjects, values: int64 (V,).
        spread: float64 (V, `SHARES`), of the values; of more than `SAMPLED`, evenly many are passed over.
        far: int64 (V,), values far out, see `FENCE`.
    """

    subjects: np.ndarray
    values: np.ndarray
    spread: np.ndarray
    far: np.ndarray


def by_kind(columns: Columns, calendar: Calendar, few: int) -> ByKind:
    """Count by kind; `few` are the subjects that a span of years is to have."""
    of_code, kinds = _kinds(columns)
    store, count = store_of(columns), len(kinds)
    first_year, width, events, _ = spans(calendar, few, MOST_SPANS)
    edges = starts(first_year + width * np.arange(len(events) + 1))
    births = np.array([code == BIRTH for code in columns.vocabulary], bool)
    subjects, valued, later = (np.zeros(count, np.int64) for _ in range(3))
    events_in, subjects_in = (np.zeros((count, len(events)), np.int64) for _ in range(2))
    out = (subjects, valued, later, events_in, subjects_in)
    repeated = kernels.walk_kinds(*store, of_code, births, edges, *out)
    return ByKind(
        names=kinds,
        of_code=of_code,
        events=np.bincount(of_code, columns.counts, count).astype(np.int64),
        codes=np.bincount(of_code, minlength=count),
        subjects=subjects,
        valued=valued,
        later=later,
        first_year=first_year,
        width=width,
        events_in=events_in,
        subjects_in=subjects_in,
        delays=_delays(columns, of_code, later),
        repeated=repeated,
    )


def _kinds(columns: Columns) -> tuple[np.ndarray, tuple[str, ...]]:
    """int32 (V,) the kind of each code, and their names; spellings that differ in case are one."""
    events: Counter[str] = Counter()
    spelt: dict[str, str] = {}
    for code, count in zip(columns.vocabulary, columns.counts.tolist(), strict=True):
        spelling = names.kind_of(code)
        spelt.setdefault(spelling.lower(), spelling)
        events[spelling.lower()] += count
    common = [kind for kind, _ in events.most_common(MOST_KINDS)]
    place = {kind: number for number, kind in enumerate(common)}
    of_code = [place.get(names.kind_of(code).lower(), len(common)) for code in columns.vocabulary]
    found = tuple(spelt[kind] for kind in common)
    return np.array(of_code, np.int32), (*found, "other kinds") if len(events) > len(common) else found


def _delays(columns: Columns, of_code: np.ndarray, later: np.ndarray) -> np.ndarray:
    """float64 (K + 1, `SHARES`) days."""
    cut = np.full((len(later) + 1, len(SHARES)), np.nan)
    if columns.available is None or not later.any():
        return cut
    store = store_of(columns)
    strides = np.maximum(1, -(-later // SAMPLED))
    begins = np.concatenate([[0], np.cumsum(-(-later // strides))])
    found = np.empty(begins[-1], np.int64)
    seen = np.zeros(len(later), np.int64)
    kernels.walk_delays(store.times, store.codes, store.available, of_code, strides, begins, seen, found)
    days = found / DAY
    for kind in np.flatnonzero(later).tolist():
        cut[kind] = np.quantile(days[begins[kind] : begins[kind + 1]], SHARES, method="inverted_cdf")
    cut[-1] = np.quantile(days, SHARES, weights=np.repeat(strides, np.diff(begins)), method="inverted_cdf")
    return cut


def by_code(columns: Columns) -> ByCode:
    """Count by code."""
    count, subjects = len(columns.vocabulary), len(columns.subjects)
    each, places = np.arange(count, dtype=np.int32), np.arange(subjects)
    always = np.full(subjects, np.iinfo(np.int64).max)
    found = tally(columns, places, always, each, count)
    spread = quantiles(columns, places, always, each, found.values, SHARES)
    reach = FENCE * (spread[:, 3] - spread[:, 1])
    fenced = reach > 0
    low, high = np.where(fenced, spread[:, 1] - reach, -np.inf), np.where(fenced, spread[:, 3] + reach, np.inf)
    far = np.zeros(count, np.int64)
    store = store_of(columns)
    kernels.walk_outliers(store.codes, store.values, low, high, far)
    return ByCode(subjects=found.subjects, values=found.values, spread=spread, far=far)
