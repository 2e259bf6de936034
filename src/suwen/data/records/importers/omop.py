"""OMOP CDM 5.3 and 5.4, a folder of CSV, CSV.GZ or Parquet files → events, a column at a time.

`suwen.data.records.omop.tables` says which columns become what. In short: eras, exposures, conditions and visits are
``CODE//START`` and, where their end is known, ``CODE//END``; measurements, observations, procedures, notes and
specimens are one event; gender, race and ethnicity have no time. The code is that of the standard concept, else that of
the source concept, else the text of the source (``OMOP_SOURCE//TABLE//text``). An operator other than ``=``, or a value
that is a concept, is in ``text_value``. What is dated without a time of day is available from the last instant of its
day; a death lies there. Not read: costs, payers, providers, titles of notes, ends of procedures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from suwen.core.errors import DataError
from suwen.data.records.events import SCHEMA
from suwen.data.records.omop.rows import Mapping, People, Rows, extra_events
from suwen.data.records.omop.tables import EXTRA, TABLES, TOLD, VOCABULARY, table_of
from suwen.data.records.omop.vocabulary import vocabulary
from suwen.data.records.rejects import KEPT, Rejects
from suwen.data.records.source import Described, Part
from suwen.data.records.tables import casts
from suwen.data.records.tables.sheets import BROKEN_ROW, batches, pieces, require
from suwen.data.records.tables.zones import Zones

DERIVED = "derived from a table that is imported"


class OmopImporter:
    """OMOP CDM."""

    summary = "OMOP CDM 5.3 and 5.4: a folder with PERSON.csv, .csv.gz or .parquet, and the other tables"

    def parts(self, source: Path) -> Sequence[Part]:
        """A file each, or a piece of a large one.

        Raises:
            DataError: there is no table, or one is there twice.
        """
        tables = _tables_in(source)
        mapped = [name for name in (*TABLES, EXTRA) if name in tables]
        if not mapped:
            raise DataError(
                f"{source} has no table of OMOP",
                why=f"looked for {', '.join(name.upper() for name in list(TABLES)[:5])} … as .csv, .csv.gz or .parquet",
                fix="name the folder in which these files lie",
            )
        beside = source if source.is_dir() else source.parent
        others = _tables_in(beside)
        shared = [file for name in ("person", *VOCABULARY) for file in others.get(name, [])]
        root = source if source.is_dir() else beside
        return [
            Part(
                _name(file.relative_to(root).as_posix(), piece, file),
                (file, *(each for each in shared if each != file)),
                piece[1] - piece[0],
                {"told": EXTRA in others, "derived": _has_rows(others.get(_origin(name), [])), "piece": piece},
                span=piece,
                beside=sum(each != file for each in shared),
            )
            for name in mapped
            for file in tables[name]
            for piece in pieces(file)
        ]

    def read(self, part: Part, rejects: Rejects, described: Described) -> Iterator[pa.Table]:
        """Batches of events, those of a line of the table after those of another.

        Raises:
            FileUnreadable: a file is damaged, is a gzip bomb, or lacks a column.
        """
        file, name = part.files[0], table_of(part.files[0])
        tally = _Tally(part.name, rejects)
        if name == EXTRA:
            yield from self._read_extra(part, tally)
            return
        table = TABLES[name]
        require(file, table.required())
        mapping = Mapping(name, table, vocabulary(_stamps(part, VOCABULARY)), own=part.options["told"])
        people = None if name == "person" else _known(part)
        zones = Zones(
            lambda column: (each.column(0) for each in batches(file, [column], lambda _: None)),
            lambda reason, column: rejects.add(reason, part.name, column),
        )
        for batch in batches(file, table.columns(), tally.broken, piece=part.options["piece"]):
            if part.options["derived"]:
                tally.all(batch, DERIVED)
                continue
            numbers = np.arange(len(batch))
            if part.options["told"] and table.type:
                types = casts.whole(batch.column(table.type)).values.fill_null(0)
                numbers = np.flatnonzero(np.asarray(types) != TOLD)
            rows = Rows(
                batch if len(numbers) == len(batch) else batch.take(pa.array(numbers)), "person_id", people, zones
            )
            yield from mapping.events(rows)
            tally.count(rows, numbers, len(batch))
        mapping.vocabulary.describe(mapping.used, mapping.spanned, described)

    def _read_extra(self, part: Part, tally: _Tally) -> Iterator[pa.Table]:
        require(part.files[0], [(each,) for each in SCHEMA.names])
        for batch in batches(part.files[0], SCHEMA.names, tally.broken, piece=part.options["piece"]):
            rows = Rows(batch, "subject_id", _known(part))
            yield from extra_events(rows)
            tally.count(rows, np.arange(len(batch)), len(batch))


OMOP = OmopImporter()


class _Tally:
    """Counts what a file's rows were refused for.

    Rows are numbered without those that have too few or too many fields.
    """

    def __init__(self, name: str, rejects: Rejects) -> None:
        self._name, self._rejects, self._before = name, rejects, 0

    def broken(self, text: str) -> None:
        """A row that does not fit the header."""
        self._rejects.add(BROKEN_ROW, self._name, text)

    def all(self, batch: pa.RecordBatch, reason: str) -> None:
        """Every row of a batch."""
        self._rejects.add(reason, self._name, f"{self._name}, from row {self._before + 1}", len(batch))
        self._before += len(batch)

    def count(self, rows: Rows, numbers: np.ndarray, read: int) -> None:
        """The refused rows of a batch; `numbers` are theirs in it."""
        for reason, refused in rows.refusals():
            shown = refused[: max(0, KEPT - self._rejects.counts[reason])]
            for row, record in zip(shown.tolist(), rows.batch.take(pa.array(shown)).to_pylist(), strict=True):
                there = {key: _legible(value) for key, value in record.items() if value is not None}
                self._rejects.add(reason, f"{self._name}, row {self._before + int(numbers[row]) + 1}", there)
            self._rejects.add(reason, self._name, count=len(refused) - len(shown))
        self._before += read


def _name(name: str, piece: tuple[int, int], file: Path) -> str:
    """Rows of a piece are numbered from where it begins."""
    return name if piece == (0, file.stat().st_size) else f"{name} from byte {piece[0]}"


def _legible(value: object) -> object:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _tables_in(source: Path) -> dict[str, list[Path]]:
    """Table → its files: one, or those of the folder that bears its name."""
    if not source.exists():
        raise DataError(f"{source} is not there", why="no such file or folder", fix="check the path")
    listed = sorted(source.iterdir()) if source.is_dir() else [source]
    found: dict[str, list[Path]] = {}
    for entry in listed:
        files = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        tables = {table_of(file): [each for each in files if table_of(each) == table_of(file)] for file in files}
        for name in tables:
            if name and name in found:
                raise DataError(
                    f"{entry} and {found[name][0]} are both {name.upper()}",
                    why="everything in it would be imported twice",
                    fix="move one out of the folder",
                )
        found.update({name: files for name, files in tables.items() if name})
    return found


def _origin(name: str) -> str:
    return TABLES[name].derived_from if name in TABLES else ""


def _has_rows(files: Sequence[Path]) -> bool:
    return any(len(batch) for file in files for batch in batches(file, ["person_id"], lambda _: None))


def _stamps(part: Part, tables: Sequence[str]) -> tuple[tuple[Path, int, int], ...]:
    files = [file for file in part.files if table_of(file) in tables]
    return tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _known(part: Part) -> People | None:
    return _people(_stamps(part, ("person",)))


@lru_cache(maxsize=1)
def _people(stamps: tuple[tuple[Path, int, int], ...]) -> People | None:
    """Everybody in PERSON; None where there is no such table."""
    found = [np.zeros(0, np.int64)]
    for file, _, _ in stamps:
        require(file, [("person_id",)])
        for batch in batches(file, ["person_id"], lambda _: None):
            found.append(np.asarray(casts.whole(batch.column(0)).values.drop_null()))
    return People(np.concatenate(found)) if stamps else None
