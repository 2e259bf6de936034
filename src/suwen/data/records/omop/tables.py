"""Which columns of which OMOP tables become which events, a row each.

Columns are those of the OMOP Common Data Model 5.3 and 5.4 (https://ohdsi.github.io/CommonDataModel, in their field
tables); concept numbers are those of the OHDSI vocabularies (https://athena.ohdsi.org).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suwen.data.records.events import BIRTH, DEATH
from suwen.data.records.tables.sheets import stem

POINT, SPAN, STATIC = "point", "span", "static"
"""A point is one event at the start, whatever its end; a span ``CODE//START``, and ``CODE//END`` where its end is
known; what is static has no time."""

TOLD, ONCE, EHR = 2_100_000_001, 2_100_000_002, 32817
"""Types of rows (``*_type_concept_id``). `EHR`: from a health record, as rows usually are. Two local ones, from
2,000,000,000 on as OHDSI has it: `TOLD` is for readers of OMOP, its events stand in full in `EXTRA`; `ONCE` is one
event, in a table whose rows are spans."""

FIRST_LOCAL = 2_100_001_000
"""The first number that an export gives to a code of its own."""

OURS = "MEDS code"
"""``concept_class_id`` of these. Where it is the source concept, it is the code as it was, and goes before the standard
concept."""

BARE = "MEDS"
"""``vocabulary_id`` of codes that are not ``VOCABULARY//CODE``."""

EXTRA = "suwen_event"
"""A further table of an export: events of which a column has no place in OMOP, with the columns of `SCHEMA`."""

OPERATORS = {4171756: "<", 4171754: "<=", 4172704: ">", 4171755: ">="}
"""``operator_concept_id``; 4172703 is ``=`` and tells nothing."""


