"""The units of the numbers that the limits of a cohort are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from suwen.data.records.cohorts.config import Cohort
from suwen.data.records.cohorts.predicates import Plain
from suwen.data.records.columns import Columns


def units_compared(cohort: Cohort, columns: Columns) -> dict[str, dict[str, int]]:
    """Predicate with limits → unit → events of its codes, after conversion, most first. Events that name no unit are
    not counted."""
    found: dict[str, dict[str, int]] = {}
    for name, predicate in cohort.predicates.items():
        codes = predicate.among(columns.numbers).tolist() if isinstance(predicate, Plain) and predicate.valued else []
        if codes:
            units: Counter[str] = Counter()
            for code in codes:
                units.update(columns.units.get(columns.vocabulary[code], {}))
            found[name] = dict(sorted(units.items(), key=lambda each: (-each[1], each[0])))
    return found


def told(compared: Mapping[str, Mapping[str, int]]) -> list[str]:
    """For people: a line for each predicate with limits."""
    lines = []
    for name, units in compared.items():
        if len(units) > 1:
            counts = ", ".join(f"{unit} {events:,}" for unit, events in units.items())
            lines.append(f"{name} is compared in more than one unit, as if they were one: {counts}")
        else:
            lines.append(f"{name} is compared " + (f"in {next(iter(units))}" if units else "with numbers of no unit"))
    return lines
