"""Subjects in groups: by sex, by age, by a trait, by whether they have a code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suwen.core.errors import NameUnknown
from suwen.data.records.columns import Columns
from suwen.data.records.events import END, START
from suwen.data.records.kernels import store_of
from suwen.data.records.profile import kernels
from suwen.data.records.profile.disclosure import OLDEST_AGE
from suwen.data.records.profile.kinds import PLAIN, kind_of, whole_of
from suwen.data.records.profile.people import SEXES, People

BAND = 10
"""Years of a group of ages."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Subjects in groups.

    Attributes:
        by: what makes the groups.
        names: of the groups.
        of: int32 (S,), position of each subject's, -1 for none.
    """

    by: str
    names: tuple[str, ...]
    of: np.ndarray


def bands(width: int = BAND) -> tuple[str, ...]:
    """Names of groups of ages, ``0–9`` to ``90+``; the width divides 90."""
    return (*(f"{age}–{age + width - 1}" for age in range(0, OLDEST_AGE, width)), f"{OLDEST_AGE}+")


def band_of(ages: np.ndarray, width: int = BAND) -> np.ndarray:
    """int32: position in `bands` of each age in years, -1 of NaN."""
    known = ~np.isnan(ages)
    return np.where(known, np.where(known, ages, 0).clip(0, OLDEST_AGE) // width, -1).astype(np.int32)


def groups_of(columns: Columns, people: People, by: str) -> Groups:
    """The groups.

    Args:
        columns: the events.
        people: the subjects.
        by: ``sex``; ``age`` (at the last event); what codes begin with, as ``RACE``: a subject is in the group of its
            first such code; or a code, with START and END or without: those who have it, and those who do not.

    Raises:
        NameUnknown: nothing of that name.
    """
    if by == "sex":
        return Groups(by=by, names=SEXES, of=people.sex.astype(np.int32))
    if by == "age":
        return Groups(by=by, names=bands(), of=band_of(people.age))
    place: dict[str, int] = {}
    groups = np.full(len(columns.vocabulary), -1, np.int32)
    codes = {by, by + START, by + END}
    if codes & set(columns.vocabulary):
        place = {f"with {by}": 0, "without": 1}
        groups[[columns.numbers[code] for code in codes if code in columns.numbers]] = 0
    else:
        for number, code in enumerate(columns.vocabulary):
            if code.lower().startswith(by.lower() + "//"):
                groups[number] = place.setdefault(whole_of(code)[0][len(by) + 2 :], len(place))
    if not place:
        known = {kind for code in columns.vocabulary if (kind := kind_of(code)) != PLAIN}
        raise NameUnknown("group", by, {"sex", "age", *known}, fix="--by sex, --by age, --by RACE, or --by CODE")
    found = np.full(len(columns.subjects), 1 if "without" in place else -1, np.int32)
    kernels.walk_groups(store_of(columns).offsets, store_of(columns).codes, groups, found)
    return Groups(by=by, names=tuple(place), of=found)
