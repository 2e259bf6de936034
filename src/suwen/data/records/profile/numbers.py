"""The numbers of a profile that may be shown: what a page prints, and ``--json`` prints, is made of these alone.

Counts below 11 are ``"<11"`` (see `suwen.data.records.profile.disclosure`), a code or group is named only where 11
subjects have it, and a unit where 11 events do; quantiles are those of at least 11 subjects, ages end at 90, of dates
there are years.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suwen.data.records.events import END, NOWHEN, START
from suwen.data.records.profile import kinds as names
from suwen.data.records.profile.disclosure import OLDEST_AGE, SMALLEST, cell, part, partition, pooled, share, years
from suwen.data.records.profile.group_numbers import groups_told
from suwen.data.records.profile.groups import band_of, bands
from suwen.data.records.profile.people import SEXES, spans
from suwen.data.records.profile.profile import Profile
from suwen.data.records.profile.spread import named, quantiles_of

COMMONEST = 25
"""Codes that are listed, and codes with values."""

AGE_WIDTHS = (10, 30)
SEEN = 2 / 3
"""Share of the subjects that are to be seen in a figure; fewer, and its groups are wider."""

FEWEST_VALUES = 20
"""Of a code whose values are told: of fewer no 5th and 95th percentile is to be had."""

STEPS = (1, 2, 5)
"""Ends of a histogram's cells, times powers of 10."""

AGES = frozenset({"age", "loinc//30525-0", "loinc//21612-7", "loinc//29553-5", "loinc//21611-9"})
"""Codes, in small letters, whose values are ages: LOINC 30525-0 Age, 21612-7 Age - Reported, 29553-5 Age calculated,
21611-9 Age - estimated (https://loinc.org)."""

Numbers = dict[str, Any]


def numbers_of(profile: Profile, *, smallest: int = SMALLEST) -> Numbers:
    """All numbers, JSON-able.

    Args:
        profile: see `suwen.data.records.profile.profile`.
        smallest: the least count that is shown; 1 shows all.
    """
    columns, origin = profile.columns, profile.origin
    return {
        "name": origin.name,
        "fingerprint": columns.fingerprint,
        "simulated": origin.simulated,
        "smallest": smallest,
        "subjects": cell(len(columns.subjects), smallest),
        "events": cell(len(columns), smallest),
        "codes": len(columns.vocabulary),
        "people": _people(profile, smallest),
        "calendar": _calendar(profile, smallest),
        "kinds": _kinds(profile, smallest),
        "commonest": _commonest(profile, smallest),
        "measured": _measured(profile, smallest),
        "units": _units(profile, smallest),
        "stays": _stays(profile, smallest),
        "delays": _delays(profile, smallest),
        "texts": None if origin.texts is None else cell(origin.texts, smallest),
        "described": sum(_described(profile, code) is not None for code in columns.vocabulary),
        "odd": {name: cell(count, smallest) for name, count in profile.odd.items()},
        "origin": _origin(profile, smallest),
        "groups": groups_told(profile, smallest),
    }


def _people(profile: Profile, smallest: int) -> Numbers:
    people, count = profile.people, len(profile.columns.subjects)
    born, dead = int((people.birth != NOWHEN).sum()), int((people.death != NOWHEN).sum())
    ages = quantiles_of(people.age, smallest)
    sexes = partition([int((people.sex == number).sum()) for number in range(len(SEXES))], smallest)
    return {
        "sex": dict(zip(SEXES, sexes, strict=True)),
        "births": part(born, count, smallest),
        "deaths": part(dead, count, smallest),
        "age": None if ages is None else {name: years(age) for name, age in ages.items()},
        "ages": _ages(profile, smallest),
        "events": quantiles_of(people.events.astype(np.float64), smallest),
        "histogram": _histogram(people.events, smallest),
        "followed": quantiles_of(people.followed, smallest),
        "person_years": _sum_of(people.followed, smallest),
    }


def _sum_of(values: np.ndarray, smallest: int) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.sum()) if len(known) >= max(1, smallest) else None


def _ages(profile: Profile, smallest: int) -> list[Numbers]:
    """Subjects by age at the last event and sex, in groups of ten years, or of thirty where most would be hidden;
    unknown ages are a cell, too."""
    sex = profile.people.sex
    sides = {each: sex == SEXES.index(each) for each in (names.FEMALE, names.MALE)}
    sides["all others"] = ~(sides[names.FEMALE] | sides[names.MALE])
    choices = [_bands(profile, sides, width, smallest) for width in AGE_WIDTHS]
    seen = [sum(count for row in rows for count in row.values() if isinstance(count, int)) for rows in choices]
    return choices[0] if seen[0] >= min(SEEN * len(sex), max(seen)) else choices[int(np.argmax(seen))]


