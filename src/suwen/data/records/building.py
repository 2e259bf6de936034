"""Records of any format → a `RecordStore`: part by part, shard by shard, resumable, idempotent, in bounded memory.

Each part is read once and its events are laid down by shard; a part counts as read when its note is written. Then each
shard is put in order. A killed import goes on with the parts that have no note; what is imported again changes nothing,
since every event is kept once. What was corrected since it was imported is refused (`suwen.data.records.readings`).
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from suwen.core.files import atomic_path, write_json, write_text
from suwen.core.registry import IMPORTERS
from suwen.data.progress import track
from suwen.data.records.authorities import AUTHORITIES, compare_authorities, lay_authorities
from suwen.data.records.events import SCHEMA
from suwen.data.records.lock import locked
from suwen.data.records.ordering import in_order, taken
from suwen.data.records.readings import READ, load_readings, readings_of, replaced, write_readings
from suwen.data.records.rejects import KEPT, Rejects
from suwen.data.records.sharding import PLAN, Shards, planned, refuse_too_large, rows_known, unpacked
from suwen.data.records.source import Described, Importer, Part
from suwen.data.records.store import (
    CODES,
    CODES_SCHEMA,
    DATA,
    DATASET,
    MADE,
    REJECTED,
    WORK,
    RecordStore,
    read_shard,
    shard_name,
    shard_of,
)

HELD = 1_000_000
"""Events of a part that are in memory before they are laid down."""

REPEATING = [name for name in SCHEMA.names if name not in ("time", "available_time")]
"""Columns that Parquet writes as numbers of a dictionary. Times are too many for one: plain, they are read twice as
fast."""

NOTE = "note.json"

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes:
        parts, known: how many were read now, and how many had been before.
        events: in the store afterwards.
        subjects: likewise.
        repeated: events that were there already, or twice in the source.
        rejected: reason → how many.
    """

    parts: int
    known: int
    events: int
    subjects: int
    repeated: int
    rejected: dict[str, int]


def import_records(
    source: Path, kind: str, out: Path, *, workers: int = 1, shards: int | None = None, progress: bool = True
) -> Imported:
    """Import a source into a store, which is made or added to.

    Args:
        source: file or folder.
        kind: a row of ``suwen.importers``.
        out: the store.
        workers: processes.
        shards: files of a new store; as its source needs unless given.
        progress: show bars.

    Raises:
        DataError: nothing to import; a folder that is no store, or into which another import is writing; another number
            of shards than the store has; a file that says something else than when it was imported.
        FileUnreadable: a file of the source is damaged.
    """
    importer: Importer = IMPORTERS[kind]
    parts = {key_of(kind, part): part for part in importer.parts(source)}
    with locked(out):
        return _import(kind, parts, out, workers, shards, progress)


def _import(
    kind: str, parts: Mapping[str, Part], out: Path, workers: int, asked: int | None, progress: bool
) -> Imported:
    known = RecordStore(out).made.get("imports", {}) if (out / DATA).is_dir() else {}
    fresh = [key for key in parts if key not in known]
    read = load_readings(out, known)
    gone = replaced(read, kind, parts, fresh, out)
    shards = planned(out, asked, sum(unpacked(parts[key]) for key in fresh))
    work = out / WORK
    write_json(work / PLAN, {"shards": shards.count})
    waiting = [(kind, key, parts[key], work, shards.count) for key in fresh if not (work / key / NOTE).is_file()]
    for _ in track(_each(lay_down, waiting, workers), "Reading", len(waiting), enabled=progress):
        pass
    notes = {key: _note(work / key) for key in fresh}
    (out / DATA).mkdir(parents=True, exist_ok=True)
    compare_authorities(out, {key: work / key for key in fresh}, notes)
    folders = [work / key for key in fresh]
    merging = [[(out, number, folders, shards) for number in step] for step in shards.steps]
    doing = chain.from_iterable(_each(put_in_order, step, workers) for step in merging)
    ordered = list(track(doing, "Sorting", shards.count, enabled=progress))
    write_readings(out, read, notes)
    entries = {key: entry for key, entry in known.items() if key not in gone}
    _finish(out, shards.count, entries, notes, {code for shard in ordered for code in shard.codes})
    _sweep(out)
    return _summary(out, notes, len(parts) - len(fresh), ordered)