@dataclass(frozen=True)
class Line:
    """Events of each row of a table.

    Attributes:
        concept, source_concept, source: columns that name the code: the standard concept, that of the source, its text.
        label: ``OMOP_SOURCE//LABEL//text`` is the code where only the text is known: the table unless given.
        code: instead of all these.
        otherwise: the code where they say nothing.
        start, end: columns of the time, the most exact first.
        kind: `POINT`, `SPAN` or `STATIC`.
        number: column of ``numeric_value``.
        text: columns of ``text_value``, the first that says something; ``*_concept_id`` gives the code of the concept.
        spare: column of ``text_value`` where there is neither number nor text.
        operator: column that says ``<`` of the number: ``text_value`` is then ``"<5"``.
        unit: columns of ``unit``, as those of the text, of concepts without the vocabulary.
        unit_of_other: that is the unit of something else than the number (``30`` tablets are not ``30 mg``), but in an
            export of ours, which has no other place for it.
    """

    concept: str = ""
    source_concept: str = ""
    source: str = ""
    label: str = ""
    code: str = ""
    otherwise: str = ""
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    kind: str = POINT
    number: str = ""
    text: tuple[str, ...] = ()
    spare: str = ""
    operator: str = ""
    unit: tuple[str, ...] = ()
    unit_of_other: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        lines: what becomes of a row.
        type: the column of `TOLD` and `ONCE`.
        visit: the column of ``encounter_id``.
        derived_from: OMOP computes it from this table: where that has rows, it is not imported, lest it all be twice.
    """

    lines: tuple[Line, ...]
    type: str = ""
    visit: str = ""
    derived_from: str = ""

    def columns(self) -> list[str]:
        """All that are read."""
        return list(dict.fromkeys(name for name in ("person_id", self.type, self.visit, *self._of_lines()) if name))

    def _of_lines(self) -> Iterator[str]:
        for line in self.lines:
            yield from (line.concept, line.source_concept, line.source, *line.start, *line.end)
            yield from (line.number, *line.text, line.spare, line.operator, *line.unit)

    def required(self) -> list[tuple[str, ...]]:
        """Choices of columns: a file has one of each."""
        found: list[tuple[str, ...]] = [("person_id",)]
        for line in self.lines:
            if line.start and line.code != BIRTH:
                found.append(line.start)
            if not line.code and line.kind != STATIC:
                found.append(tuple(name for name in (line.concept, line.source) if name))
        return found


BORN = ("birth_datetime", "year_of_birth", "month_of_birth", "day_of_birth")
"""Of the last three the first of the month, or of the year, where no more is known."""


DATED = "_date"
"""The end of names of columns that have days; what has no time of day is known when its day is over."""


def _times(name: str) -> tuple[str, str]:
    return f"{name}_datetime", f"{name}_date"


def _coded(name: str) -> dict[str, Any]:
    return {
        "concept": f"{name}_concept_id",
        "source_concept": f"{name}_source_concept_id",
        "source": f"{name}_source_value",
    }


def _spanned(name: str) -> dict[str, Any]:
    return {"start": _times(f"{name}_start"), "end": _times(f"{name}_end")}


_VISIT = "visit_occurrence_id"
_UNIT = ("unit_source_value", "unit_concept_id")

TABLES: dict[str, Table] = {
    "person": Table(
        (
            Line(code=BIRTH, start=BORN),
            Line(**_coded("gender"), label="PERSON_GENDER", kind=STATIC),
            Line(**_coded("race"), label="PERSON_RACE", kind=STATIC),
            Line(**_coded("ethnicity"), label="PERSON_ETHNICITY", kind=STATIC),
        )
    ),
    "death": Table(
        (
            Line(
                code=DEATH,
                start=_times("death"),
                text=("cause_concept_id", "cause_source_concept_id", "cause_source_value"),
            ),
        ),
        "death_type_concept_id",
    ),
    "observation_period": Table(
        (Line(code="OBSERVATION_PERIOD", **_spanned("observation_period"), kind=SPAN),), "period_type_concept_id"
    ),
    "visit_occurrence": Table(
        (Line(**_coded("visit"), **_spanned("visit"), kind=SPAN),), "visit_type_concept_id", _VISIT
    ),
    "visit_detail": Table(
        (Line(**_coded("visit_detail"), **_spanned("visit_detail"), kind=SPAN),), "visit_detail_type_concept_id", _VISIT
    ),
    "condition_occurrence": Table(
        (Line(**_coded("condition"), **_spanned("condition"), kind=SPAN),), "condition_type_concept_id", _VISIT
    ),
    "condition_era": Table(
        (Line(concept="condition_concept_id", **_spanned("condition_era"), kind=SPAN),),
        derived_from="condition_occurrence",
    ),
    "drug_exposure": Table(
        (
            Line(
                **_coded("drug"),
                **_spanned("drug_exposure"),
                kind=SPAN,
                number="quantity",
                text=("sig",),
                unit=("dose_unit_source_value",),
                unit_of_other=True,
            ),
        ),
        "drug_type_concept_id",
        _VISIT,
    ),
    "drug_era": Table(
        (Line(concept="drug_concept_id", **_spanned("drug_era"), kind=SPAN),), derived_from="drug_exposure"
    ),
    "dose_era": Table(
        (
            Line(
                concept="drug_concept_id",
                **_spanned("dose_era"),
                kind=SPAN,
                number="dose_value",
                unit=("unit_concept_id",),
            ),
        ),
        derived_from="drug_exposure",
    ),
    "procedure_occurrence": Table(
        (Line(**_coded("procedure"), start=_times("procedure"), number="quantity"),),
        "procedure_type_concept_id",
        _VISIT,
    ),
    "device_exposure": Table(
        (Line(**_coded("device"), **_spanned("device_exposure"), kind=SPAN, number="quantity"),),
        "device_type_concept_id",
        _VISIT,
    ),
    "measurement": Table(
        (
            Line(
                **_coded("measurement"),
                start=_times("measurement"),
                number="value_as_number",
                text=("value_as_concept_id",),
                spare="value_source_value",
                operator="operator_concept_id",
                unit=_UNIT,
            ),
        ),
        "measurement_type_concept_id",
        _VISIT,
    ),
    "observation": Table(
        (
            Line(
                **_coded("observation"),
                start=_times("observation"),
                number="value_as_number",
                text=("value_as_string", "value_as_concept_id"),
                unit=_UNIT,
            ),
        ),
        "observation_type_concept_id",
        _VISIT,
    ),
    # the source value of a note is often a number of its own: a code for every note would be of no use
    "note": Table(
        (Line(concept="note_class_concept_id", otherwise="NOTE", start=_times("note"), text=("note_text",)),),
        "note_type_concept_id",
        _VISIT,
    ),
    "specimen": Table(
        (
            Line(
                concept="specimen_concept_id",
                source="specimen_source_value",
                start=_times("specimen"),
                number="quantity",
                unit=_UNIT,
            ),
        ),
        "specimen_type_concept_id",
    ),
}

VOCABULARY = ("concept", "concept_ancestor", "concept_relationship")
"""Tables that tell of codes."""


def table_of(file: Path) -> str:
    """The table that a file holds, by its name in any letters, or by that of its folder (``person/part-0.parquet``);
    empty where it is none that is read."""
    known = {*TABLES, *VOCABULARY, EXTRA}
    folder = file.parent.name.lower()
    names = (stem(file), folder, folder.removesuffix(".parquet"), folder.removesuffix(".csv"))
    return next((name for name in names if name in known), "") if names[0] else ""