def _bands(profile: Profile, sides: Mapping[str, np.ndarray], width: int, smallest: int) -> list[Numbers]:
    band, rows = band_of(profile.people.age, width), bands(width)
    places = (*range(len(rows)), -1)
    told = {
        side: partition([int((mask & (band == place)).sum()) for place in places], smallest)
        for side, mask in sides.items()
    }
    named = enumerate([*rows, "not known"])
    return [{"age": row, **{side: told[side][place] for side in told}} for place, row in named]


def _histogram(events: np.ndarray, smallest: int) -> list[Numbers]:
    """Subjects by their number of events, cells put together until each has enough."""
    most = int(events.max(initial=1))
    ends = [step * 10**power for power in range(len(str(most)) + 1) for step in STEPS]
    ends = ends[: next(place for place, end in enumerate(ends) if end > most) + 1]
    counts = np.histogram(events, bins=[*ends[:-1], np.inf])[0].tolist() if len(events) else []
    return [
        {"from": ends[first], "to": ends[last + 1] - 1, "subjects": cell(count, smallest)}
        for first, last, count in pooled(counts, smallest)
    ]


def _calendar(profile: Profile, smallest: int) -> Numbers:
    calendar, kinds = profile.calendar, profile.by_kind
    first, width, events, subjects = spans(calendar, smallest)
    rows = [
        {
            "from": first + width * place,
            "to": first + width * (place + 1) - 1,
            "events": _if_enough(int(events[place]), int(subjects[place]), smallest),
            "subjects": part(int(subjects[place]), len(profile.columns.subjects), smallest),
        }
        for place in range(len(events))
    ]
    by_kind = {
        kinds.names[kind]: [
            _if_enough(int(count), int(who), smallest)
            for count, who in zip(kinds.events_in[kind], kinds.subjects_in[kind], strict=True)
        ]
        for kind in np.flatnonzero(_enough(kinds.subjects, smallest)).tolist()
        if names.about(kinds.names[kind]).role != "person"
    }
    timed = [row for row in rows if isinstance(row["events"], int) and row["events"]]
    return {
        "first_year": timed[0]["from"] if timed else None,
        "last_year": timed[-1]["to"] if timed else None,
        "width": width,
        "spans": rows,
        "density": {"from": kinds.first_year, "width": kinds.width, "kinds": by_kind},
        "timeless": cell(calendar.timeless, smallest),
        "outside": cell(calendar.outside, smallest),
    }


def _if_enough(events: int, subjects: int, smallest: int) -> int | str:
    """A count of events, where it is not that of a few subjects."""
    return events if not events or subjects >= smallest else f"<{smallest} subjects"


def _enough(subjects: np.ndarray, smallest: int) -> np.ndarray:
    return np.asarray(subjects >= max(1, smallest))


def _kinds(profile: Profile, smallest: int) -> list[Numbers]:
    """Those of enough subjects, the commonest first; then all others together, without a name."""
    kinds, count = profile.by_kind, len(profile.columns.subjects)
    told = [
        {
            "kind": kinds.names[kind],
            "name": names.about(kinds.names[kind]).name,
            "events": int(kinds.events[kind]),
            "codes": int(kinds.codes[kind]),
            "subjects": part(int(kinds.subjects[kind]), count, smallest),
            "values": cell(int(kinds.valued[kind]), smallest),
        }
        for kind in np.flatnonzero(_enough(kinds.subjects, smallest)).tolist()
    ]
    few = ~_enough(kinds.subjects, smallest)
    if few.any():
        events, values = (cell(int(each[few].sum()), smallest) for each in (kinds.events, kinds.valued))
        rest = {"kind": "", "name": f"{few.sum()} kinds of fewer than {smallest} subjects each"}
        told.append({**rest, "events": events, "codes": int(kinds.codes[few].sum()), "subjects": "", "values": values})
    return told


def _described(profile: Profile, code: str) -> str | None:
    texts, whole = profile.origin.descriptions, names.whole_of(code)[0]
    return texts.get(code) or texts.get(whole) or texts.get(whole + START) or texts.get(whole + END)


def _named_codes(profile: Profile, smallest: int) -> np.ndarray:
    """bool (V,): codes that enough subjects have; those that may be written words need `SMALLEST` in any case."""
    written = np.array([names.kind_of(code).lower() in names.WRITTEN for code in profile.columns.vocabulary], bool)
    return np.asarray(profile.by_code.subjects >= np.where(written, SMALLEST, max(1, smallest)))


