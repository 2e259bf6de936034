"""Decoded pixels on disk, one folder for each set of contents and preprocessing, written once and then mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from suwen.core.errors import SuwenError
from suwen.data.contents import cache_root
from suwen.data.preprocess import ImagePreprocess
from suwen.data.room import hold, make_room, room_limit
from suwen.data.samples import sortable

FORMAT = 1
"""Raise it whenever the files below, the preprocessing or the decoding change what is stored."""

BLOCK_BYTES, BLOCKS = 1 << 16, 1024
STALE_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one decoded picture: its columns but for the pixels, see `Columns`."""

    digest: bytes
    phash: int
    size: tuple[int, int]
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of N decoded pictures besides their pixels.

    Attributes:
        digests: uint8 (N, 16), the `Picture.digest` of each source.
        phash: uint64 (N,), the `perceptual_hash` of each row of pixels.
        sizes: int32 (N, 2), height and width before preprocessing.
        modes: str (N,), `Picture.mode`.
    """

    digests: np.ndarray
    phash: np.ndarray
    sizes: np.ndarray
    modes: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns(Facts):
    """Facts and pixels. What the cache holds is in order of digest.

    Attributes:
        pixels: uint8 (N, C, H, W), mapped from disk, read-only.
    """

    pixels: np.memmap


class PixelRows(Protocol):
    """Pixels (C, H, W) by row number: a mapped array, or a file that is read."""

    def __getitem__(self, row: int, /) -> np.ndarray:
        """One row."""
        ...


def locate(parts: Sequence[Facts], digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each digest (N, 16) the number of the last of `parts` that holds it, or -1, and its row there."""
    part, row = np.full(len(digests), -1, np.int32), np.zeros(len(digests), np.int64)
    wanted = sortable(digests)
    for number, columns in enumerate(parts):
        there = sortable(columns.digests)
        order = np.argsort(there, kind="stable")
        place = order[np.searchsorted(there, wanted, sorter=order).clip(max=len(there) - 1)]
        found = there[place] == wanted
        part[found], row[found] = number, place[found]
    return part, row


def gather(
    parts: Sequence[Facts], pixels: Sequence[PixelRows], digests: np.ndarray
) -> tuple[Facts, Iterator[np.ndarray]]:
    """The facts of pictures that `parts` hold, and their pixels (C, H, W), which `pixels` hold, one after another."""
    part, row = locate(parts, digests)
    kind = np.result_type(*(columns.modes for columns in parts))
    phash, sizes = np.zeros(len(digests), np.uint64), np.zeros((len(digests), 2), np.int32)
    modes = np.zeros(len(digests), kind)
    for number, columns in enumerate(parts):
        mine = np.flatnonzero(part == number)
        theirs = row[mine]
        phash[mine], sizes[mine], modes[mine] = columns.phash[theirs], columns.sizes[theirs], columns.modes[theirs]
    images = (pixels[number][int(place)] for number, place in zip(part, row, strict=True))
    return Facts(digests=digests, phash=phash, sizes=sizes, modes=modes), images


class PixelCache:
    """The folders of one preprocessing.

    A folder appears under its final name only when it is complete, so that an interrupted or failed build leaves
    what was there before. A folder that fails its check is taken away and built again.
    """

    def __init__(self, preprocess: ImagePreprocess, cache: Path | None) -> None:
        settings = f"{FORMAT} {preprocess.model_dump_json()}"
        self.folder = cache_root(cache) / "images" / _hash(settings.encode())
        self.shape = (preprocess.channels, preprocess.size, preprocess.size)

    def key(self, digests: np.ndarray) -> str:
        """The folder name for a set of contents, uint8 (N, 16)."""
        return _hash(np.sort(sortable(digests)).tobytes())

    def open(self, key: str) -> Columns | None:
        """The columns, or None if they are not there or are damaged."""
        folder = self.folder / key
        if not folder.is_dir():
            return None
        held = hold(folder)
        columns = self._checked(folder)
        if columns is None:
            shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            if columns is None:
                held.close()
            else:
                weakref.finalize(columns.pixels, held.close)
        return columns

    def make_room(self) -> None:
        """Keep the sets of all preprocessings together within `room_limit`; those that are open stay."""
        make_room(self.folder.parent, room_limit())

    def find(self) -> list[Columns]:
        """Every set that was decoded with this preprocessing."""
        folders = [folder for folder in sorted(self.folder.glob("*")) if not folder.name.startswith(".")]
        return [columns for folder in folders if (columns := self.open(folder.name)) is not None]

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder that vanishes at the end. What cannot be written (a full disk …) becomes a `SuwenError`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".building-") as folder:
                yield Path(folder)
        except OSError as error:
            raise SuwenError(
                f"{self.folder}: {error.strerror or error}",
                why="the decoded pixels cannot be written; what was there before is still there",
                fix="free some space, or put the cache on another disk with XDG_CACHE_HOME=/path",
            ) from error

    def store(self, workspace: Path, facts: Facts, pixels: Iterable[np.ndarray]) -> str:
        """Write a complete folder and give its key. `pixels` are (C, H, W) in the order of `facts`, that of digest."""
        key = self.key(facts.digests)
        folder = workspace / key
        folder.mkdir()
        with (folder / "pixels.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(facts.digests), *self.shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for image in pixels:
                file.write(image.tobytes())
        np.savez(folder / "columns.npz", digests=facts.digests, phash=facts.phash, sizes=facts.sizes, modes=facts.modes)
        checks = {name: spot_check(folder / name) for name in ("pixels.npy", "columns.npz")}
        (folder / "check.json").write_text(json.dumps(checks), encoding="utf-8")
        final = self.folder / key
        if final.exists() and self._checked(final) is None:
            shutil.rmtree(final, ignore_errors=True)
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was faster, with the same content
                raise
        return key

    def _checked(self, folder: Path) -> Columns | None:
        try:
            checks = json.loads((folder / "check.json").read_text(encoding="utf-8"))
            if any(spot_check(folder / name) != checks[name] for name in ("pixels.npy", "columns.npz")):
                return None
            pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
            with np.load(folder / "columns.npz", allow_pickle=False) as file:
                columns = Columns(pixels=pixels, **{name: file[name] for name in file.files})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return columns if pixels.shape == (len(columns.digests), *self.shape) else None

    def _sweep(self) -> None:
        """Remove workspaces that a killed process left over a day ago."""
        for folder in self.folder.glob(".building-*"):
            if time.time() - folder.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def spot_check(path: Path) -> str:
    """Size and hash of a file: of all of it up to 64 MiB, of 1,024 blocks spread evenly over larger ones."""
    size = path.stat().st_size
    state = hashlib.blake2b(str(size).encode(), digest_size=16)
    starts = np.unique(np.linspace(0, max(0, size - BLOCK_BYTES), BLOCKS).astype(np.int64))
    with path.open("rb") as file:
        for block in _all(file) if size <= BLOCK_BYTES * BLOCKS else _at(file, starts):
            state.update(block)
    return state.hexdigest()


def _all(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK_BYTES):
        yield block


def _at(file: BinaryIO, starts: np.ndarray) -> Iterator[bytes]:
    for start in starts:
        file.seek(int(start))
        yield file.read(BLOCK_BYTES)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
