"""What is in each source: decoding in parallel, and a table of what was decoded before."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.decode import read_pixels
from suwen.data.picture import Picture, picture_of
from suwen.data.progress import track
from suwen.data.samples import Digests, Samples

Result = TypeVar("Result")
Stamp = tuple[int, int] | None
"""Size in bytes and time of change in nanoseconds of a file; None for pixels, or for a file that cannot be read."""

WORKERS = min(8, os.cpu_count() or 1)
"""Pillow, the DICOM decoders and the resampling release Python's lock, so that threads are enough."""

CHUNK = 64
"""Samples decoded at a time; bounds what waits in memory to be written."""

WRITTEN_AT_A_TIME = 1024
"""Entries of a `FileTable` that wait in memory to be written."""


def cache_root(cache: Path | None) -> Path:
    """The folder given, or the user's cache folder (``~/.cache/suwen`` on Linux)."""
    return cache if cache is not None else platformdirs.user_cache_path("suwen")


def read_picture(sample: Sample) -> Picture:
    """Decode a sample. Every failure is a `FileUnreadable` that names it."""
    if isinstance(sample.source, Path):
        return read_pixels(sample.source)
    try:
        return picture_of(sample.source)
    except DataError as error:
        raise FileUnreadable(f"{sample.id}: {error.seen}", why=error.why, fix=error.fix) from error


def for_each(
    samples: Sequence[Sample],
    work: Callable[[Sample], Result],
    description: str,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    progress: bool,
) -> Iterator[tuple[int, Result | DataError]]:
    """(row, `work` done on that sample) by a few threads, in order; a `DataError` is handed on as the result.

    Only as many samples exist at a time as are worked on.
    """
    rows = range(len(samples)) if rows is None else rows

    def guarded(sample: Sample) -> Result | DataError:
        try:
            return work(sample)
        except DataError as error:
            return error

    def results() -> Iterator[tuple[int, Result | DataError]]:
        with ThreadPoolExecutor(WORKERS) as pool:
            for start in range(0, len(rows), CHUNK):
                chunk = [int(row) for row in rows[start : start + CHUNK]]
                yield from zip(chunk, pool.map(guarded, [samples[row] for row in chunk]), strict=True)

    return track(results(), description, len(rows), enabled=progress)


class FileTable:
    """What is known of files by path, size and time of change, kept in the cache so that no file is read twice for it.

    An SQLite file for each kind of knowledge, so that what is known of a million files is never in memory. It is only
    a memory: a table that is damaged or cannot be written costs time, never correctness. A context manager: what was
    added is on disk when it is left.

    Args:
        kind: of knowledge, the name of the file.
        cache: folder of the cache; the user's cache folder when None.
    """

    def __init__(self, kind: str, cache: Path | None) -> None:
        self._path = cache_root(cache) / f"{kind}.sqlite"
        self._new: list[tuple[bytes, int, int, bytes]] = []
        self._database = self._open()

    def __enter__(self) -> FileTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        if self._database is not None:
            self._database.close()

    def get(self, file: Path, part: str = "") -> bytes | None:
        """What is known of a file, or of a part of it; None if that is nothing or the file has changed."""
        when = stamp(file)
        if self._database is None or when is None:
            return None
        try:
            found = self._database.execute(
                "SELECT value FROM known WHERE name = ? AND size = ? AND changed = ?", (_key(file, part), *when)
            ).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return None if found is None else bytes(found[0])

    def add(self, file: Path, when: Stamp, value: bytes, part: str = "") -> None:
        """Remember something of a file whose `stamp` was `when` before it was read."""
        if when is not None:
            self._new.append((_key(file, part), *when, value))
        if len(self._new) >= WRITTEN_AT_A_TIME:
            self._write()

    def _open(self) -> sqlite3.Connection | None:
        """The database; a new one in place of one that is damaged; None if there can be none."""
        with contextlib.suppress(OSError, sqlite3.Error):  # locked, read-only, no room …: go on without
            try:
                return self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._path.unlink(missing_ok=True)
                return self._connect()
        return None

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path)
        try:
            with database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS known "
                    "(name BLOB PRIMARY KEY, size INTEGER, changed INTEGER, value BLOB) WITHOUT ROWID"
                )
                database.execute("SELECT name, size, changed, value FROM known LIMIT 1").fetchone()
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _write(self) -> None:
        if self._database is not None and self._new:
            try:
                with self._database:
                    self._database.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)", self._new)
            except sqlite3.Error as error:
                self._give_up(error)
        self._new.clear()

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on without the table; one that is damaged is taken away."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if not isinstance(error, sqlite3.OperationalError):
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def known_digests(samples: Samples, table: FileTable, *, progress: bool) -> Digests:
    """The `Picture.digest` of samples as far as they are known: looked up for files, computed for pixels."""
    if samples.digests is not None:
        return samples.digests.copy()
    digests = Digests.unknown(len(samples))
    for row in track(range(len(samples)), "Looking at images", len(samples), enabled=progress):
        sample = samples[row]
        if isinstance(sample.source, Path):
            digests.put(row, table.get(sample.source))
            continue
        with contextlib.suppress(DataError):
            digests.put(row, read_picture(sample).digest())
    return digests


def stamp(source: object) -> Stamp:
    """The `Stamp` of a source."""
    if not isinstance(source, Path):
        return None
    try:
        status = os.stat(source)  # noqa: PTH116  (a Path keeps more than it needs)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def content_digests(samples: Sequence[Sample], *, cache: Path | None = None, progress: bool = True) -> Digests:
    """The `Picture.digest` of each sample, unknown where it cannot be decoded. Files seen before are not read again."""
    columns = Samples.of(samples)

    def work(sample: Sample) -> tuple[Stamp, bytes]:
        return stamp(sample.source), read_picture(sample).digest()

    with FileTable("digests", cache) as table:
        digests = known_digests(columns, table, progress=progress)
        rows: Sequence[int] | np.ndarray = np.flatnonzero(~digests.known) if columns.digests is None else []
        for row, result in for_each(columns, work, "Reading images", rows=rows, progress=progress):
            if isinstance(result, DataError):
                continue
            when, digest = result
            digests.put(row, digest)
            if when is not None:
                table.add(Path(columns[row].source), when, digest)  # type: ignore[arg-type]
    return digests


def _key(file: Path, part: str) -> bytes:
    name = os.path.abspath(file)  # noqa: PTH100  (resolving every link of 100,000 paths takes seconds)
    return hashlib.blake2b(f"{name}\0{part}".encode(errors="surrogateescape"), digest_size=16).digest()
