"""The events of a `RecordStore` as columns of numbers, written once beside it and then mapped into memory.

An event is 16 bytes: an int32 code, an int64 time, a float32 value; eight more where something became known later than
it happened. Codes are numbered by how often they occur, the commonest first, so that what is touched most lies
together. No string is looked at afterwards.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import SuwenError
from suwen.data.ahead import ahead
from suwen.data.records.column_batches import batches_of, events_in
from suwen.data.records.column_writer import FORMAT, SETTINGS, TYPES, ColumnsWriter
from suwen.data.records.store import RecordStore
from suwen.data.records.units.units import Units, UnitTable

FOLDER = ".columns"
STALE_SECONDS = 24 * 3600.0
BUILDING = ".building-"
NAMED = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}")
"""Folders of columns, see `fingerprint`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """N events of S subjects. All arrays are read-only; those of a store are mapped from disk.

    Attributes:
        codes: int32 (N,), a position in `vocabulary`.
        times: int64 (N,), microseconds since 1970, ascending within a subject; the smallest int64, and first, where
            there is none.
        values: float32 (N,), NaN where there is none.
        available: int64 (N,), since when the event could be known; None where all were known at their own time.
        subjects: int64 (S,), ids, in the order in which their events lie.
        offsets: int64 (S + 1,): the events of subject s are ``offsets[s]`` to ``offsets[s + 1]``, exclusive.
        vocabulary: V codes, the commonest first, those of equal number by name.
        counts: int64 (V,), events of each.
        units: of the numbers of each code, see `Units`.
        fingerprint: of the store and of the conversions.
    """

    codes: np.ndarray
    times: np.ndarray
    values: np.ndarray
    available: np.ndarray | None
    subjects: np.ndarray
    offsets: np.ndarray
    vocabulary: tuple[str, ...]
    counts: np.ndarray
    units: Units
    fingerprint: str

    def __len__(self) -> int:
        return len(self.codes)

    def __deepcopy__(self, memo: dict[int, Any]) -> Columns:
        """Itself: nothing in it changes, and a copy would read all of it (scikit-learn's ``clone`` copies deeply)."""
        return self

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Code → its number."""
        return {code: number for number, code in enumerate(self.vocabulary)}

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.subjects, kind="stable")
        return order, self.subjects[order]

    def places(self, subject_ids: np.ndarray) -> np.ndarray:
        """int64: the place of each subject, -1 for one that has no events."""
        order, known = self._sorted
        if not len(known):
            return np.full(len(subject_ids), -1, np.int64)
        place = np.searchsorted(known, subject_ids).clip(max=len(known) - 1)
        return np.where(known[place] == subject_ids, order[place], -1)


def build_columns(store: Path | str, *, conversions: UnitTable | None = None, cache: Path | None = None) -> Columns:
    """The columns of a store: read from beside it, or built if it changed since (names, sizes and times of its files).

    Args:
        store: folder of a `RecordStore`, or any MEDS 0.4 folder.
        conversions: (code, unit) → `Conversion`; nothing is converted but what stands there.
        cache: folder in which each store has one of its own for its columns; ``STORE/.columns`` when None.

    Raises:
        DataError: no store, or one that is not in order (a subject in two pieces, events not by time).
        FileUnreadable: a file of it is damaged.
        SuwenError: the columns cannot be written.
    """
    found = RecordStore(store)
    home = found.path / FOLDER if cache is None else _of_store(cache, found)
    table = dict(conversions or {})
    key, print_ = fingerprint(found, table)
    columns = _opened(home / key, print_)
    if columns is None:
        _write(found, table, home, key, print_)
        columns = _opened(home / key, print_)
    if columns is None:
        raise SuwenError(f"{home / key} cannot be read", why="it was written a moment ago", fix="look at the disk")
    return columns


def _of_store(cache: Path, store: RecordStore) -> Path:
    """Where a cache has the columns of a store; only there are earlier ones taken away."""
    path = str(store.path.resolve()).encode(errors="surrogateescape")
    return cache / f"columns-{hashlib.blake2b(path, digest_size=8).hexdigest()}"


def fingerprint(store: RecordStore, conversions: UnitTable) -> tuple[str, str]:
    """The name of the folder of the columns, and the fingerprint: of the files of the store, and of the conversions."""
    files = [(str(file.relative_to(store.path)), file.stat().st_size, file.stat().st_mtime_ns) for file in store.shards]
    rows = sorted((*names, *to) for names, to in conversions.items())
    of_files, of_table = (
        hashlib.blake2b(json.dumps([FORMAT, what]).encode(), digest_size=8).hexdigest() for what in (files, rows)
    )
    return f"{of_files}-{of_table}", f"{of_files}{of_table}"


def _opened(folder: Path, fingerprint: str) -> Columns | None:
    """The columns, or None where they are not there or damaged."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        arrays = {name: _mapped(folder / f"{name}.npy") for name in TYPES if name in settings["columns"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sizes = {len(arrays[name]) for name in arrays if name not in ("subjects", "offsets")}
    if settings["fingerprint"] != fingerprint or sizes != {settings["events"]}:
        return None
    return Columns(
        **{"available": None} | arrays,  # type: ignore[arg-type]
        vocabulary=tuple(settings["codes"]),
        counts=np.array(settings["counts"], np.int64),
        units=Units(settings["units"]),
        fingerprint=fingerprint,
    )


def _mapped(file: Path) -> np.ndarray:
    return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))


def _write(store: RecordStore, conversions: UnitTable, home: Path, key: str, fingerprint: str) -> None:
    """Build the columns in a folder that gets its name when it is complete; those of earlier states of the store go."""
    names: dict[str, int] = {}
    units = Units()
    with _workspace(home) as work:
        with ColumnsWriter(work, events_in(store.shards)) as writer:
            batches = (batch for shard in store.shards for batch in batches_of(shard, names, units, conversions))
            for batch in ahead(batches):  # decoding needs no lock of the interpreter, nor does writing
                writer.add(*batch)
            writer.finish(list(names), units, fingerprint)
        final = home / key
        if _opened(final, fingerprint) is None:
            shutil.rmtree(final, ignore_errors=True)  # damaged, if it is there at all
        try:
            work.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster, with the same content
                raise
    for other in home.iterdir():
        if NAMED.fullmatch(other.name) and not other.name.startswith(key.split("-")[0]):
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _workspace(home: Path) -> Iterator[Path]:
    """A folder that vanishes at the end unless it was renamed; those that killed builds left are swept."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        for left in home.glob(f"{BUILDING}*"):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(dir=home, prefix=BUILDING))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise SuwenError(
            f"{home}: {error.strerror or error}",
            why="the columns of the store cannot be written; what was there before is still there",
            fix="free some space, or give another folder: build_columns(store, cache=FOLDER)",
        ) from error
