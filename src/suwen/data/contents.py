"""What is in each source: decoding in parallel, and a table of what was decoded before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import platformdirs

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.decode import read_pixels
from suwen.data.picture import Picture, picture_of
from suwen.data.progress import track

Result = TypeVar("Result")

WORKERS = min(8, os.cpu_count() or 1)
"""Pillow, the DICOM decoders and the resampling release Python's lock, so that threads are enough."""

CHUNK = 256
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
    """Path, size and time of change to content digest, kept in the cache, so that nothing is decoded to know it again.

    One JSON file for each common parent folder. It is only a memory: a table that is damaged or cannot be written
    costs time, never correctness.
    """

    def __init__(self, samples: Sequence[Sample], cache: Path | None) -> None:
        folders = {os.path.dirname(_name(sample.source)) for sample in samples if isinstance(sample.source, Path)}  # noqa: PTH120
        self._known: dict[str, list[int | str]] = {}
        self._changed = False
        self._path: Path | None = None
        if folders:
            key = hashlib.blake2b(_common(folders).encode(errors="surrogateescape"), digest_size=16).hexdigest()
            self._path = cache_root(cache) / "files" / f"{key}.json"
            with contextlib.suppress(OSError, ValueError):
                self._known = dict(json.loads(self._path.read_text(encoding="utf-8")))

    def digest(self, sample: Sample) -> bytes | None:
        """The content digest of a sample: computed for pixels, looked up for files; None if not known (yet)."""
        if not isinstance(sample.source, Path):
            try:
                return read_picture(sample).digest()
            except DataError:
                return None
        known = self._known.get(_name(sample.source))
        if known is None or known[:2] != stamp(sample.source):
            return None
        return bytes.fromhex(str(known[2]))

    def add(self, sample: Sample, when: list[int] | None, digest: bytes) -> None:
        """Remember the digest of a file whose `stamp` was `when` before it was decoded."""
        if isinstance(sample.source, Path) and when is not None:
            self._known[_name(sample.source)] = [*when, digest.hex()]
            self._changed = True

    def save(self) -> None:
        """Write the table, if it changed."""
        if self._changed and self._path is not None:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self._path, json.dumps(self._known).encode())


def stamp(source: object) -> list[int] | None:
    """Size in bytes and time of change in nanoseconds of a file; None for pixels, or if it cannot be read."""
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
    table = FileTable(samples, cache)
    digests = [table.digest(sample) for sample in samples]
    unknown = [index for index, digest in enumerate(digests) if digest is None]

    def work(sample: Sample) -> tuple[list[int] | None, bytes]:
        return stamp(sample.source), read_picture(sample).digest()

    results = for_each([samples[index] for index in unknown], work, "Reading images", progress=progress)
    for index, (sample, result) in zip(unknown, results, strict=True):
        if not isinstance(result, DataError):
            digests[index] = result[1]
            table.add(sample, *result)
    table.save()
    return digests


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or leave the old one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _name(source: object) -> str:
    return os.path.abspath(str(source))  # noqa: PTH100  (resolving every link of 100,000 paths takes seconds)


def _common(folders: set[str]) -> str:
    try:
        return os.path.commonpath(folders)
    except ValueError:  # different drives
        return ""
