"""Decoded pixels on disk, one folder for each set of contents and preprocessing, written once and then mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from suwen.core.errors import SuwenError
from suwen.data.contents import cache_root
from suwen.data.preprocess import ImagePreprocess

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
class Columns:
    """What the cache holds, in order of digest.

    Attributes:
        digests: uint8 (N, 16), the `Picture.digest` of each source.
        phash: uint64 (N,), the `perceptual_hash` of each row of pixels.
        sizes: int32 (N, 2), height and width before preprocessing.
        modes: str (N,), `Picture.mode`.
        pixels: uint8 (N, C, H, W), mapped from disk, read-only.
    """

    digests: np.ndarray
    phash: np.ndarray
    sizes: np.ndarray
    modes: np.ndarray
    pixels: np.memmap

    def row(self, index: int) -> Row:
        """One row without its pixels."""
        height, width = self.sizes[index].tolist()
        return Row(self.digests[index].tobytes(), int(self.phash[index]), (height, width), str(self.modes[index]))


class PixelCache:
    """The folders of one preprocessing.

    A folder appears under its final name only when it is complete, so that an interrupted or failed build leaves
    what was there before. A folder that fails its check is taken away and built again.
    """

    def __init__(self, preprocess: ImagePreprocess, cache: Path | None) -> None:
        settings = f"{FORMAT} {preprocess.model_dump_json()}"
        self.folder = cache_root(cache) / "images" / _hash(settings.encode())
        self.shape = (preprocess.channels, preprocess.size, preprocess.size)

    def key(self, digests: Iterable[bytes]) -> str:
        """The folder name for a set of contents."""
        return _hash(b"".join(sorted(digests)))

    def open(self, key: str) -> Columns | None:
        """The columns, or None if they are not there or are damaged."""
        folder = self.folder / key
        if not folder.is_dir():
            return None
        columns = self._checked(folder)
        if columns is None:
            shutil.rmtree(folder, ignore_errors=True)
        return columns

    def find(self) -> dict[bytes, tuple[Columns, int]]:
        """Everything decoded with this preprocessing in any set: content digest to where it is."""
        found: dict[bytes, tuple[Columns, int]] = {}
        for folder in sorted(self.folder.glob("*")):
            columns = None if folder.name.startswith(".") else self.open(folder.name)
            if columns is not None:
                found.update((digest.tobytes(), (columns, row)) for row, digest in enumerate(columns.digests))
        return found

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

    def store(self, workspace: Path, rows: Sequence[Row], pixels: Iterable[np.ndarray]) -> str:
        """Write a complete folder and give its key. `pixels` are (C, H, W) in the order of `rows`, sorted by digest."""
        key = self.key(row.digest for row in rows)
        folder = workspace / key
        folder.mkdir()
        with (folder / "pixels.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *self.shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for image in pixels:
                file.write(image.tobytes())
        np.savez(
            folder / "columns.npz",
            digests=np.frombuffer(b"".join(row.digest for row in rows), np.uint8).reshape(-1, 16),
            phash=np.array([row.phash for row in rows], np.uint64),
            sizes=np.array([row.size for row in rows], np.int32),
            modes=np.array([row.mode for row in rows]),
        )
        checks = {name: _spot_check(folder / name) for name in ("pixels.npy", "columns.npz")}
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
            if any(_spot_check(folder / name) != checks[name] for name in ("pixels.npy", "columns.npz")):
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


def _spot_check(path: Path) -> str:
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
