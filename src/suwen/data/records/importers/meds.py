"""MEDS 0.4 datasets (https://github.com/Medical-Event-Data-Standard/meds) → events: ``data/**/*.parquet``, with what
``metadata/codes.parquet`` says of the codes. Subject splits are not events, and are not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.events import BATCH, SCHEMA, conform
from suwen.data.records.rejects import KEPT, Rejects
from suwen.data.records.source import Described, Part

DATA, CODES = "data", Path("metadata") / "codes.parquet"
NULL = {"subject_id": "no subject_id", "code": "no code"}
"""What no event is without."""


class MedsImporter:
    """MEDS 0.4."""

    summary = "MEDS 0.4: a folder with data/**/*.parquet and metadata/codes.parquet"

    def parts(self, source: Path) -> Sequence[Part]:
        """A shard each.

        Raises:
            DataError: there is none.
        """
        folder = source / DATA
        found = folder.glob("**/*.parquet") if folder.is_dir() else []
        files = sorted(file for file in found if file.is_file() and not file.name.startswith("."))
        if not files:
            raise DataError(
                f"{source} is no MEDS dataset",
                why=f"looked for {folder}/**/*.parquet and found nothing",
                fix="name the folder that holds data/ and metadata/",
            )
        codes = (source / CODES,) if (source / CODES).is_file() else ()
        return [
            Part(file.relative_to(source).as_posix(), (file, *codes), file.stat().st_size, beside=len(codes))
            for file in files
        ]

    def read(self, part: Part, rejects: Rejects, described: Described) -> Iterator[pa.Table]:
        """Batches of events.

        Raises:
            FileUnreadable: a file is damaged, or is not MEDS.
        """
        file, *codes = part.files
        used: set[str] = set()
        first = 0
        try:
            with pq.ParquetFile(file) as opened:
                names = opened.schema_arrow.names
                for name in [name for name in names if name not in SCHEMA.names]:
                    rejects.add(f"column not kept: {name}", part.name)
                wanted = [name for name in names if name in SCHEMA.names]
                for batch in opened.iter_batches(BATCH, columns=wanted, use_threads=False):
                    table = _whole(pa.Table.from_batches([batch]), part.name, first, rejects)
                    first += len(batch)
                    found = _valid(table, file)
                    used.update(found["code"].unique().to_pylist())
                    if len(found):
                        yield found
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from error
        for metadata in codes:
            _describe(metadata, used, described)


MEDS = MedsImporter()


def _whole(table: pa.Table, name: str, first: int, rejects: Rejects) -> pa.Table:
    """The rows that have a subject and a code."""
    refused = np.zeros(len(table), bool)
    for column, reason in NULL.items():
        if column not in table.column_names or not table[column].null_count:
            continue
        null = np.asarray(pc.is_null(table[column]).combine_chunks()) & ~refused
        rows = np.flatnonzero(null)
        shown = rows[: max(0, KEPT - rejects.counts[reason])]
        for row, record in zip(shown.tolist(), table.take(pa.array(shown)).to_pylist(), strict=True):
            rejects.add(reason, f"{name}, row {first + row + 1}", record)
        rejects.add(reason, name, count=len(rows) - len(shown))
        refused |= null
    return table.filter(pa.array(~refused)) if refused.any() else table


def _valid(table: pa.Table, file: Path) -> pa.Table:
    """The table as `SCHEMA`, after the standard's own package has found nothing wrong with it.

    Raises:
        FileUnreadable: it is not MEDS: a column is missing, or is of another type.
    """
    from flexible_schema import SchemaValidationError, TableValidationError
    from meds.schema import DataSchema

    plain = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    try:
        return conform(DataSchema.align(pa.Table.from_arrays(plain, names=table.column_names)))
    except (SchemaValidationError, TableValidationError, pa.ArrowException) as error:
        raise FileUnreadable(
            f"{file} is not MEDS: {' '.join(str(error).split())}",
            why="MEDS 0.4 has subject_id (int64), time (timestamp[us]), code (string), numeric_value (float32), "
            "text_value (large_string)",
            fix="rename or cast the column; datasets of MEDS 0.3 are first converted",
        ) from error


def _describe(file: Path, used: set[str], described: Described) -> None:
    """What is known of the codes that occur."""
    from flexible_schema import SchemaValidationError, TableValidationError
    from meds.schema import CodeMetadataSchema

    try:
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(BATCH, use_threads=False):
                table = CodeMetadataSchema.align(pa.Table.from_batches([batch]))
                occurs = pc.is_in(table["code"], value_set=pa.array(sorted(used), pa.string()))
                for row in table.filter(occurs).to_pylist():
                    _note(row, described)
    except (SchemaValidationError, TableValidationError, pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from error


def _note(row: dict[str, Any], described: Described) -> None:
    if row.get("description"):
        described.descriptions[row["code"]] = row["description"]
    if row.get("parent_codes"):
        described.parents[row["code"]] = [parent for parent in row["parent_codes"] if parent is not None]


def _unreadable(file: Path, error: Exception) -> FileUnreadable:
    return FileUnreadable(
        f"{file}: {' '.join(str(error).split())}",
        why="the file is cut short, damaged or of another format",
        fix="export it again",
    )
