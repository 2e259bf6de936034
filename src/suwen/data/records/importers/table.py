"""Tables of any source → events, as a mapping in YAML says (`suwen.data.records.tables.mapping`).

Mappings that come with suwen are formats of their own (``mimic3``, ``physionet2012`` …); ``table`` takes a mapping of
the user's: the source is then the YAML file, or a folder with ``mapping.yaml`` in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.core.errors import DataError
from suwen.data.records.events import BATCH
from suwen.data.records.pieces import groups_of, name_of_group
from suwen.data.records.rejects import KEPT, Rejects
from suwen.data.records.source import Described, Part
from suwen.data.records.tables import casts
from suwen.data.records.tables.files import (
    Entry,
    Shelf,
    batches,
    entries_in,
    from_path,
    header_of,
    matches,
    placed,
    rows_in,
)
from suwen.data.records.tables.mapping import ROW, SHIPPED, Lookup, Mapping, Table, read_mapping, shipped
from suwen.data.records.tables.rows import JOIN, Joined, Rows, nothing
from suwen.data.records.tables.sheets import BROKEN_ROW
from suwen.data.records.tables.zones import Zones

OWN = "mapping.yaml"
NOT_MAPPED = "table not mapped: "

PACKED = 4 * 2**20
"""Bytes of members of a zip that are a part: what one process does at a time."""


class TableImporter:
    """Files by a mapping.

    Args:
        name: of one that comes with suwen; empty where the source brings its own.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name

    @cached_property
    def summary(self) -> str:
        """What it reads."""
        if not self.name:
            return "tables of any kind: a mapping in YAML, or a folder with mapping.yaml in it"
        return _mapping(str(SHIPPED / f"{self.name}.yaml"), 0).summary

    def parts(self, source: Path) -> Sequence[Part]:
        """Small files of a table, and members of a zip, some at a time; other files one each.

        Raises:
            DataError: the mapping cannot be, no file is of it, or a file lacks a column.
            FileUnreadable: the first file of a table, or a zip, is damaged.
        """
        file, source = self._mapping_file(source)
        mapping = read_mapping(file)
        entries = entries_in(source)
        assigned = _assigned(mapping, entries)
        if not any(assigned.values()):
            looked = ", ".join(dict.fromkeys(glob for table in mapping.tables for glob in table.files))
            raise DataError(
                f"{source} has no table of {mapping.name}",
                why=f"looked for {looked}",
                fix="name the folder, or the file, in which they are",
            )
        lookups = _lookup_entries(mapping, entries if source.is_dir() else entries_in(source.parent))
        root = source if source.is_dir() else source.parent
        with Shelf() as shelf:
            for table, found in zip(mapping.tables, assigned.values(), strict=True):
                if found:
                    _refuse_missing_columns(shelf, found[0], table, lookups)
        own = () if self.name else (file,)
        told = {"mapping": self.name or str(file), "digest": mapping.digest}
        beside = tuple(dict.fromkeys(each.file for every in lookups.values() for each in every))
        parts: list[Part] = []
        for number, found in enumerate(assigned.values()):
            joined = beside if mapping.tables[number].join else ()
            for name, some in _grouped(found, root):
                its = tuple(dict.fromkeys(each.file for each in some))
                others = [file for file in dict.fromkeys((*own, *joined)) if file not in its]
                named = [each.member for each in some] if some[0].member else []
                parts.append(
                    Part(
                        name,
                        (*its, *others),
                        sum(each.size for each in some),
                        {**told, "table": number, "members": named, "source": str(source)},
                        beside=len(others),
                        rules=mapping.digest,
                    )
                )
        taken = {entry for found in (*assigned.values(), *lookups.values()) for entry in found}
        return [*parts, *_left_over(mapping, [each for each in entries if each not in taken], root, told)]

    def _mapping_file(self, source: Path) -> tuple[Path, Path]:
        """The mapping, and where its tables are."""
        if self.name:
            return SHIPPED / f"{self.name}.yaml", source
        if source.is_dir() and not (source / OWN).is_file():
            raise DataError(
                f"{source} has no {OWN}",
                why="it says which columns of the tables are what",
                fix=f"write one; or, for a source that suwen knows, --from {' | '.join(shipped())}",
            )
        file = source / OWN if source.is_dir() else source
        return file, file.parent / read_mapping(file).folder

    def read(self, part: Part, rejects: Rejects, described: Described) -> Iterator[pa.Table]:
        """Batches of events, those of a rule after those of another.

        Raises:
            DataError: a column is not there, or times are in another format throughout.
            FileUnreadable: a file is damaged.
        """
        options = part.options
        file = SHIPPED / f"{self.name}.yaml" if self.name else Path(options["mapping"])
        mapping = _mapping(str(file), file.stat().st_mtime_ns)
        members = [Entry(part.files[0], member) for member in options["members"]]
        entries = members or [Entry(each) for each in part.files[: len(part.files) - part.beside]]
        with Shelf() as shelf:
            if options["table"] is None:
                for entry in entries:
                    rejects.add(options["reason"], entry.name, options["why"], rows_in(shelf, entry))
                return
            table = mapping.tables[options["table"]]
            joined = _joined(shelf, mapping, table, Path(options["source"]))
            rules = table.rules()
            zones = Zones(
                lambda name: _all_of(shelf, entries, table, joined, name),
                lambda reason, name: rejects.add(reason, part.name, name),
            )
            for sheet in _sheets(shelf, entries, table, rejects):
                rows = Rows(sheet.batch, table, mapping.missing, joined, sheet.names[0], zones)
                for rule in rules:
                    yield from rows.events(rule, described.descriptions)
                _count(rows, sheet, rejects)


