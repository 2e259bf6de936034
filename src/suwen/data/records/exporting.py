"""What every export of events shares: whole subjects at a time, their events as columns, starts and their ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from suwen.core.errors import DataError
from suwen.data.records.events import BATCH, SCHEMA, conform, microseconds

OUTSIDE = (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999))


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        events, subjects: how many.
        rows: table, or type of resource → how many of it.
    """

    events: int
    subjects: int
    rows: dict[str, int]


def refuse_full(out: Path) -> None:
    """Nothing is written among other files.

    Raises:
        DataError: the folder holds some.
    """
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out} holds other files", why="they might be mixed up", fix="name a new folder")


def whole_subjects(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Events of whole subjects, at least `BATCH` of them where there are so many; NaN becomes null.

    Raises:
        DataError: a time is outside of the years 1 to 9999.
    """
    held: list[pa.Table] = []
    for table in tables:
        held.append(_checked(conform(table)))
        if sum(map(len, held)) < BATCH:
            continue
        whole = pa.concat_tables(held)
        subject = whole["subject_id"].to_numpy()
        last = int(np.flatnonzero(subject != subject[-1])[-1]) + 1 if subject[0] != subject[-1] else 0
        if last:
            yield whole.slice(0, last)
        held = [whole.slice(last)]
    if sum(map(len, held)):
        yield pa.concat_tables(held)


def _checked(table: pa.Table) -> pa.Table:
    for name in ("time", "available_time"):
        span = pc.min_max(table[name].cast(pa.int64()))
        low, high = (int(np.datetime64(limit, "us").astype(np.int64)) for limit in OUTSIDE)
        if span["min"].is_valid and (span["min"].as_py() < low or span["max"].as_py() > high):
            raise DataError(
                f"{name} {np.datetime64(span['min'].as_py(), 'us')} to {np.datetime64(span['max'].as_py(), 'us')}",
                why="dates of OMOP and of FHIR have a year of four digits",
                fix="suwen records describe   shows which events these are",
            )
    values = table["numeric_value"]
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float32()), values)
    return table.set_column(SCHEMA.get_field_index("numeric_value"), SCHEMA.field("numeric_value"), values)


class Chunk:
    """All events of some subjects, as columns.

    Args:
        events: of `SCHEMA`, without NaN.
    """

    def __init__(self, events: pa.Table) -> None:
        self.events = events
        coded = pc.dictionary_encode(events["code"]).combine_chunks()
        coded = coded if isinstance(coded, pa.DictionaryArray) else coded.chunk(0)
        self.codes: list[str] = coded.dictionary.to_pylist()
        self.code = np.asarray(coded.indices)
        self.subject = events["subject_id"].to_numpy()
        self.time = microseconds(events["time"])
        self.timed = there(events["time"])
        self.number, self.unit = there(events["numeric_value"]), there(events["unit"])
        self.text, self.visit = there(events["text_value"]), there(events["encounter_id"])
        self.encounter = np.asarray(events["encounter_id"].combine_chunks().fill_null(0))
        self.late = there(events["available_time"])
        self.blank = empty(events["text_value"]) | empty(events["unit"]) | empty(events["code"])

    @cached_property
    def bare(self) -> np.ndarray:
        """bool: nothing but subject, time and code."""
        return np.asarray(~(self.number | self.text | self.unit | self.visit | self.late | self.blank))

    @property
    def subjects(self) -> np.ndarray:
        """Each subject once, in their order.

        Raises:
            DataError: the events of one lie apart.
        """
        starts = np.flatnonzero(np.diff(self.subject, prepend=~self.subject[0]) != 0)
        found = pd.Series(self.subject[starts])
        if found.duplicated().any():
            raise DataError(
                f"events of subject {found[found.duplicated()].iloc[0]} lie apart",
                why="a person is told of once",
                fix="export a record store, whose events are in order",
            )
        return np.asarray(found)

    def per_code(self, values: Iterable[object]) -> np.ndarray:
        """Of what is known of each of `codes`, that of each event."""
        return np.asarray(np.array(list(values))[self.code])

    def first(self, where: np.ndarray, *by: np.ndarray) -> np.ndarray:
        """bool: of the events `where`, the first of each group."""
        rows = np.flatnonzero(where)
        again = pd.DataFrame({place: key[rows] for place, key in enumerate(by)}).duplicated().to_numpy()
        return marked(len(where), rows[~again])

    def pairs(self, bases: list[str], starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """(n,) the event that ends each one, or -1: of a subject, code and encounter the first start has the first end,
        and so on, unless that came before.

        Args:
            bases: of each of `codes`, what a start and its end have in common.
            starts, ends: bool, which events these are.
        """
        numbers = {base: number for number, base in enumerate(dict.fromkeys(bases))}
        base = self.per_code(numbers[each] for each in bases)
        first, last = (self._turns(np.flatnonzero(where), base) for where in (starts, ends))
        found = np.full(len(self.code), -1)
        if len(first) and len(last):
            pairs = first.merge(last, on=[name for name in first.columns if name != "row"])
            start, end = pairs["row_x"].to_numpy(np.int64), pairs["row_y"].to_numpy(np.int64)
            after = self.time[end] >= self.time[start]
            found[start[after]] = end[after]
        return found

    def _turns(self, rows: np.ndarray, base: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(
            {
                "subject": self.subject[rows],
                "base": base[rows],
                "visit": self.visit[rows],
                "encounter": self.encounter[rows],
            }
        )
        frame["turn"] = frame.groupby(list(frame.columns)).cumcount()
        return frame.assign(row=rows)


def marked(size: int, rows: np.ndarray) -> np.ndarray:
    """bool: where `rows` are."""
    found = np.zeros(size, bool)
    found[rows] = True
    return found


def there(column: pa.ChunkedArray) -> np.ndarray:
    """bool: where it is not null."""
    return np.asarray(column.is_valid().combine_chunks())


def empty(column: pa.ChunkedArray) -> np.ndarray:
    """bool: where there is a text without a character."""
    return np.asarray(pc.equal(column, "").combine_chunks().fill_null(False))
