"""The subjects of a store: when each was born, seen and died, of which sex; and how many are seen in which years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from suwen.data.records.columns import Columns
from suwen.data.records.events import BIRTH, DEATH, NOWHEN
from suwen.data.records.kernels import DAY, store_of
from suwen.data.records.profile import kernels, kinds
from suwen.data.records.quality import OLDEST

YEAR = 365.25
"""Days."""

FIRST_YEAR, LAST_YEAR = 1901, 2299
"""Calendar years that are told apart; sources put 1900-01-01, or 9999-12-31, where they have no date."""

EPOCH = 1900
"""From which years are counted, so that decades and centuries begin where they do."""

WIDTHS = (1, 2, 5, 10, 20, 50, 100)
"""Years that are put together, where a single one has too few subjects."""

SEXES = (kinds.FEMALE, kinds.MALE, kinds.OTHER, kinds.UNKNOWN, "contradictory", "not said")


@dataclass(frozen=True, kw_only=True, eq=False)
class People:
    """Of S subjects.

    Attributes:
        events: int64 (S,).
        first, last: int64 (S,), microseconds: first and last event that has a time, births left out; `NOWHEN` of none.
        birth, death: int64 (S,), `NOWHEN` where not known.
        sex: one of `SEXES` each, int8 (S,).
    """

    events: np.ndarray
    first: np.ndarray
    last: np.ndarray
    birth: np.ndarray
    death: np.ndarray
    sex: np.ndarray

    @property
    def age(self) -> np.ndarray:
        """float64 (S,), years at the last event; NaN where birth or event are not known, or the birth is later."""
        known = (self.birth != NOWHEN) & (self.last != NOWHEN) & (self.last >= self.birth)
        return np.where(known, (self.last - np.where(known, self.birth, 0)) / (DAY * YEAR), np.nan)

    @property
    def followed(self) -> np.ndarray:
        """float64 (S,), years from the first to the last event, NaN without any."""
        known = self.first != NOWHEN
        return np.where(known, (self.last - np.where(known, self.first, 0)) / (DAY * YEAR), np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class Calendar:
    """Events by year.

    Attributes:
        events: int64 (Y,), of the years from `EPOCH`.
        subjects: int64 (`WIDTHS`, Y): subjects that have events in so many years together, counted from `EPOCH`.
        outside: events with a time outside of these years, births left out.
        timeless: events without a time.
    """

    events: np.ndarray
    subjects: np.ndarray
    outside: int
    timeless: int


SAID: dict[str, int] = {
    kinds.FEMALE: kernels.ROLE_FEMALE,
    kinds.MALE: kernels.ROLE_MALE,
    kinds.OTHER: kernels.ROLE_OTHER,
    kinds.UNKNOWN: kernels.ROLE_UNKNOWN,
}

ODD_NAMES = (
    "subjects who died before they were born",
    "events before birth",
    "events known before they happened",
    "events in the future",
    "events before 1901",
    "events more than a day after death",
)
"""Of `kernels.ODD`; the first five are also names of `suwen.data.records.quality.CHECKS`."""


def _role(code: str) -> int:
    sex = kinds.sex_of(code)
    return {BIRTH: kernels.ROLE_BIRTH, DEATH: kernels.ROLE_DEATH}.get(code, 0) if sex is None else SAID[sex]


def starts(years: np.ndarray) -> np.ndarray:
    """int64: microseconds at which years begin."""
    return np.asarray((years - 1970).astype("datetime64[Y]").astype("datetime64[us]").astype(np.int64))


def people_of(columns: Columns, now: datetime) -> tuple[People, Calendar, dict[str, int]]:
    """Subjects, events by year, and what is odd: `ODD_NAMES` → how many; what is after `now` is in the future."""
    store, count = store_of(columns), len(columns.subjects)
    roles = np.array([_role(code) for code in columns.vocabulary], np.int8)
    edges = starts(np.arange(EPOCH, LAST_YEAR + 2))
    edges[0] = edges[FIRST_YEAR - EPOCH]  # the years before are empty
    first, last, birth, death = (np.full(count, NOWHEN, np.int64) for _ in range(4))
    said, odd = np.zeros(count, np.int8), np.zeros(len(kernels.ODD), np.int64)
    events = np.zeros(len(edges) - 1, np.int64)
    subjects = np.zeros((len(WIDTHS), len(events)), np.int64)
    timeless, outside = kernels.walk_people(
        store.offsets, store.times, store.codes, store.available, roles, edges, np.array(WIDTHS),
        int(now.timestamp() * 1_000_000), OLDEST, first, last, birth, death, said, events, subjects, odd,
    )  # fmt: skip
    each = np.diff(columns.offsets)
    people = People(events=each, first=first, last=last, birth=birth, death=death, sex=_sex_of(said))
    calendar = Calendar(events=events, subjects=subjects, outside=outside, timeless=timeless)
    return people, calendar, dict(zip(ODD_NAMES, odd.tolist(), strict=True))


def _sex_of(said: np.ndarray) -> np.ndarray:
    """int8: of what was said of each the one that says most; contradictory where two say so."""
    found = np.full(len(said), SEXES.index("not said"), np.int8)
    found[(said & kernels.ROLE_UNKNOWN) > 0] = SEXES.index(kinds.UNKNOWN)
    sure = np.zeros(len(said), np.int8)
    for sex in (kinds.FEMALE, kinds.MALE, kinds.OTHER):
        has = (said & SAID[sex]) > 0
        found[has] = SEXES.index(sex)
        sure += has
    found[sure > 1] = SEXES.index("contradictory")
    return found


def spans(calendar: Calendar, few: int, most: int = 400) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Years put together, as few as leave nine tenths of the events in spans with at least `few` subjects, and no more
    than `most` spans.

    Returns:
        The first year, years a span, and int64 (B,) events and subjects of each span; from the first to the last span
        that has so many subjects, or any where none has.
    """
    for row, width in enumerate(WIDTHS):
        events = np.add.reduceat(calendar.events, np.arange(0, len(calendar.events), width))
        subjects = calendar.subjects[row, : len(events)]
        enough = subjects >= max(few, 1)
        there = np.flatnonzero(enough if enough.any() else events)
        first, end = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
        if end - first <= most and events[enough].sum() >= 0.9 * events.sum():
            break
    return EPOCH + first * width, width, events[first:end], subjects[first:end]
