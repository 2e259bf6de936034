"""From Samples to decoded columns: each picture decoded once, and never again while its file is unchanged."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.cache import Columns, Facts, PixelCache, Row, gather, locate
from suwen.data.contents import FileTable, Stamp, for_each, known_digests, read_picture, stamp
from suwen.data.phash import perceptual_hash
from suwen.data.preprocess import ImagePreprocess
from suwen.data.progress import track
from suwen.data.samples import Digests, Samples, sortable


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of each sample.

    Attributes:
        columns: of the samples that could be decoded, ordered by digest; None if there are none.
        digests: of each sample, in the order of the samples; unknown where it could not be decoded.
        failures: position of a sample to the reason why it could not be decoded.
    """

    columns: Columns | None
    digests: Digests
    failures: dict[int, DataError]


def decode(samples: Samples, preprocess: ImagePreprocess, *, cache: Path | None, progress: bool) -> Decoded:
    """Decode and preprocess the samples into the cache, reusing what it holds. See `suwen.data.columns.build`."""
    store = PixelCache(preprocess, cache)
    with FileTable("digests", cache) as table:
        digests = known_digests(samples, table, progress=progress)
        if digests.known.all() and (columns := store.open(store.key(digests.values))):
            return Decoded(columns, digests, {})
        return _decode(samples, preprocess, store, table, digests, progress)


def _decode(
    samples: Samples,
    preprocess: ImagePreprocess,
    store: PixelCache,
    table: FileTable,
    digests: Digests,
    progress: bool,
) -> Decoded:
    """Decode what no earlier cache holds, and write the new one."""

    def work(sample: Sample) -> tuple[Path | None, Stamp, Row, np.ndarray]:
        file = sample.source if isinstance(sample.source, Path) else None
        return file, stamp(file), *_row(sample, preprocess)

    failures: dict[int, DataError] = {}
    with store.workspace() as folder, (folder / "scratch").open("w+b") as scratch:
        found, new = store.find(), _New(scratch, store.shape)
        todo = np.flatnonzero(~digests.known | (locate(found, digests.values)[0] < 0))
        for index, result in for_each(samples, work, "Decoding images", rows=todo, progress=progress):
            if isinstance(result, DataError):
                failures[index] = result
                digests.put(index, None)
                continue
            file, when, row, pixels = result
            new.add(row, pixels)
            digests.put(index, row.digest)
            if file is not None:
                table.add(file, when, row.digest)
        contents = np.sort(sortable(digests.values[digests.known])).view(np.uint8).reshape(-1, 16)
        if not len(contents):
            return Decoded(None, digests, failures)
        columns = store.open(store.key(contents))
        if columns is None:
            facts, images = gather([*found, *new.facts()], [*(old.pixels for old in found), new], contents)
            written = track(images, "Writing the cache", len(contents), enabled=progress)
            columns = store.open(store.store(folder, facts, written))
            found.clear()  # older sets are not open any longer
            store.make_room()
    return Decoded(columns, digests, failures)


class _New:
    """Newly decoded rows: their pixels in a scratch file, the rest in a few plain arrays."""

    def __init__(self, scratch: BinaryIO, shape: tuple[int, int, int]) -> None:
        self._scratch, self._shape = scratch, shape
        self._digests, self._phash, self._sizes = bytearray(), array("Q"), array("i")
        self._modes: list[str] = []

    def add(self, row: Row, pixels: np.ndarray) -> None:
        """Write the pixels to the scratch file and note the rest."""
        self._scratch.write(pixels.tobytes())
        self._digests += row.digest
        self._phash.append(row.phash)
        self._sizes.extend(row.size)
        self._modes.append(sys.intern(row.mode))

    def __getitem__(self, row: int) -> np.ndarray:
        """Read the pixels of one row back. (Were they mapped, their pages would count as this process's memory.)"""
        size = int(np.prod(self._shape))
        self._scratch.seek(row * size)
        return np.frombuffer(self._scratch.read(size), np.uint8).reshape(self._shape)

    def facts(self) -> list[Facts]:
        """What was added besides pixels, in that order; nothing if nothing was."""
        if not self._modes:
            return []
        return [
            Facts(
                digests=np.frombuffer(self._digests, np.uint8).reshape(-1, 16),
                phash=np.frombuffer(self._phash, np.uint64),
                sizes=np.frombuffer(self._sizes, np.int32).reshape(-1, 2),
                modes=np.array(self._modes),
            )
        ]


def _row(sample: Sample, preprocess: ImagePreprocess) -> tuple[Row, np.ndarray]:
    """Decode and preprocess one sample. Every failure is a `FileUnreadable` that names it."""
    picture = read_picture(sample)
    try:
        pixels = preprocess(picture)
    except DataError as error:
        raise FileUnreadable(f"{sample.id}: {error.seen}", why=error.why, fix=error.fix) from error
    height, width = picture.pixels.shape[:2]
    return Row(picture.digest(), perceptual_hash(pixels), (height, width), picture.mode), pixels
