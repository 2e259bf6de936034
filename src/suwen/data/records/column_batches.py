"""A Parquet file of MEDS as batches of numbers: its codes are read as a dictionary, and no string is seen twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.events import microseconds
from suwen.data.records.units.units import Units, UnitTable

EVENTS = 1 << 20
"""In a batch, at most."""

NEEDED = ("subject_id", "time", "code")
WANTED = (*NEEDED, "numeric_value", "available_time", "unit")
MEDS_NEEDED = "MEDS 0.4 asks for subject_id, time and code, and only the time may be null"

Batch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]
"""Subjects, times, codes, values, and times of availability where they are given."""


def events_in(shards: Sequence[Path]) -> int:
    """How many there are.

    Raises:
        FileUnreadable: a file is damaged.
    """
    return sum(_file(shard).metadata.num_rows for shard in shards)


def _file(shard: Path) -> pq.ParquetFile:
    try:
        names = pq.read_schema(shard).names
        return pq.ParquetFile(shard, read_dictionary=[name for name in ("code", "unit") if name in names])
    except (OSError, pa.ArrowInvalid) as error:
        raise FileUnreadable(f"{shard}: {error}", why="the file is damaged", fix="import its source again") from error


def batches_of(shard: Path, names: dict[str, int], units: Units, conversions: UnitTable) -> Iterator[Batch]:
    """The events of one file.

    Args:
        shard: the file.
        names: code → number; codes that are new get the next ones.
        units: counted there.
        conversions: what is converted.

    Raises:
        DataError: a column that MEDS asks for is missing, or has nulls.
        FileUnreadable: the file is damaged.
    """
    file = _file(shard)
    lacking = [name for name in NEEDED if name not in file.schema_arrow.names]
    if lacking:
        raise DataError(f"{shard} has no column {', '.join(lacking)}", why=MEDS_NEEDED, fix="suwen records import")
    columns = [name for name in WANTED if name in file.schema_arrow.names]
    try:
        for batch in file.iter_batches(EVENTS, columns=columns):
            if len(batch):
                yield _numbers(batch, shard, names, units, conversions)
    except (OSError, pa.ArrowInvalid) as error:
        raise FileUnreadable(f"{shard}: {error}", why="the file is damaged", fix="import its source again") from error


def _numbers(batch: pa.RecordBatch, shard: Path, names: dict[str, int], units: Units, conversions: UnitTable) -> Batch:
    there = batch.schema.names
    for name in ("subject_id", "code"):
        if batch[name].null_count:
            raise DataError(f"{shard} has events without a {name}", why=MEDS_NEEDED, fix="suwen records import")
    codes = _coded(batch["code"], names)
    values = np.full(len(batch), np.nan, np.float32)
    if "numeric_value" in there and batch["numeric_value"].null_count < len(batch):
        values = batch["numeric_value"].cast(pa.float32()).to_numpy(zero_copy_only=False)
    if "unit" in there and batch["unit"].null_count < len(batch):
        values = units.see(codes, list(names), _dictionary(batch["unit"]), values, conversions)
    times, available = _times(batch["time"]), None
    if "available_time" in there and batch["available_time"].null_count < len(batch):
        known = _times(batch["available_time"])
        available = np.where(np.asarray(batch["available_time"].is_null()), times, known)
    return np.asarray(batch["subject_id"].cast(pa.int64())), times, codes, values, available


def _dictionary(column: pa.Array) -> pa.DictionaryArray:
    return column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()


def _coded(column: pa.Array, names: dict[str, int]) -> np.ndarray:
    """int32 numbers of the codes."""
    coded = _dictionary(column)
    table = [names.setdefault(name, len(names)) for name in coded.dictionary.to_pylist()]
    return np.asarray(np.array(table, np.int32)[np.asarray(coded.indices)])


def _times(column: pa.Array) -> np.ndarray:
    return microseconds(column.cast(pa.timestamp("us")))
