"""Every code of the ward, numbered, with its meaning and the codes above it; and every unit."""

from __future__ import annotations

from typing import NamedTuple

from suwen.data.records.events import BIRTH, DEATH, END
from suwen.simulation.records.diseases import (
    DIAGNOSES,
    DRUGS,
    FILM,
    GENDERS,
    HABITS,
    LANGUAGES,
    OTHERS,
    SMOKED,
    Coded,
)
from suwen.simulation.records.measures import MEASURES


class Entry(NamedTuple):
    """A code in the book."""

    number: int
    coded: Coded


def _coded() -> dict[str, Coded]:
    found = [Coded(code=BIRTH, text="Birth"), Coded(code=DEATH, text="Death"), FILM, *OTHERS]
    found += [*GENDERS.values(), *LANGUAGES.values(), *SMOKED.values()]
    for habits in HABITS.values():
        found += [row.written(habits.system) for row in DIAGNOSES.values()]
        for row in DRUGS.values():
            drug = row.written(habits.drugs)
            found += [drug, Coded(code=drug.code + END, text=drug.text, parents=(drug.code,))]
    for measure in MEASURES.values():
        found.append(Coded(code=f"LOINC//{measure.loinc}", text=measure.text))
        if measure.molar:
            found.append(Coded(code=f"LOINC//{measure.molar.loinc}", text=measure.text))
    return {each.code: each for each in reversed(found)}


def _meanings() -> dict[str, str]:
    found: dict[str, str] = {}
    for habits in HABITS.values():
        found |= {row.written(habits.system).code: row.en for row in DIAGNOSES.values()}
        for row in DRUGS.values():
            code = row.written(habits.drugs).code
            found |= {code: row.en, code + END: f"{row.en} stopped"}
    for measure in MEASURES.values():
        if measure.molar:
            found |= {f"LOINC//{loinc}": measure.text for loinc in (measure.loinc, measure.molar.loinc)}
    return found


MEANINGS: dict[str, str] = _meanings()
"""Codes that differ by site → what they mean, the same for all of one meaning."""

_units = [unit for row in MEASURES.values() for unit in (row.unit, *([row.molar.unit] if row.molar else []))]

BOOK: dict[str, Entry] = {code: Entry(place, coded) for place, (code, coded) in enumerate(sorted(_coded().items()))}
UNITS: dict[str, int] = {unit: place for place, unit in enumerate(dict.fromkeys(["", *_units]))}
"""Unit → its number; 0 is none."""
