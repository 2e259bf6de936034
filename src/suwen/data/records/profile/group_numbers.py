"""The numbers of groups beside each other that may be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from suwen.data.records.events import NOWHEN
from suwen.data.records.profile import kinds as names
from suwen.data.records.profile.disclosure import Count, part, partition, years
from suwen.data.records.profile.people import SEXES
from suwen.data.records.profile.profile import Profile
from suwen.data.records.profile.spread import quantiles_of

MOST_GROUPS = 20
"""Groups that are told, the largest."""

Numbers = dict[str, Any]


def groups_told(profile: Profile, smallest: int) -> Numbers | None:
    """Each group of enough subjects, the others as one, and those of no group; None where there are no groups."""
    groups = profile.groups
    if groups is None:
        return None
    sizes = np.bincount(groups.of[groups.of >= 0], minlength=len(groups.names))
    shown = [place for place in range(len(sizes)) if sizes[place] >= max(1, smallest)]
    if len(shown) > MOST_GROUPS:
        shown = sorted(sorted(shown, key=lambda place: -int(sizes[place]))[:MOST_GROUPS])
    texts = profile.origin.descriptions
    named = [texts.get(f"{groups.by}//{groups.names[place]}", groups.names[place]) for place in shown]
    masks = {
        name if named.count(name) == 1 else groups.names[place]: groups.of == place
        for name, place in zip(named, shown, strict=True)
    }
    rest = (groups.of >= 0) & ~np.isin(groups.of, shown)
    masks |= {name: mask for name, mask in (("other groups", rest), ("no group", groups.of < 0)) if mask.any()}
    return {"by": groups.by, "rows": _group_rows(profile, masks, smallest)}


def _group_rows(profile: Profile, masks: Mapping[str, np.ndarray], smallest: int) -> list[Numbers]:
    people = profile.people
    female, dead = people.sex == SEXES.index(names.FEMALE), people.death != NOWHEN
    sizes = [int(mask.sum()) for mask in masks.values()]
    females, deaths = (
        _of_groups([int(has[mask].sum()) for mask in masks.values()], sizes, smallest) for has in (female, dead)
    )
    return [
        {
            "group": name,
            "subjects": count,
            "female": females[place],
            "deaths": deaths[place],
            **_medians(profile, mask, smallest if isinstance(count, int) else len(mask) + 1),
        }
        for place, ((name, mask), count) in enumerate(zip(masks.items(), partition(sizes, smallest), strict=True))
    ]


def _of_groups(counts: Sequence[int], sizes: Sequence[int], smallest: int) -> list[Count]:
    """Of each group those who have something: neither they, nor the others, nor those of one group alone may be few."""
    pairs = zip(partition(counts, smallest), counts, sizes, strict=True)
    return [part(count, size, smallest) if isinstance(told, int) else told for told, count, size in pairs]


def _medians(profile: Profile, mask: np.ndarray, smallest: int) -> Numbers:
    people = profile.people
    columns = {"events": people.events.astype(np.float64), "age": people.age, "followed": people.followed}
    found = {name: quantiles_of(column[mask], smallest) for name, column in columns.items()}
    medians = {name: each["p50"] if each else None for name, each in found.items()}
    return {**medians, "age": years(medians["age"])}
