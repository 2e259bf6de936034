"""Images of any size with their masks on disk, one folder for each set and preprocessing, written once and mapped."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suwen.core.errors import SuwenError
from suwen.data.cache import spot_check
from suwen.data.contents import cache_root
from suwen.data.grid import Grid
from suwen.data.room import hold, make_room, room_limit

FORMAT = 1
"""Raise it whenever the files below, the preprocessing or the decoding change what is stored."""

POINTS = 1024
"""Places of each label that are kept of each image, to draw patches around."""


@dataclass(frozen=True, slots=True)
class Case:
    """One image, ready to be stored.

    Attributes:
        pixels: uint8 (C, *S).
        codes: uint8 (*S), or None where there is no mask.
        grid: of the file.
        mode: how the file stores it.
        digest: 16 bytes, equal for equal images.
    """

    pixels: np.ndarray
    codes: np.ndarray | None
    grid: Grid
    mode: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseColumns:
    """A stored set of N images of S dimensions.

    Attributes:
        pixels, codes: uint8, all images one after another, mapped from disk.
        shapes: int64 (N, S), of the preprocessed images.
        own_shapes: int64 (N, S), of the files.
        affines: float64 (N, 4, 4), see `Grid`; NaN for images, which have none.
        labelled: bool (N,), whether it has codes.
        counts: int64 (N, 256), how many pixels have each code.
        digests: uint8 (N, 16).
        modes: str (N,).
        points: int32 (M, S) places in images; those of code k in image n are from ``starts[n, k]`` on.
        starts: int64 (N, 257).
        channels: C.
    """

    pixels: np.memmap
    codes: np.memmap
    shapes: np.ndarray
    own_shapes: np.ndarray
    affines: np.ndarray
    labelled: np.ndarray
    counts: np.ndarray
    digests: np.ndarray
    modes: np.ndarray
    points: np.ndarray
    starts: np.ndarray
    channels: int


class CaseCache:
    """The folders of one preprocessing. A folder appears under its name only when it is complete."""

    def __init__(self, settings: str, cache: Path | None) -> None:
        self.folder = cache_root(cache) / "cases" / _hash(f"{FORMAT} {settings}")

    def open(self, key: str) -> CaseColumns | None:
        """The columns, or None if they are not there or are damaged."""
        folder = self.folder / key
        if not folder.is_dir():
            return None
        held = hold(folder)
        columns = _checked(folder)
        if columns is None:
            shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            if columns is None:
                held.close()
            else:
                weakref.finalize(columns.pixels, held.close)
        return columns

    def store(self, cases: Iterable[Case], name: Callable[[], str]) -> CaseColumns:
        """Write a folder from the cases, one after another, and open it; `name` is asked when all have been seen."""
        with self._workspace() as workspace:
            folder = workspace / "new"
            folder.mkdir()
            _write(folder, cases)
            key = name()
            checks = {name: spot_check(folder / name) for name in ("pixels.bin", "codes.bin", "columns.npz")}
            (folder / "check.json").write_text(json.dumps(checks), encoding="utf-8")
            final = self.folder / key
            try:
                folder.rename(final)
            except OSError:
                if not final.is_dir():  # else another process was faster, with the same content
                    raise
        columns = self.open(key)
        if columns is None:
            raise SuwenError(f"{final} cannot be read back", why="the disk is full or damaged", fix="check the disk")
        make_room(self.folder.parent, room_limit())
        return columns

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".building-") as folder:
                yield Path(folder)
        except OSError as error:
            raise SuwenError(
                f"{self.folder}: {error.strerror or error}",
                why="the decoded pixels cannot be written; what was there before is still there",
                fix="free some space, or put the cache on another disk with XDG_CACHE_HOME=/path",
            ) from error


def _write(folder: Path, cases: Iterable[Case]) -> None:
    shapes, own, affines, labelled, counts, digests, modes, points, starts = [], [], [], [], [], [], [], [], []
    channels, found = 1, 0
    with (folder / "pixels.bin").open("wb") as pixels, (folder / "codes.bin").open("wb") as codes:
        for case in cases:
            channels = len(case.pixels)
            pixels.write(np.ascontiguousarray(case.pixels).data)
            shapes.append(case.pixels.shape[1:])
            own.append(case.grid.shape)
            affines.append(np.full((4, 4), np.nan) if case.grid.affine is None else case.grid.affine)
            labelled.append(case.codes is not None)
            digests.append(np.frombuffer(case.digest, np.uint8))
            modes.append(case.mode)
            mask = np.full(shapes[-1], 255, np.uint8) if case.codes is None else case.codes
            codes.write(np.ascontiguousarray(mask).data)
            counts.append(np.bincount(mask.reshape(-1), minlength=256))
            begins = [found]
            for code in range(256):
                if counts[-1][code] and case.codes is not None:
                    points.append(_places(mask, code, counts[-1][code]))
                    found += len(points[-1])
                begins.append(found)
            starts.append(begins)
    dims = len(shapes[0]) if shapes else 0
    np.savez(
        folder / "columns.npz",
        shapes=np.array(shapes, np.int64),
        own_shapes=np.array(own, np.int64),
        affines=np.array(affines, np.float64),
        labelled=np.array(labelled),
        counts=np.array(counts, np.int64),
        digests=np.array(digests, np.uint8),
        modes=np.array(modes),
        points=np.concatenate([np.zeros((0, dims), np.int32), *points]),
        starts=np.array(starts, np.int64),
        channels=np.array(channels),
    )


def _places(mask: np.ndarray, code: int, count: int) -> np.ndarray:
    """int32 (n, S): up to `POINTS` places of a code, drawn by its position in the mask alone."""
    flat = np.flatnonzero(mask.reshape(-1) == code)
    if count > POINTS:
        flat = np.sort(np.random.default_rng([code, count]).choice(flat, POINTS, replace=False))
    return np.stack(np.unravel_index(flat, mask.shape), axis=1).astype(np.int32)


def _checked(folder: Path) -> CaseColumns | None:
    try:
        checks = json.loads((folder / "check.json").read_text(encoding="utf-8"))
        if any(spot_check(folder / name) != checks[name] for name in ("pixels.bin", "codes.bin", "columns.npz")):
            return None
        with np.load(folder / "columns.npz", allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        channels = int(held.pop("channels"))
        pixels = np.memmap(folder / "pixels.bin", np.uint8, "r")
        codes = np.memmap(folder / "codes.bin", np.uint8, "r")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return CaseColumns(pixels=pixels, codes=codes, channels=channels, **held)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