def _commonest(profile: Profile, smallest: int) -> list[Numbers]:
    """Codes that most subjects have, of what happens to people: not who they are, nor visits, nor ends."""
    columns, count = profile.columns, len(profile.columns.subjects)
    found = []
    for number in np.flatnonzero(_named_codes(profile, smallest)).tolist():
        code = columns.vocabulary[number]
        whole, ending = names.whole_of(code)
        kind = names.kind_of(code)
        begun = whole in columns.numbers or whole + START in columns.numbers
        if names.about(kind).role in ("person", "stay", "watch") or (ending == END and begun):
            continue
        subjects = int(profile.by_code.subjects[number])
        found.append((-subjects, -int(columns.counts[number]), whole, kind, code))
    return [
        {
            "code": whole,
            "description": _described(profile, code),
            "kind": kind,
            "subjects": part(-subjects, count, smallest),
            "share": share(part(-subjects, count, smallest), cell(count, smallest)),
            "events": -events,
        }
        for subjects, events, whole, kind, code in sorted(found)[:COMMONEST]
    ]


def _measured(profile: Profile, smallest: int) -> list[Numbers]:
    """Codes with values, those with most values first."""
    codes = profile.by_code
    named = _named_codes(profile, smallest) & (codes.values >= (FEWEST_VALUES if smallest > 1 else 1))
    order = np.argsort(-codes.values, kind="stable")
    return [_values(profile, number, smallest) for number in order[named[order]].tolist()[:COMMONEST]]


def _values(profile: Profile, number: int, smallest: int) -> Numbers:
    columns, codes, code = profile.columns, profile.by_code, profile.columns.vocabulary[number]
    units, values = columns.units.get(code, {}), int(codes.values[number])
    unit = columns.units.usual(code)
    spread = codes.spread[number]
    if code.lower() in AGES and (unit is None or unit.lower() in ("a", "y", "year", "years")):
        spread = spread.clip(max=OLDEST_AGE)
    return {
        "code": code,
        "description": _described(profile, code),
        "values": values,
        "subjects": part(int(codes.subjects[number]), len(columns.subjects), smallest),
        "unit": unit if unit is not None and units[unit] >= smallest else None,
        "other_units": cell(sum(units.values()) - max(units.values(), default=0), smallest),
        "no_unit": cell(max(0, values - sum(units.values())), smallest),
        "spread": named(spread),
        "far": cell(int(codes.far[number]), smallest),
    }


def _units(profile: Profile, smallest: int) -> Numbers:
    columns = profile.columns
    named = _named_codes(profile, smallest)
    odd = [each for each in columns.units.odd() if each.events >= smallest and named[columns.numbers[each.code]]]
    valued = profile.by_code.values > 0
    without = [code for code, has in zip(columns.vocabulary, valued, strict=True) if has and code not in columns.units]
    return {
        "codes_with_values": int(valued.sum()),
        "codes_without_unit": len(without),
        "codes_with_more": len({each.code for each in columns.units.odd()}),
        "odd": [
            {
                "code": each.code,
                "description": _described(profile, each.code),
                "unit": each.unit,
                "events": each.events,
                "usual": each.usual,
                "usual_events": columns.units[each.code][each.usual],
            }
            for each in odd[:COMMONEST]
        ],
    }


def _stays(profile: Profile, smallest: int) -> list[Numbers]:
    stays, count = profile.stays, len(profile.columns.subjects)
    order = np.lexsort((np.arange(len(stays.names)), -stays.begun))
    return [
        {
            "stay": stays.names[stay],
            "description": _described(profile, stays.names[stay]),
            "begun": cell(int(stays.begun[stay]), smallest),
            "subjects": part(int(stays.subjects[stay]), count, smallest),
            "days": named(stays.days[stay]),
            "never_ended": cell(int(stays.never_ended[stay]), smallest),
            "never_begun": cell(int(stays.never_begun[stay]), smallest),
        }
        for stay in order[_enough(stays.subjects, smallest)[order]].tolist()[:COMMONEST]
    ]


def _delays(profile: Profile, smallest: int) -> Numbers:
    """Days until events were available, of those that were later than their time."""
    kinds, later = profile.by_kind, int(profile.by_kind.later.sum())
    rows = [
        {
            "kind": kinds.names[kind],
            "name": names.about(kinds.names[kind]).name,
            "events": int(kinds.events[kind]),
            "later": int(kinds.later[kind]),
            "days": named(kinds.delays[kind]),
        }
        for kind in np.flatnonzero(kinds.later >= max(smallest, 1)).tolist()
        if kinds.subjects[kind] >= smallest
    ]
    told = profile.columns.available is not None
    enough = later >= max(smallest, 1)
    return {
        "told": told,
        "later": cell(later, smallest),
        "days": named(kinds.delays[-1]) if enough else None,
        "kinds": rows,
    }


def _origin(profile: Profile, smallest: int) -> Numbers:
    origin = profile.origin
    return {
        "by_suwen": origin.by_suwen,
        "imports": [
            {"from": kind, "parts": parts, "events": cell(events, smallest)}
            for kind, (parts, events) in origin.imports.items()
        ],
        "repeated": None if origin.repeated is None else cell(origin.repeated, smallest),
        "rejected": {reason: cell(count, smallest) for reason, count in origin.rejected.items()},
    }