def key_of(kind: str, part: Part) -> str:
    """What a part is known by: its format, name and options, and size and time of its files."""
    stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in part.files]
    text = json.dumps([kind, part.name, dict(part.options), stamps], sort_keys=True)
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=12).hexdigest()


def _each(work: Callable[[Item], Result], items: list[Item], workers: int) -> Iterator[Result]:
    """`work` done on each, here or in processes; results in order."""
    if workers <= 1 or len(items) <= 1:
        yield from map(work, items)
        return
    with ProcessPoolExecutor(workers, initializer=_end_with_parent) as pool:
        yield from pool.map(work, items)


def _end_with_parent() -> None:
    """In a worker: end when the parent is killed, which no longer says so; it would wait for ever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def lay_down(task: tuple[str, str, Part, Path, int]) -> None:
    """Read one part and write its events below ``WORK/KEY/``, a file a shard; its note comes last.

    The folder gets its name when it is complete: a worker that outlives its killed parent does not write into it.
    """
    kind, key, part, work, count = task
    importer: Importer = IMPORTERS[kind]
    folder, whole = work / f".{key}-{os.getpid()}", work / key
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rejects, described = Rejects(), Described()
    with uncollected(), _Layers(folder, count) as layers:
        for table in importer.read(part, rejects, described):
            layers.add(table)
    lay_authorities(folder, described.authorities)
    note = {
        "part": part.name,
        "from": kind,
        "read": readings_of(kind, part),
        "events": layers.events,
        "rejected": dict(rejects.counts),
        "kept": rejects.kept,
        "descriptions": described.descriptions,
        "parents": described.parents,
    }
    write_json(folder / NOTE, note)
    if not (whole / NOTE).is_file():
        shutil.rmtree(whole, ignore_errors=True)
        folder.rename(whole)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles while it lasts: what is read has none, and is so much that the search takes a third of the
    time."""
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()


class _Layers:
    """Files of one part, a shard each, in Arrow's own format, the quickest to write and to read back; events are
    held until there are `HELD` of them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count, self.events = folder, count, 0
        self._held: list[pa.Table] = []
        self._size = 0
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}

    def __enter__(self) -> _Layers:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        for writer in self._writers.values():
            writer.close()

    def add(self, table: pa.Table) -> None:
        """A batch of events."""
        self._held.append(table)
        self._size += len(table)
        self.events += len(table)
        if self._size >= HELD:
            self._flush()

    def _flush(self) -> None:
        if not self._size:
            return
        table = pa.concat_tables(self._held)
        self._held, self._size = [], 0
        small = np.min_scalar_type(self.count)  # numbers of 8 or 16 bits are sorted by radix
        place = shard_of(table["subject_id"].to_numpy(), self.count).astype(small)
        laid = table if self.count == 1 else taken(table, np.argsort(place, kind="stable"))
        sizes = np.bincount(place, minlength=self.count)
        for number, (size, end) in enumerate(zip(sizes.tolist(), np.cumsum(sizes).tolist(), strict=True)):
            if size:
                self._writer(number).write_table(laid.slice(end - size, size))

    def _writer(self, number: int) -> pa.RecordBatchFileWriter:
        if number not in self._writers:
            file = str(self.folder / layer_name(number))
            self._writers[number] = pa.ipc.new_file(file, SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        return self._writers[number]


def layer_name(number: int) -> str:
    """File name of a part's events of a shard."""
    return f"{number:04d}.arrow"


def read_layer(file: Path) -> pa.Table:
    """The events of such a file."""
    with pa.memory_map(str(file)) as stream:
        return pa.ipc.open_file(stream).read_all()


@dataclass(frozen=True)
class Ordered:
    """A shard in order: how many events were repeated, how many subjects it has, and its codes."""

    repeated: int
    subjects: int
    codes: list[str]


