"""What somebody has to know before they use a store: what is missing, and what is odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from suwen.evaluation.profile_text import counted
from suwen.evaluation.section import Section
from suwen.evaluation.tables import Cell, Table
from suwen.evaluation.words import Words

Numbers = Mapping[str, Any]

FUTURE = "events in the future"
"""As `suwen.data.records.profile.people.ODD_NAMES` has it."""


def what_to_know(numbers: Numbers, say: Words) -> Section:
    """The section that says so."""
    found = [*_of_people(numbers, say), *_of_times(numbers, say), *_of_events(numbers, say)]
    if not numbers["origin"]["by_suwen"]:
        found.append(say["missing_origin"])
    rows = [[Cell(name), Cell(counted(count, say))] for name, count in numbers["odd"].items()]
    tables = [Table(say["odd_caption"], [say["odd_what"], say["count"]], rows)] if rows else []
    sentences = [say["know_text"]] if found or rows else [say["nothing_odd"]]
    return Section("know", say["know"], sentences, found, tables=tables)


def _of_people(numbers: Numbers, say: Words) -> Iterator[str]:
    people, subjects = numbers["people"], numbers["subjects"]
    if not people["births"]:
        yield say["missing_births"]
    elif people["births"] != subjects:
        yield say["some_births"].format(births=counted(people["births"], say), subjects=counted(subjects, say))
    sex = people["sex"]
    if all(not count for name, count in sex.items() if name != "not said"):
        yield say["missing_sex"]
    else:
        for name in ("unknown", "contradictory", "not said"):
            if sex[name]:
                what = say[f"sex_{name.replace(' ', '_')}"]
                yield say["some_sex"].format(count=counted(sex[name], say), what=what)
    if not people["deaths"]:
        yield say["missing_deaths"]


def _of_times(numbers: Numbers, say: Words) -> Iterator[str]:
    calendar = numbers["calendar"]
    if not calendar["spans"]:
        yield say["missing_times"]
    elif calendar["timeless"]:
        yield say["some_timeless"].format(count=counted(calendar["timeless"], say))
    future, events = numbers["odd"].get(FUTURE, 0), numbers["events"]
    if isinstance(future, int) and isinstance(events, int) and future > events / 2:
        yield say["mostly_future"]
    if calendar["outside"]:
        yield say["outside"].format(count=counted(calendar["outside"], say))
    if not numbers["delays"]["told"]:
        yield say["missing_available"]
    elif not numbers["delays"]["later"]:
        yield say["delays_none"]
    if not numbers["stays"]:
        yield say["missing_stays"]


def _of_events(numbers: Numbers, say: Words) -> Iterator[str]:
    units, codes = numbers["units"], numbers["codes"]
    if not units["codes_with_values"]:
        yield say["missing_values"]
    if units["codes_without_unit"]:
        without, valued = (counted(units[name], say) for name in ("codes_without_unit", "codes_with_values"))
        yield say["missing_units"].format(count=without, all=valued)
    if units["codes_with_more"]:
        yield say["several_units"].format(count=counted(units["codes_with_more"], say))
    if numbers["described"] < codes:
        missing = counted(codes - numbers["described"], say)
        yield say["missing_descriptions"].format(count=missing, all=counted(codes, say))
    if numbers["texts"] is None:
        yield say["unknown_texts"]
    else:
        yield say["texts"].format(count=counted(numbers["texts"], say)) if numbers["texts"] else say["missing_texts"]
