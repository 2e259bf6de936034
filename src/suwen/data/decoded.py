"""From Samples to decoded columns: each picture decoded once, and never again while its file is unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data.cache import Columns, PixelCache, Row
from suwen.data.contents import DigestTable, Stamp, for_each, read_picture, stamp
from suwen.data.phash import perceptual_hash
from suwen.data.preprocess import ImagePreprocess
from suwen.data.progress import track


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of each sample.

    Attributes:
        columns: of the samples that could be decoded, ordered by digest; None if there are none.
        digests: of each sample, in the order of the samples; None where it could not be decoded.
        failures: position of a sample to the reason why it could not be decoded.
    """

    columns: Columns | None
    digests: list[bytes | None]
    failures: dict[int, DataError]


def decode(samples: Sequence[Sample], preprocess: ImagePreprocess, *, cache: Path | None, progress: bool) -> Decoded:
    """Decode and preprocess the samples into the cache, reusing what it holds. See `suwen.data.columns.build`."""
    store, table = PixelCache(preprocess, cache), DigestTable(samples, cache)
    looked_at = track(samples, "Looking at images", len(samples), enabled=progress)
    digests = [table.get(sample) for sample in looked_at]
    known = [digest for digest in digests if digest is not None]
    if len(known) == len(samples) and (columns := store.open(store.key(known))):
        return Decoded(columns, digests, {})

    def work(sample: Sample) -> tuple[Stamp, Row, np.ndarray]:
        return stamp(sample.source), *_row(sample, preprocess)

    failures: dict[int, DataError] = {}
    with store.workspace() as folder, (folder / "scratch").open("w+b") as scratch:
        rows = _Rows(store, scratch)
        todo = [index for index, digest in enumerate(digests) if digest not in rows.found]
        results = for_each([samples[index] for index in todo], work, "Decoding images", progress=progress)
        for index, (sample, result) in zip(todo, results, strict=True):
            if isinstance(result, DataError):
                failures[index], digests[index] = result, None
                continue
            when, row, pixels = result
            rows.add(row, pixels)
            table.add(sample, when, row.digest)
            digests[index] = row.digest
        table.save()
        contents = sorted(digest for digest in digests if digest is not None)
        if not contents:
            return Decoded(None, digests, failures)
        columns = store.open(store.key(contents))
        if columns is None:
            images = track(rows.pixels(contents), "Writing the cache", len(contents), enabled=progress)
            columns = store.open(store.store(folder, [rows.row(digest) for digest in contents], images))
    return Decoded(columns, digests, failures)


class _Rows:
    """Decoded rows by digest: those of earlier caches, and new ones in a scratch file."""

    def __init__(self, store: PixelCache, scratch: BinaryIO) -> None:
        self.found = store.find()
        self._scratch, self._shape = scratch, store.shape
        self._new: dict[bytes, tuple[Row, int]] = {}

    def add(self, row: Row, pixels: np.ndarray) -> None:
        """Write the pixels of a new row to the scratch file, unless an equal picture was there."""
        if row.digest not in self._new:
            self._new[row.digest] = (row, len(self._new))
            self._scratch.write(pixels.tobytes())

    def row(self, digest: bytes) -> Row:
        """What is known of a picture, old or new."""
        return self._new[digest][0] if digest in self._new else self.found[digest][0].row(self.found[digest][1])

    def pixels(self, digests: Sequence[bytes]) -> Iterator[np.ndarray]:
        """Read the pixels (C, H, W) of pictures back, one after another."""
        size = int(np.prod(self._shape))
        for digest in digests:
            if digest in self._new:
                self._scratch.seek(self._new[digest][1] * size)
                yield np.frombuffer(self._scratch.read(size), np.uint8).reshape(self._shape)
            else:
                columns, row = self.found[digest]
                yield columns.pixels[row]


def _row(sample: Sample, preprocess: ImagePreprocess) -> tuple[Row, np.ndarray]:
    """Decode and preprocess one sample. Every failure is a `FileUnreadable` that names it."""
    picture = read_picture(sample)
    try:
        pixels = preprocess(picture)
    except DataError as error:
        raise FileUnreadable(f"{sample.id}: {error.seen}", why=error.why, fix=error.fix) from error
    height, width = picture.pixels.shape[:2]
    return Row(picture.digest(), perceptual_hash(pixels), (height, width), picture.mode), pixels
