"""Events of health records as MEDS has them, a batch of columns at a time.

The schema is that of MEDS 0.4 (https://github.com/Medical-Event-Data-Standard/meds, ``meds.DataSchema``), with three
further columns, which it allows. Intervals are two events, as its maintainers recommend (meds_etl issue 28): of visits,
and in tables (OMOP, mappings), ``CODE//START`` and ``CODE//END``. In FHIR and HL7 v2, where a disease or a drug mostly
has no end, it begins with ``CODE`` alone, lest the same disease have another code once it is over; where it ends, it
ends with ``CODE//END``.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NOWHEN = int(np.iinfo(np.int64).min)
"""The time, in microseconds, of an event without one (static: sex, ancestry)."""

BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"
START, END = "//START", "//END"

SCHEMA = pa.schema(
    [
        pa.field("subject_id", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("us")),
        pa.field("code", pa.string(), nullable=False),
        pa.field("numeric_value", pa.float32()),
        pa.field("text_value", pa.large_string()),
        pa.field("available_time", pa.timestamp("us")),
        pa.field("unit", pa.string()),
        pa.field("encounter_id", pa.int64()),
    ]
)
"""``available_time``: when somebody could know of it (null: at its own time); ``unit``: of the number, as the source
writes it; ``encounter_id``: the visit it belongs to."""

BATCH = 65_536
"""Events in a batch, more or less: what importers hand over at a time."""


def number_of(source_id: str) -> int:
    """The int64 that a subject, or an encounter, of this name gets: the same in every import, on every machine.

    A whole number below 2^63, without leading zeros, is itself; anything else a 62-bit hash (BLAKE2b) with the next bit
    set. Of ten million names two meet with a probability of 1e-5 (10^14 / 2^63).
    """
    text = source_id.strip()
    if text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0") and len(text) <= 19:
        number = int(text)
        if number < 1 << 63:
            return number
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 2) | (1 << 62)


class Events:
    """Events as they are read, one after another: columns of Python values, for formats that come that way.

    Formats that come as columns (CSV, Parquet) make tables of `SCHEMA` directly, with `conform`.
    """

    def __init__(self) -> None:
        self._columns: tuple[list[Any], ...] = tuple([] for _ in SCHEMA)

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(
        self,
        subject_id: int,
        time: datetime | int | None,
        code: str,
        numeric_value: float | None = None,
        text_value: str | None = None,
        available_time: datetime | int | None = None,
        unit: str | None = None,
        encounter_id: int | None = None,
    ) -> None:
        """One event. Times are naive (UTC, or local throughout: never a mixture), or microseconds since 1970."""
        values = (subject_id, time, code, numeric_value, text_value, available_time, unit, encounter_id)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)

    def taken(self) -> pa.Table:
        """All events so far as a table of `SCHEMA`; none are left."""
        arrays = [pa.array(column, field.type) for column, field in zip(self._columns, SCHEMA, strict=True)]
        for column in self._columns:
            column.clear()
        return pa.Table.from_arrays(arrays, schema=SCHEMA)


def conform(table: pa.Table) -> pa.Table:
    """The table with the columns of `SCHEMA`, in its order: cast where types differ, null where a column is lacking.

    Raises:
        pa.ArrowInvalid: values that do not fit, as a fraction as subject_id.
    """
    columns = []
    for field in SCHEMA:
        if field.name in table.column_names:
            columns.append(table[field.name].cast(field.type))
        else:
            columns.append(pa.nulls(len(table), field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def microseconds(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """int64 microseconds since 1970 of a column of times; `NOWHEN` where null."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(values.cast(pa.int64()).fill_null(NOWHEN))


def later(available: pa.Array, time: pa.Array) -> pa.Array:
    """Null where it is not after the event itself: nothing is known before it happens."""
    return pc.if_else(pc.less_equal(available, time).fill_null(False), pa.scalar(None, pa.timestamp("us")), available)
