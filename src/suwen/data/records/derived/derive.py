"""Derived variables as events of their own, beside those that were measured; then `Features` takes them like any other.

columns = build_columns("store", conversions=standard_units("store"))
derived = derive(columns, meanings_of(columns, "yaib"))
Features(derived.columns, aggregates=("last", "min", "max"))        # DERIVED//shock index|min|24h …
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from suwen.core.errors import DataError
from suwen.data.records.columns import Columns
from suwen.data.records.derived.alignment import Aligned, align
from suwen.data.records.derived.concepts import CONCEPTS, Concept
from suwen.data.records.derived.formulas import FORMULAS, Floats, Formula
from suwen.data.records.derived.meanings import BIRTH, Meaning
from suwen.data.records.kernels import DAY
from suwen.data.records.units.spelling import alike
from suwen.data.records.units.table import StandardUnits, shipped_units
from suwen.data.records.units.units import Conversion, Units

PREFIX = "DERIVED//"
HOUR = DAY // 24
YEAR = 365.2425 * DAY
"""The mean Gregorian year, microseconds."""

SAME = Conversion("", 1.0, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Derived:
    """What was worked out.

    Attributes:
        columns: the events with the new ones among them. A new one is known from when all it is made of was known.
        events: name of the formula → how many new ones.
        skipped: name of the formula → the inputs that the store does not have.
        impossible: code → values beyond what its concept can be; they have no value any more.
    """

    columns: Columns
    events: dict[str, int]
    skipped: dict[str, tuple[str, ...]]
    impossible: dict[str, int]


def derive(
    columns: Columns,
    meanings: Mapping[str, Meaning],
    formulas: Sequence[Formula] = FORMULAS,
    *,
    table: StandardUnits | None = None,
) -> Derived:
    """Work out what can be, wherever enough of it is known.

    Args:
        columns: the events.
        meanings: see `meanings_of`.
        formulas: rows of `suwen.data.records.derived.formulas`, or others.
        table: of units, see `load_unit_table`; the one that comes with suwen unless given.

    Raises:
        DataError: a code has numbers in several units, or in one that does not become the concept's.
    """
    to = {code: _conversion(columns, meaning, table or shipped_units()) for code, meaning in meanings.items()}
    columns, impossible = _without_impossible(columns, meanings, to)
    known = {meaning.concept for meaning in meanings.values()}
    found: list[tuple[Formula, np.ndarray, np.ndarray, np.ndarray]] = []
    skipped: dict[str, tuple[str, ...]] = {}
    for formula in formulas:
        lacking = tuple(each.concept for each in formula.inputs if each.concept not in known)
        if lacking:
            skipped[formula.name] = lacking
            continue
        aligned = _aligned(columns, meanings, formula)
        inputs = [
            _values(columns, meanings, to, aligned.inputs[:, place], aligned.ends)
            for place in range(len(formula.inputs))
        ]
        with np.errstate(all="ignore"):  # what cannot be worked out is not finite, and is no event
            values = np.asarray(formula.compute(*inputs), np.float64)
        defined = np.isfinite(values)
        found.append((formula, values[defined], aligned.ends[defined], aligned.inputs[defined]))
    events = {formula.name: len(values) for formula, values, _, _ in found}
    return Derived(columns=_merged(columns, found), events=events, skipped=skipped, impossible=impossible)


def _conversion(columns: Columns, meaning: Meaning, table: StandardUnits) -> Conversion:
    """What makes of a code's numbers those in the unit of its concept."""
    concept = CONCEPTS[meaning.concept]
    named = columns.units.get(meaning.code, {})
    spellings = {alike(unit): unit for unit in named}
    if len(spellings) > 1:
        raise DataError(
            f"{meaning.code} has numbers in {' and '.join(sorted(spellings.values()))}",
            why="a formula would mix them",
            fix="build_columns(store, conversions=standard_units(store))",
        )
    unit = next(iter(spellings.values()), concept.unit if meaning.unit is None else meaning.unit)
    if alike(unit) == alike(concept.unit) or meaning.value is not None or meaning.code == BIRTH:
        return SAME
    analyte = table.analyte(f"LOINC//{concept.loinc[0]}") if concept.loinc else None
    to = table.conversion(analyte, unit, concept.unit) if analyte else None
    if to is None:
        raise DataError(
            f"{meaning.code} is in {unit}, and {concept.name} in {concept.unit or 'no unit'}",
            why="the table of units does not make one of the other",
            fix="a row of your own: derive(…, table=load_unit_table(FILE)), or leave the code out of the meanings",
        )
    return to