def put_in_order(task: tuple[Path, int, list[Path], Shards]) -> Ordered:
    """One shard: what the store had of it and what the parts bring, by subject and time, each event once.

    Raises:
        DataError: it is too large.
        FileUnreadable: a file of the store is damaged.
    """
    out, number, folders, shards = task
    target = out / DATA / shard_name(number)
    layers = [folder / layer_name(number) for folder in folders]
    found = [read_layer(layer) for layer in layers if layer.is_file()]
    if not found and shards.before == shards.count:
        return _counted(read_shard(target, ["subject_id", "code"]) if target.is_file() else SCHEMA.empty_table(), 0)
    whole = pa.concat_tables([SCHEMA.empty_table(), *rows_known(out, number, shards), *found])
    refuse_too_large(whole, target, shards)
    table, repeated = in_order(whole)
    with atomic_path(target) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=REPEATING)
    return _counted(table, repeated)


def _counted(table: pa.Table, repeated: int) -> Ordered:
    subjects = np.count_nonzero(np.diff(table["subject_id"].to_numpy())) + min(1, len(table))
    return Ordered(repeated, int(subjects), table["code"].unique().to_pylist())


def _note(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / NOTE).read_text(encoding="utf-8")))


def _finish(
    out: Path,
    count: int,
    known: Mapping[str, Any],
    notes: Mapping[str, dict[str, Any]],
    codes: Iterable[str],
) -> None:
    """Everything below ``metadata/``."""
    kept = [each for note in notes.values() for each in note["kept"]]
    before = (out / REJECTED).read_text(encoding="utf-8") if (out / REJECTED).is_file() else ""
    known_lines = set(before.split("\n"))  # an import that was killed after this goes on from here
    new = [line for line in _first_of_each(kept) if line not in known_lines]
    write_text(out / REJECTED, before + "".join(line + "\n" for line in new))
    _write_codes(out, notes, codes)
    write_json(
        out / DATASET,
        {
            "dataset_name": out.name,
            "etl_name": "suwen",
            "etl_version": version("suwen"),
            "meds_version": version("meds"),
            "code_modifier_columns": ["unit"],
            "raw_source_id_columns": ["encounter_id"],
            "other_extension_columns": ["available_time"],
        },
    )
    entries = {
        key: {name: note[name] for name in ("part", "from", "events", "rejected")} for key, note in notes.items()
    }
    write_json(out / MADE, {"shards": count, "imports": {**known, **entries}})


def _first_of_each(kept: Iterable[dict[str, Any]]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for each in kept:
        seen[each["reason"]] += 1
        if seen[each["reason"]] <= KEPT:
            yield json.dumps(each, ensure_ascii=False)


def _sweep(out: Path) -> None:
    """What the import, or one that was killed before it, needed on its way."""
    for written in (Path(DATA) / "[0-9]*.parquet", AUTHORITIES, READ, REJECTED, CODES, DATASET, MADE):
        for left in (out / written).parent.glob(f".{written.name}.*"):
            left.unlink(missing_ok=True)
    shutil.rmtree(out / WORK, ignore_errors=True)


def _write_codes(out: Path, notes: Mapping[str, dict[str, Any]], codes: Iterable[str]) -> None:
    """Every code that occurs, with what is known of it."""
    store = RecordStore(out)
    found: dict[str, tuple[str | None, list[str]]] = {}
    for row in store.codes.to_pylist():
        found[row["code"]] = (row["description"], row["parent_codes"] or [])
    for note in notes.values():
        for code in {*note["descriptions"], *note["parents"]}:
            text, above = found.get(code, (None, []))
            parents = [*above, *(each for each in note["parents"].get(code, []) if each not in above)]
            found[code] = (text or note["descriptions"].get(code), parents)
    for code in codes:
        found.setdefault(code, (None, []))
    rows = [{"code": code, "description": text, "parent_codes": above} for code, (text, above) in sorted(found.items())]
    with atomic_path(out / CODES) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=CODES_SCHEMA), temporary)


def _summary(out: Path, notes: Mapping[str, dict[str, Any]], known: int, ordered: Sequence[Ordered]) -> Imported:
    subjects, repeated = (sum(getattr(shard, name) for shard in ordered) for name in ("subjects", "repeated"))
    rejected: Counter[str] = Counter()
    for note in notes.values():
        rejected.update(note["rejected"])
    return Imported(len(notes), known, len(RecordStore(out)), subjects, repeated, dict(rejected.most_common()))
