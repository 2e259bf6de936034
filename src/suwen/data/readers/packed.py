"""One array of an ``.npz`` file, unpacked a block of rows at a time."""

from __future__ import annotations

import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np

from suwen.core.errors import DataError

BLOCK = 1 << 20
"""Bytes of unpacked rows that are held at a time."""


class PackedRows:
    """Rows of an array in an ``.npz`` file, read in order without ever unpacking the whole.

    Going forward costs what lies between; going back starts from the beginning of the array again.

    Args:
        path: the file.
        name: of the array, ``"train_images"``.

    Raises:
        ValueError, OSError, zipfile.BadZipFile …: it is damaged, holds objects, or is stored column by column.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._lock = threading.Lock()
        self._file = zipfile.ZipFile(path).open(f"{name}.npy")  # noqa: SIM115  (read from as long as this lives)
        version = np.lib.format.read_magic(self._file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        self.shape, by_column, self.dtype = read_header(self._file)
        if self.dtype.hasobject:
            raise ValueError(f"{name} holds objects")
        if by_column and len(self.shape) > 1:
            raise ValueError(f"{name} is stored column by column (Fortran order); save numpy.ascontiguousarray of it")
        self._start = self._file.tell()
        self._row_bytes = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        self._rows = max(1, BLOCK // max(1, self._row_bytes))
        self._block, self._first = b"", 0

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, row: int) -> np.ndarray:
        """One row, read-only.

        Raises:
            DataError: the file is damaged, or has changed since it was opened.
        """
        with self._lock:
            try:
                place = self._place(row)
            except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
                raise DataError(
                    f"{self.path}: {self.name}[{row}]: {error}",
                    why="it is damaged, or was changed while it was read",
                    fix="save plain arrays with numpy.savez_compressed",
                ) from error
            content = self._block[place : place + self._row_bytes]
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:])

    def check_end(self) -> None:
        """Read what is left, so that the checksum of the whole is compared.

        Raises:
            zipfile.BadZipFile: it does not agree.
        """
        with self._lock:
            while self._file.read(BLOCK):
                pass
            self._block = b""

    def _place(self, row: int) -> int:
        """Where a row begins in the block, which is read if it is not there."""
        if not self._first <= row < self._first + len(self._block) // max(1, self._row_bytes):
            first = row - row % self._rows
            self._file.seek(self._start + first * self._row_bytes)
            self._first, self._block = first, self._file.read(min(self._rows, len(self) - first) * self._row_bytes)
        place = (row - self._first) * self._row_bytes
        if place + self._row_bytes > len(self._block):
            raise EOFError("it ends before its last row")
        return place