def _without_impossible(
    columns: Columns, meanings: Mapping[str, Meaning], to: Mapping[str, Conversion]
) -> tuple[Columns, dict[str, int]]:
    """The events, those with values that a concept cannot have without their values, and how many a code."""
    lowest, highest = np.full(len(columns.vocabulary), -np.inf), np.full(len(columns.vocabulary), np.inf)
    for code, meaning in meanings.items():
        concept, number = CONCEPTS[meaning.concept], columns.numbers[code]
        if meaning.value is None and code != BIRTH:
            lowest[number], highest[number] = _bounds(concept, to[code])
    values = np.array(columns.values)
    odd = (values < lowest[columns.codes]) | (values > highest[columns.codes])
    values[odd] = np.nan
    counts = np.bincount(columns.codes[odd], minlength=len(columns.vocabulary))
    told = {columns.vocabulary[number]: int(counts[number]) for number in np.flatnonzero(counts)}
    return replace(columns, values=values, fingerprint=f"{columns.fingerprint}-derived"), told


def _bounds(concept: Concept, to: Conversion) -> tuple[float, float]:
    """Of the numbers as they are in the store; a bound that is rounded to float32 keeps what lies on it."""
    ends = sorted((bound - to.offset) / to.factor for bound in (concept.lowest, concept.highest))
    slack = 1e-6 * max(map(abs, ends))
    return ends[0] - slack, ends[1] + slack


def _aligned(columns: Columns, meanings: Mapping[str, Meaning], formula: Formula) -> Aligned:
    of_code = np.full(len(columns.vocabulary), -1, np.int32)
    place = {each.concept: number for number, each in enumerate(formula.inputs)}
    itself = np.zeros(len(columns.vocabulary), bool)
    for code, meaning in meanings.items():
        of_code[columns.numbers[code]] = place.get(meaning.concept, -1)
        itself[columns.numbers[code]] = meaning.value is not None or code == BIRTH
    slots = of_code[columns.codes]
    slots[np.isnan(columns.values) & ~itself[columns.codes]] = -1
    hold = np.array([min(each.hours * HOUR, 1e18) for each in formula.inputs]).astype(np.int64)
    drives = np.array([each.drives for each in formula.inputs])
    return align(np.asarray(columns.offsets), np.asarray(columns.times), slots, hold, drives)


def _values(
    columns: Columns,
    meanings: Mapping[str, Meaning],
    to: Mapping[str, Conversion],
    events: np.ndarray,
    ends: np.ndarray,
) -> Floats:
    """float64 (M,): the values of one input, in the unit of its concept."""
    codes = columns.codes[events]
    found: Floats = columns.values[events].astype(np.float64)
    for number in np.unique(codes).tolist():
        code = columns.vocabulary[number]
        some, meaning = codes == number, meanings[code]
        if code == BIRTH:
            found[some] = (columns.times[ends[some]] - columns.times[events[some]]) / YEAR
        elif meaning.value is not None:
            found[some] = meaning.value
        else:
            found[some] = found[some] * to[code].factor + to[code].offset
    return found


def _merged(columns: Columns, found: Sequence[tuple[Formula, np.ndarray, np.ndarray, np.ndarray]]) -> Columns:
    """New events right after the last of those of their moment; codes numbered by how often they occur, as ever."""
    found = [each for each in found if len(each[1])]
    if not found:
        return columns
    ends = np.concatenate([each[2] for each in found])
    names = [*columns.vocabulary, *(PREFIX + formula.name for formula, *_ in found)]
    numbers = [np.full(len(values), len(columns.vocabulary) + n) for n, (_, values, _, _) in enumerate(found)]
    codes = np.insert(columns.codes, ends + 1, np.concatenate(numbers))
    counts = np.bincount(codes, minlength=len(names))
    order = sorted(range(len(names)), key=lambda number: (-counts[number], names[number]))
    rank = np.empty(len(names), np.int32)
    rank[order] = np.arange(len(names))
    fresh: dict[str, Any] = {
        "values": np.insert(columns.values, ends + 1, np.concatenate([each[1] for each in found])),
        "times": np.insert(columns.times, ends + 1, columns.times[ends]),
        "offsets": columns.offsets + np.searchsorted(np.sort(ends), columns.offsets),
    }
    if columns.available is not None:
        later = np.concatenate([columns.available[inputs].max(axis=1) for *_, inputs in found])
        fresh["available"] = np.insert(columns.available, ends + 1, np.maximum(later, columns.times[ends]))
    units = {PREFIX + formula.name: {formula.unit: len(values)} for formula, values, _, _ in found if formula.unit}
    return replace(
        columns,
        codes=rank[codes],
        vocabulary=tuple(names[number] for number in order),
        counts=counts[order],
        units=Units({**columns.units, **units}),
        **fresh,
    )
