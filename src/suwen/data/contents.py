"""What is in each source: decoding in parallel, and a table of what was decoded before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from suwen.core.errors import DataError, FileUnreadable, SuwenError
from suwen.core.files import write_text
from suwen.core.sample import Sample
from suwen.data.decode import read_pixels
from suwen.data.picture import Picture, picture_of
from suwen.data.progress import track

Result = TypeVar("Result")
Stamp = list[int] | None
"""Size in bytes and time of change in nanoseconds of a file; None for pixels, or for a file that cannot be read."""

WORKERS = min(8, os.cpu_count() or 1)
"""Pillow, the DICOM decoders and the resampling release Python's lock, so that threads are enough."""

CHUNK = 64
"""Samples decoded at a time; bounds what waits in memory to be written."""


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
    samples: Sequence[Sample], work: Callable[[Sample], Result], description: str, *, progress: bool
) -> Iterator[tuple[Sample, Result | DataError]]:
    """`work` done on every sample by a few threads, in order; a `DataError` is handed on as the result."""

    def guarded(sample: Sample) -> Result | DataError:
        try:
            return work(sample)
        except DataError as error:
            return error

    def results() -> Iterator[tuple[Sample, Result | DataError]]:
        rest = iter(samples)
        with ThreadPoolExecutor(WORKERS) as pool:
            while chunk := list(islice(rest, CHUNK)):
                yield from zip(chunk, pool.map(guarded, chunk), strict=True)

    return track(results(), description, len(samples), enabled=progress)


class FileTable:
    """What is known of files by path, size and time of change, kept in the cache so that no file is read twice for it.

    One JSON file for each kind of knowledge and common parent folder. It is only a memory: a table that is damaged
    or cannot be written costs time, never correctness.

    Args:
        files: those that will be asked for.
        kind: of knowledge, the name of a folder in the cache.
        cache: folder of the cache; the user's cache folder when None.
    """

    def __init__(self, files: Sequence[Path], kind: str, cache: Path | None) -> None:
        folders = {os.path.dirname(_name(file)) for file in files}  # noqa: PTH120
        key = hashlib.blake2b(_common(folders).encode(errors="surrogateescape"), digest_size=16).hexdigest()
        self._path = cache_root(cache) / kind / f"{key}.json"
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(self._path.read_text(encoding="utf-8")))

    def get(self, file: Path) -> Any:
        """What is known of a file; None if that is nothing or the file has changed."""
        known = self._known.get(_name(file))
        return known[2] if known is not None and known[:2] == stamp(file) else None

    def add(self, file: Path, when: Stamp, value: Any) -> None:
        """Remember a JSON-able value for a file whose `stamp` was `when` before it was read."""
        if when is not None:
            self._known[_name(file)] = [*when, value]
            self._changed = True

    def save(self) -> None:
        """Write the table, if it changed."""
        if self._changed:
            with contextlib.suppress(OSError, SuwenError):
                write_text(self._path, json.dumps(self._known))


class DigestTable:
    """The content digests of samples: looked up for files, computed for pixels."""

    def __init__(self, samples: Sequence[Sample], cache: Path | None) -> None:
        files = [sample.source for sample in samples if isinstance(sample.source, Path)]
        self._files = FileTable(files, "digests", cache)

    def get(self, sample: Sample) -> bytes | None:
        """`Picture.digest` of a sample; None if it is not known (yet)."""
        if isinstance(sample.source, Path):
            known = self._files.get(sample.source)
            return None if known is None else bytes.fromhex(known)
        try:
            return read_picture(sample).digest()
        except DataError:
            return None

    def add(self, sample: Sample, when: Stamp, digest: bytes) -> None:
        """Remember the digest of a file (see `FileTable.add`)."""
        if isinstance(sample.source, Path):
            self._files.add(sample.source, when, digest.hex())

    def save(self) -> None:
        """Write the table, if it changed."""
        self._files.save()


def stamp(source: object) -> Stamp:
    """The `Stamp` of a source."""
    if not isinstance(source, Path):
        return None
    try:
        status = source.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def content_digests(
    samples: Sequence[Sample], *, cache: Path | None = None, progress: bool = True
) -> list[bytes | None]:
    """The `Picture.digest` of each sample; None where it cannot be decoded. Files seen before are not read again."""
    table = DigestTable(samples, cache)
    looked_at = track(samples, "Looking at images", len(samples), enabled=progress)
    digests = [table.get(sample) for sample in looked_at]
    unknown = [index for index, digest in enumerate(digests) if digest is None]

    def work(sample: Sample) -> tuple[Stamp, bytes]:
        return stamp(sample.source), read_picture(sample).digest()

    results = for_each([samples[index] for index in unknown], work, "Reading images", progress=progress)
    for index, (sample, result) in zip(unknown, results, strict=True):
        if not isinstance(result, DataError):
            digests[index] = result[1]
            table.add(sample, *result)
    table.save()
    return digests


def _name(file: Path) -> str:
    return os.path.abspath(file)  # noqa: PTH100  (resolving every link of 100,000 paths takes seconds)


def _common(folders: set[str]) -> str:
    try:
        return os.path.commonpath(folders)
    except ValueError:  # no folder, or different drives
        return ""
