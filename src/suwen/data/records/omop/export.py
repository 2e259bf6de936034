"""Events → a folder of OMOP CDM 5.4 tables as CSV, from which `importers.omop` makes the equal events again.

Codes become local concepts: CONCEPT.csv has a row for each, with a number from 2,100,001,000 on, which is the source
concept of the rows. The standard concept is 0 where none is known: mapping codes to the OHDSI vocabularies is not done
here. What has no column in OMOP (``available_time``, events without a time but gender, race and ethnicity, texts that
are empty) is in SUWEN_EVENT.csv, in full; the rows that tell of the same in OMOP tables have a type of their own, and
are not imported again. Visits and observation periods that no event tells of are made from the times of the others,
with that type. NaN becomes null.

Limits: two subjects with an encounter of one number share a ``visit_occurrence_id``; codes are not cut to the 50
characters of ``*_source_value``; ends of visits and drug exposures that are not known are left empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from suwen.core.files import atomic_folder
from suwen.data.records.events import SCHEMA
from suwen.data.records.exporting import Exported, refuse_full, whole_subjects
from suwen.data.records.omop.concepts import Concepts
from suwen.data.records.omop.places import PERIOD, PERSONS, PLACES, VISIT, OmopChunk, Placed, known, place
from suwen.data.records.omop.tables import EHR, EXTRA, FIRST_LOCAL, TABLES, TOLD

US, DAY, TEXT, NUMBER, WHOLE = pa.timestamp("us"), pa.date32(), pa.string(), pa.float32(), pa.int64()

CONSTANT = {"note": {"encoding_concept_id": 0, "language_concept_id": 0}}
"""Columns that a table may not be without."""


def export_omop(tables: Iterable[pa.Table], out: Path, codes: pa.Table | None = None) -> Exported:
    """Write events as OMOP tables: all of them, or, on any failure, none.

    Args:
        tables: of `SCHEMA`, all events of a subject one after another, by time.
        out: folder, new or empty.
        codes: what is known of codes, as `suwen.data.records.store.RecordStore.codes` has it.

    Raises:
        DataError: the folder holds other files; a time is outside of the years 1 to 9999; subjects lie apart.
        SuwenError: the disk is full.
    """
    refuse_full(out)
    events = subjects = 0
    with atomic_folder(out) as folder, ExitStack() as stack:
        files = _Files(folder, stack)
        concepts = Concepts(codes)
        for chunk in map(OmopChunk, whole_subjects(tables)):
            events += len(chunk.events)
            subjects += _write(chunk, place(chunk), concepts, files)
        for name, rows in (*concepts.tables(), ("cdm_source", _cdm_source(out.name))):
            files.write(name, {key: [row[key] for row in rows] for key in (rows[0] if rows else ())}, len(rows))
        files.close()
    return Exported(events, subjects, dict(files.rows))


def _cdm_source(name: str) -> list[dict[str, Any]]:
    today = date.today()
    row = {
        "cdm_source_name": name,
        "cdm_source_abbreviation": name[:25],
        "cdm_holder": "unknown",
        "source_release_date": today,
        "cdm_release_date": today,
        "cdm_version": "5.4",
        "cdm_etl_reference": f"suwen {version('suwen')}",
        "vocabulary_version": "local",
    }
    return [row]


def _layout(name: str) -> pa.Schema:
    """Columns of a table of `PLACES`."""
    table, line = TABLES[name], TABLES[name].lines[0]
    # the model gives these no time of day
    exact = () if name == "observation_period" else ("_datetime",)
    fields: list[tuple[str, pa.DataType]] = [(f"{name}_id", WHOLE), ("person_id", WHOLE), (line.concept, WHOLE)]
    for times in (line.start, line.end):
        fields += [(each, DAY if each.endswith("_date") else US) for each in times if each.endswith(("_date", *exact))]
    fields += [(table.type, WHOLE), (line.number, NUMBER), (_said(name), TEXT), (_measured(name), TEXT)]
    fields += [(table.visit, WHOLE)] if table.visit != f"{name}_id" else []
    fields += [(line.source, TEXT), (line.source_concept, WHOLE)]
    fields += [(each, WHOLE) for each in CONSTANT.get(name, ())]
    return pa.schema([field for field in fields if field[0]])


def _said(name: str) -> str:
    """The column of ``text_value``."""
    line = TABLES[name].lines[0]
    return next((each for each in (*line.text, line.spare) if each and not each.endswith("_concept_id")), "")


def _measured(name: str) -> str:
    """The column of ``unit``."""
    return next((each for each in TABLES[name].lines[0].unit if not each.endswith("_concept_id")), "")


_BORN = [(f"{what}_of_birth", WHOLE) for what in ("year", "month", "day")]
_BORN = [("person_id", WHOLE), *_BORN, ("birth_datetime", US)]
_ABOUT = [
    (f"{kind}_{what}", form)
    for kind in ("gender", "race", "ethnicity")
    for what, form in (("concept_id", WHOLE), ("source_value", TEXT), ("source_concept_id", WHOLE))
]
_DIED = [("person_id", WHOLE), ("death_date", DAY), ("death_datetime", US)]
_DIED += [("death_type_concept_id", WHOLE), ("cause_concept_id", WHOLE)]
_CONCEPT = [("concept_id", WHOLE), ("concept_name", TEXT)]
_CONCEPT += [(f"{what}_id", TEXT) for what in ("domain", "vocabulary", "concept_class")]
_VALID = [("valid_start_date", DAY), ("valid_end_date", DAY), ("invalid_reason", TEXT)]

LAYOUTS: dict[str, pa.Schema] = {
    "person": pa.schema([*_BORN, ("person_source_value", TEXT), *_ABOUT]),
    "death": pa.schema([*_DIED, ("cause_source_value", TEXT), ("cause_source_concept_id", WHOLE)]),
    **{name: _layout(name) for name in PLACES},
    "concept": pa.schema([*_CONCEPT, ("standard_concept", TEXT), ("concept_code", TEXT), *_VALID]),
    "concept_relationship": pa.schema(
        [("concept_id_1", WHOLE), ("concept_id_2", WHOLE), ("relationship_id", TEXT), *_VALID]
    ),
    "cdm_source": pa.schema([(name, DAY if name.endswith("_date") else TEXT) for name in _cdm_source("")[0]]),
    EXTRA: SCHEMA,
}


class _Files:
    """The tables as they are written."""

    def __init__(self, out: Path, stack: ExitStack) -> None:
        self.rows: Counter[str] = Counter()
        self._ids: Counter[str] = Counter()
        self._writers = {}
        for name, layout in LAYOUTS.items():
            file = out / f"{name.upper()}.csv"
            self._writers[name] = stack.enter_context(pv.CSVWriter(file, layout))

    def ids(self, name: str, count: int) -> np.ndarray:
        """The next numbers of rows of a table."""
        self._ids[name] += count
        return np.arange(self._ids[name] - count, self._ids[name]) + 1

    def write(self, name: str, columns: dict[str, Any], count: int) -> None:
        """Rows of a table; columns that are not given are empty."""
        layout = LAYOUTS[name]
        arrays = [
            pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
            for field in layout
        ]
        self._writers[name].write_table(pa.Table.from_arrays(arrays, schema=layout))
        self.rows[name] += count

    def close(self) -> None:
        """Everything is in the files."""
        for writer in self._writers.values():
            writer.close()


def _write(chunk: OmopChunk, placed: Placed, concepts: Concepts, files: _Files) -> int:
    """All rows of a chunk; how many subjects it has."""
    subjects = chunk.subjects
    _write_persons(chunk, placed.personal, subjects, concepts, files)
    for number, name in enumerate(PLACES):
        rows = np.flatnonzero(placed.table == number)
        if len(rows):
            _write_rows(name, chunk, placed, rows, concepts, files)
    _write_visits(chunk, placed, files)
    _write_periods(chunk, placed, files)
    extra = chunk.events.take(pa.array(placed.extra)).combine_chunks()
    files.write(EXTRA, {name: extra[name].combine_chunks() for name in SCHEMA.names}, len(extra))
    return len(subjects)


def _write_rows(
    name: str, chunk: OmopChunk, placed: Placed, rows: np.ndarray, concepts: Concepts, files: _Files
) -> None:
    table, line = TABLES[name], TABLES[name].lines[0]
    events = chunk.events.take(pa.array(placed.event[rows]))
    ends = placed.end[rows]
    over = chunk.events["time"].take(pa.array(ends, mask=ends < 0))
    numbers, codes = _concepts(chunk, placed.event[rows], placed.whole[rows], name, concepts)
    columns: dict[str, Any] = {f"{name}_id": files.ids(name, len(rows))}
    if table.visit:
        columns[table.visit] = events["encounter_id"]
    standard = numbers < FIRST_LOCAL
    columns |= {
        "person_id": events["subject_id"],
        line.concept: np.where(standard, numbers, 0) if line.source_concept else numbers,
        line.source_concept: np.where(standard, 0, numbers),
        line.source: codes,
        **dict.fromkeys(line.start, events["time"]),
        **dict.fromkeys(line.end, over),
        table.type: placed.type[rows],
        line.number: events["numeric_value"],
        _said(name): events["text_value"],
        _measured(name): events["unit"],
        **{each: np.full(len(rows), value) for each, value in CONSTANT.get(name, {}).items()},
    }
    files.write(name, {key: _fitting(value, LAYOUTS[name], key) for key, value in columns.items()}, len(rows))


def _fitting(column: Any, layout: pa.Schema, name: str) -> Any:
    """Times as days where the table has only these, long texts as texts."""
    if isinstance(column, pa.ChunkedArray) and name in layout.names:
        column = column.combine_chunks()
        return column.cast(layout.field(name).type, safe=False)
    return column


def _concepts(
    chunk: OmopChunk, events: np.ndarray, whole: np.ndarray, table: str, concepts: Concepts
) -> tuple[np.ndarray, pa.Array]:
    """Numbers and texts of the codes of events."""
    kinds, places = np.unique(chunk.code[events].astype(np.int64) * 2 + whole, return_inverse=True)
    texts = [chunk.codes[kind // 2] if kind % 2 else known(chunk.codes[kind // 2]).base for kind in kinds.tolist()]
    numbers = np.array([concepts.number(code, table) for code in texts], np.int64)
    return numbers[places], pa.array(texts, TEXT).take(pa.array(places))


def _write_persons(
    chunk: OmopChunk, personal: dict[str, np.ndarray], subjects: np.ndarray, concepts: Concepts, files: _Files
) -> None:
    order = np.argsort(subjects)

    def row_of(events: np.ndarray) -> np.ndarray:
        return np.asarray(order[np.searchsorted(subjects[order], chunk.subject[events])])

    event = np.full(len(subjects), -1)
    event[row_of(personal["birth"])] = personal["birth"]
    born = chunk.events["time"].take(pa.array(event, mask=event < 0)).combine_chunks()
    columns: dict[str, Any] = {"person_id": subjects, "person_source_value": pa.array(subjects).cast(TEXT)}
    columns |= {"birth_datetime": born, "year_of_birth": pc.year(born)}
    columns |= {"month_of_birth": pc.month(born), "day_of_birth": pc.day(born)}
    for kind in ("gender", "race", "ethnicity"):
        columns |= _about(kind, chunk, personal[kind], row_of(personal[kind]), concepts, len(subjects))
    files.write("person", columns, len(subjects))
    deaths = chunk.events.take(pa.array(personal["death"]))
    dead: dict[str, Any] = {
        "person_id": deaths["subject_id"],
        "death_date": deaths["time"],
        "death_datetime": deaths["time"],
        "death_type_concept_id": np.full(len(deaths), EHR),
        "cause_concept_id": np.zeros(len(deaths), np.int64),
        "cause_source_value": deaths["text_value"],
    }
    files.write("death", {name: _fitting(value, LAYOUTS["death"], name) for name, value in dead.items()}, len(deaths))


def _about(
    kind: str, chunk: OmopChunk, events: np.ndarray, rows: np.ndarray, concepts: Concepts, count: int
) -> dict[str, Any]:
    """What `rows` of PERSON say in three columns."""
    standard, source = np.zeros(count, np.int64), np.zeros(count, np.int64)
    words: np.ndarray = np.full(count, None, object)
    for code in np.unique(chunk.code[events]).tolist():
        here = rows[chunk.code[events] == code]
        number = concepts.number(chunk.codes[code])
        word = chunk.codes[code].rpartition("//")[2]
        standard[here] = number if number < FIRST_LOCAL else PERSONS.get((kind, word.lower()), 0)
        source[here] = number if number >= FIRST_LOCAL else 0
        words[here] = word if number >= FIRST_LOCAL else None
    return {
        f"{kind}_concept_id": standard,
        f"{kind}_source_value": words,
        f"{kind}_source_concept_id": source,
    }


def _write_visits(chunk: OmopChunk, placed: Placed, files: _Files) -> None:
    """A visit for every encounter that has none, from its first event to its last."""
    rows = np.flatnonzero(chunk.visit & chunk.timed)
    keys = ["person_id", "visit_occurrence_id"]
    frame = pd.DataFrame({keys[0]: chunk.subject[rows], keys[1]: chunk.encounter[rows], "time": chunk.time[rows]})
    spans = frame.groupby(keys, sort=False)["time"].agg(["min", "max"]).reset_index()
    there = placed.event[placed.table == VISIT]
    told = pd.MultiIndex.from_arrays([chunk.subject[there], chunk.encounter[there]])
    spans = spans[~pd.MultiIndex.from_frame(spans[keys]).isin(told)]
    columns = {key: spans[key].to_numpy() for key in keys} | _from_to(spans, "visit")
    zeros = np.zeros(len(spans), np.int64)
    columns |= {"visit_type_concept_id": zeros + TOLD, "visit_concept_id": zeros}
    files.write("visit_occurrence", columns, len(spans))


def _write_periods(chunk: OmopChunk, placed: Placed, files: _Files) -> None:
    """An observation period for everybody who has none, from the first event after birth to the last."""
    counted = chunk.timed.copy()
    counted[placed.personal["birth"]] = False
    rows = np.flatnonzero(counted)
    frame = pd.DataFrame({"person_id": chunk.subject[rows], "time": chunk.time[rows]})
    spans = frame.groupby("person_id", sort=False)["time"].agg(["min", "max"]).reset_index()
    there = chunk.subject[placed.event[placed.table == PERIOD]]
    spans = spans[~spans["person_id"].isin(there)]
    columns = {"person_id": spans["person_id"].to_numpy()} | _from_to(spans, "observation_period")
    columns |= {"observation_period_id": files.ids("observation_period", len(spans))}
    columns |= {"period_type_concept_id": np.full(len(spans), TOLD)}
    files.write("observation_period", columns, len(spans))


def _from_to(spans: pd.DataFrame, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for which, column in (("start", "min"), ("end", "max")):
        time = pa.array(spans[column].to_numpy(np.int64)).cast(US)
        found |= {f"{name}_{which}_datetime": time, f"{name}_{which}_date": time.cast(DAY, safe=False)}
    return found
