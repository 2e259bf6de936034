"""The ward of records: the same people as everywhere in the hospital, as MEDS, OMOP, HL7 v2 and FHIR, and their truth.

The MEDS store is written subject by subject; the other formats are made from it by the exporters, so that they cannot
say anything else.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.files import write_json
from suwen.data.records.events import NOWHEN, SCHEMA
from suwen.data.records.omop.export import export_omop
from suwen.data.records.store import CODES, CODES_SCHEMA, DATA, DATASET, MADE, RecordStore, shard_name, shard_of
from suwen.simulation.records.book import BOOK, UNITS
from suwen.simulation.records.chart import Columns, write_chart
from suwen.simulation.records.hl7_writer import export_hl7
from suwen.simulation.records.life import Life, live
from suwen.simulation.records.person import closing
from suwen.simulation.records.truth import OUTCOMES, RECORD_ONSETS, RISKS, TREATMENTS, onsets, risks, treatments
from suwen.simulation.world import World

FOLDER, STORE, LABELS = "records", "meds", "labels"

PER_SHARD = 2000
"""Subjects of the store, more or less."""

HELD = 256
"""Subjects whose events are in memory before they are written."""

TRUTH: Mapping[str, tuple[str, ...]] = {
    RISKS: ("subject", "subject_id", "outcome", "prediction_time", "risk", "happened"),
    TREATMENTS: (
        *("subject", "subject_id", "treatment", "time", "propensity", "treated"),
        *("p0", "p1", "y0", "y1", "effect"),
    ),
    RECORD_ONSETS: ("subject", "subject_id", "disease", "onset"),
}
"""Files below ``truth/`` and their columns."""

ROWS: Mapping[str, Callable[[Life], Iterator[dict[str, Any]]]] = {
    RISKS: risks,
    TREATMENTS: treatments,
    RECORD_ONSETS: onsets,
}

LABEL_SCHEMA = pa.schema(
    [
        pa.field("subject_id", pa.int64(), nullable=False),
        pa.field("prediction_time", pa.timestamp("us"), nullable=False),
        pa.field("boolean_value", pa.bool_()),
    ]
)
"""The columns of ``meds.LabelSchema`` that a question with two answers needs."""


def records_ward(world: World, hospital: Path) -> Iterator[None]:
    """Write `records/` and its truth into `hospital`; yields after each patient."""
    folder = hospital / FOLDER
    labels: dict[str, list[tuple[int, datetime, bool]]] = {name: [] for name in OUTCOMES}
    with ExitStack() as stack:
        tables = {name: _csv(stack, hospital / "truth" / name, columns) for name, columns in TRUTH.items()}
        store = stack.enter_context(_Store(folder / STORE, len(world.patients)))
        for patient in world.patients:
            life = live(patient, world)
            who = {"subject": patient.subject_id, "subject_id": patient.number}
            for name, rows in ROWS.items():
                for row in rows(life):
                    tables[name].writerow({**who, **{key: _cell(key, value) for key, value in row.items()}})
                    if name == RISKS:
                        label = patient.number, _time(row["prediction_time"]), row["happened"]
                        labels[row["outcome"]].append(label)
            store.add(patient.number, write_chart(life, world.seed))
            yield
    _write_labels(labels, folder / LABELS)
    sites = {patient.number: patient.site.upper() for patient in world.patients}
    for name in world.record_formats:
        found = RecordStore(folder / STORE)
        FORMATS[name](found, folder / name, sites, world)


def _omop(store: RecordStore, out: Path, sites: Mapping[int, str], world: World) -> None:
    export_omop(store.tables(), out, store.codes)
    # the day of the export is no fact of this hospital, and the same seed gives the same bytes on every day
    source = out / "CDM_SOURCE.csv"
    today = re.sub(r"\d{4}-\d\d-\d\d", _time(closing(world)).date().isoformat(), source.read_text(encoding="utf-8"))
    source.write_text(today, encoding="utf-8", newline="")


def _hl7(store: RecordStore, out: Path, sites: Mapping[int, str], world: World) -> None:
    export_hl7(store.tables(), out, store.codes, facilities=sites)


def _fhir(store: RecordStore, out: Path, sites: Mapping[int, str], world: World) -> None:
    from suwen.data.records.fhir.export import export_fhir

    export_fhir(store.tables(), out, store.codes)


FORMATS: Mapping[str, Callable[[RecordStore, Path, Mapping[int, str], World], None]] = {
    "omop": _omop,
    "hl7v2": _hl7,
    "fhir": _fhir,
}
"""Format beside MEDS → what writes it, into a folder of that name."""


class _Store:
    """A `RecordStore` as it is written: subjects come in the order of their numbers, each into its shard."""

    def __init__(self, path: Path, subjects: int) -> None:
        self.path, self.shards = path, max(1, math.ceil(subjects / PER_SHARD))
        self._held: list[tuple[int, Columns]] = []
        self._writers: dict[int, pq.ParquetWriter] = {}
        self._used: set[int] = set()
        self._codes = pa.array(list(BOOK), pa.string())
        self._units = pa.array([unit or None for unit in UNITS], pa.string())

    def __enter__(self) -> _Store:
        (self.path / DATA).mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        for writer in self._writers.values():
            writer.close()
        self._write_metadata()

    def add(self, subject: int, events: Columns) -> None:
        """All events of one subject."""
        self._held.append((subject, events))
        if len(self._held) >= HELD:
            self._flush()

    def _flush(self) -> None:
        numbers = np.array([subject for subject, _ in self._held], np.int64)
        shards = shard_of(numbers, self.shards)
        for shard in np.unique(shards).tolist():
            table = self._table([self._held[place] for place in np.flatnonzero(shards == shard)])
            if shard not in self._writers:
                self._writers[shard] = pq.ParquetWriter(
                    self.path / DATA / shard_name(shard), SCHEMA, compression="zstd"
                )
            self._writers[shard].write_table(table)
        self._held = []

    def _table(self, held: list[tuple[int, Columns]]) -> pa.Table:
        counts = [len(events.time) for _, events in held]
        time, code, value, unit, known, encounter = (
            np.concatenate(column) for column in zip(*(events for _, events in held), strict=True)
        )
        self._used.update(np.unique(code).tolist())
        columns = {
            "subject_id": pa.array(np.repeat([subject for subject, _ in held], counts)),
            "time": pa.array(time, pa.int64(), mask=time == NOWHEN).cast(pa.timestamp("us")),
            "code": self._codes.take(pa.array(code)),
            "numeric_value": pa.array(value.astype(np.float32), mask=np.isnan(value)),
            "text_value": pa.nulls(len(time), pa.large_string()),
            "available_time": pa.array(known, pa.int64(), mask=known == NOWHEN).cast(pa.timestamp("us")),
            "unit": self._units.take(pa.array(unit)),
            "encounter_id": pa.array(encounter, mask=encounter < 0),
        }
        return pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    def _write_metadata(self) -> None:
        used = [entry.coded for entry in BOOK.values() if entry.number in self._used]
        above = {parent for each in used for parent in each.parents if parent in BOOK}
        used = sorted({*used, *(BOOK[code].coded for code in above)}, key=attrgetter("code"))
        rows = [{"code": each.code, "description": each.text, "parent_codes": list(each.parents)} for each in used]
        (self.path / CODES).parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=CODES_SCHEMA), self.path / CODES)
        write_json(
            self.path / DATASET,
            {
                "dataset_name": "suwen virtual hospital (simulated)",
                "etl_name": "suwen",
                "etl_version": version("suwen"),
                "meds_version": version("meds"),
                "code_modifier_columns": ["unit"],
                "raw_source_id_columns": ["encounter_id"],
                "other_extension_columns": ["available_time"],
            },
        )
        write_json(self.path / MADE, {"shards": self.shards, "imports": {}})


def _write_labels(labels: Mapping[str, list[tuple[int, datetime, bool]]], folder: Path) -> None:
    """A file of ``meds.LabelSchema`` for each outcome."""
    folder.mkdir()
    for name, rows in labels.items():
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        arrays = [pa.array(column, kind.type) for column, kind in zip(columns, LABEL_SCHEMA, strict=True)]
        pq.write_table(pa.Table.from_arrays(arrays, schema=LABEL_SCHEMA), folder / f"{name}.parquet")


def _csv(stack: ExitStack, path: Path, columns: Iterable[str]) -> csv.DictWriter[str]:
    file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    rows = csv.DictWriter(file, list(columns), lineterminator="\n")
    rows.writeheader()
    return rows


def _cell(name: str, value: Any) -> Any:
    """Times to the minute, as in the records; truth values as 0 and 1; numbers to nine digits."""
    if name in ("prediction_time", "time", "onset"):
        return _time(value).isoformat(sep=" ", timespec="minutes")
    if isinstance(value, bool):
        return int(value)
    return f"{value:.9g}" if isinstance(value, float) else value


def _time(when: float) -> datetime:
    """Of days since 1970, to the minute."""
    return datetime(1970, 1, 1) + timedelta(minutes=round(when * 1440))