TABLE = TableImporter()
MIMIC3, MIMIC4, SYNTHEA = TableImporter("mimic3"), TableImporter("mimic4"), TableImporter("synthea")
PHYSIONET2012, SEPSIS2019, YAIB = TableImporter("physionet2012"), TableImporter("sepsis2019"), TableImporter("yaib")
PIMA, NHANES1 = TableImporter("pima"), TableImporter("nhanes1")


@lru_cache(maxsize=8)
def _mapping(file: str, _: int) -> Mapping:
    return read_mapping(Path(file))


def _assigned(mapping: Mapping, entries: Sequence[Entry]) -> dict[int, list[Entry]]:
    """Table → its files; one that two tables name is of the first, and a lookup may be a table as well."""
    found: dict[int, list[Entry]] = {number: [] for number in range(len(mapping.tables))}
    for entry in entries:
        for number, table in enumerate(mapping.tables):
            if matches(entry, table.files):
                found[number].append(entry)
                break
    return found


def _lookup_entries(mapping: Mapping, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    return {name: [each for each in entries if matches(each, lookup.files)] for name, lookup in mapping.lookups.items()}


def _refuse_missing_columns(shelf: Shelf, entry: Entry, table: Table, lookups: dict[str, list[Entry]]) -> None:
    placed(header_of(shelf, entry, table), table.columns(), table.optional, entry)
    from_path(table.path, entry)
    for name in table.join:
        if not lookups[name]:
            raise DataError(
                f"the lookup {name} has no file",
                why=f"{entry.name} needs it for its events",
                fix="put its file beside, or take join: out",
            )


def _grouped(entries: Sequence[Entry], root: Path) -> Iterator[tuple[str, list[Entry]]]:
    """Files of a folder together, up to `GROUP` bytes; members of a zip, up to `PACKED` bytes."""
    plain = {entry.file: entry for entry in entries if not entry.member}
    for _, beside in groupby(plain, key=lambda file: file.parent):
        for files in groups_of((file, plain[file].size) for file in beside):
            yield name_of_group(files, root), [plain[file] for file in files]
    packed = (entry for entry in entries if entry.member)
    for file, some in groupby(packed, key=lambda entry: entry.file):
        name, members = file.relative_to(root).as_posix(), list(some)
        before, group = 0, np.cumsum([0, *(each.size for each in members[:-1])]) // PACKED
        for number in np.unique(group).tolist():
            end = int(np.searchsorted(group, number, "right"))
            yield f"{name}#{members[before].member}", members[before:end]
            before = end


def _each(entries: Sequence[Entry], root: Path) -> Iterator[tuple[str, list[Entry]]]:
    """A file, of which each has a reason of its own; members of a zip as in `_grouped`."""
    for _, some in groupby(entries, key=lambda entry: entry.file):
        yield from _grouped(list(some), root)


def _left_over(mapping: Mapping, entries: Sequence[Entry], root: Path, told: dict[str, str]) -> Iterator[Part]:
    """Parts that only count what is not mapped. Members of a zip go by its name: there may be thousands."""
    for name, some in _each(entries, root):
        known = [why for glob, why in mapping.unmapped.items() if matches(some[0], [glob])]
        table = some[0].file.name if some[0].member else some[0].table
        options = {
            **told,
            "table": None,
            "members": [each.member for each in some] if some[0].member else [],
            "reason": NOT_MAPPED + table,
            "why": known[0] if known else f"no table of {mapping.name} names it",
        }
        yield Part(f"{name} (not mapped)", (some[0].file,), sum(each.size for each in some), options)


def _joined(shelf: Shelf, mapping: Mapping, table: Table, source: Path) -> dict[str, Joined]:
    if not table.join:
        return {}
    entries = _lookup_entries(mapping, entries_in(source if source.is_dir() else source.parent))
    return {name: _read_lookup(shelf, entries[name], mapping.lookups[name], mapping.missing) for name in table.join}


def _read_lookup(shelf: Shelf, entries: Sequence[Entry], lookup: Lookup, missing: Sequence[str]) -> Joined:
    """In memory; rows without a key are passed over, the first of a key is kept."""
    wanted = list(dict.fromkeys((*lookup.key, *lookup.columns)))
    read = [batch for entry in entries for batch in batches(shelf, entry, lookup, wanted, (), lambda *_: None)]
    columns: dict[str, pa.Array] = {}
    for name in wanted:
        values = pa.chunked_array(
            [batch.column(name) for batch in read], pa.string() if not read else None
        ).combine_chunks()
        text = pc.utf8_trim_whitespace(casts.text(values).values)
        gone = nothing(text, missing, lookup.missing.get(name, ()))
        columns[name] = pc.if_else(gone, pa.scalar(None, pa.string()), text) if gone is not None else text
    key = pc.binary_join_element_wise(*(columns[name] for name in lookup.key), JOIN)
    once = (
        pa.table({"key": key, "row": np.arange(len(key))})
        .group_by("key", use_threads=False)
        .aggregate([("row", "min")])
    )
    once = once.filter(pc.is_valid(once["key"]))
    rows = once["row_min"].combine_chunks()
    return Joined(once["key"].combine_chunks(), {name: columns[name].take(rows) for name in lookup.columns})


def _all_of(
    shelf: Shelf, entries: Sequence[Entry], table: Table, joined: dict[str, Joined], name: str
) -> Iterator[pa.Array]:
    """A column of all files of a part, or of a lookup."""
    lookup, _, column = name.partition(".")
    if table.joined(name):
        yield joined[lookup].columns[column]
        return
    for entry in entries if name not in from_path(table.path, entries[0]) else ():
        for batch in batches(shelf, entry, table, [name], table.optional, lambda *_: None):
            yield batch.column(0)


class _Sheet:
    """Batches of one or of many files, put together.

    Attributes:
        batch: their rows.
        names: of the files.
        starts: where each begins in the batch.
        before: rows of each that came in sheets before.
    """

    def __init__(self, held: list[tuple[str, int, pa.RecordBatch]]) -> None:
        self.names = [name for name, _, _ in held]
        self.before = [before for _, before, _ in held]
        self.starts = np.cumsum([0, *(len(batch) for _, _, batch in held[:-1])])
        self.batch = held[0][2] if len(held) == 1 else pa.concat_batches([batch for _, _, batch in held])

    def where(self, row: int) -> str:
        """``"LABEVENTS.csv, row 12"``, counted from 1 without the header."""
        place = int(np.searchsorted(self.starts, row, "right")) - 1
        return f"{self.names[place]}, row {self.before[place] + row - int(self.starts[place]) + 1}"


def _sheets(shelf: Shelf, entries: Iterable[Entry], table: Table, rejects: Rejects) -> Iterator[_Sheet]:
    """Files of a few rows, one a patient, are put together: twenty rows take as long as thousands."""
    wanted = table.columns()
    held: list[tuple[str, int, pa.RecordBatch]] = []
    size = 0
    for entry in entries:
        before = 0
        for batch in batches(
            shelf, entry, table, wanted, table.optional, lambda name, text: rejects.add(BROKEN_ROW, name, text)
        ):
            whole = _with_more(batch, from_path(table.path, entry), before)
            if held and whole.schema != held[0][2].schema:
                yield _Sheet(held)
                held, size = [], 0
            held.append((entry.name, before, whole))
            before, size = before + len(batch), size + len(batch)
            if size >= BATCH:
                yield _Sheet(held)
                held, size = [], 0
    if held:
        yield _Sheet(held)


def _with_more(batch: pa.RecordBatch, told: dict[str, str], before: int) -> pa.RecordBatch:
    """With the columns of the path, and the numbers of the rows."""
    for name, text in told.items():
        batch = batch.append_column(name, pa.repeat(text, len(batch)))
    return batch.append_column(ROW, pa.array(np.arange(before + 1, before + len(batch) + 1)))


def _count(rows: Rows, sheet: _Sheet, rejects: Rejects) -> None:
    for reason, refused in rows.refusals():
        shown = refused[: max(0, KEPT - rejects.counts[reason])]
        for row, record in zip(shown.tolist(), rows.batch.take(pa.array(shown)).to_pylist(), strict=True):
            rejects.add(
                reason,
                sheet.where(row),
                {key: value for key, value in record.items() if value is not None and key != ROW},
            )
        rejects.add(reason, sheet.names[0], count=len(refused) - len(shown))
