"""Pages of mapped arrays, given back once they are read."""

from __future__ import annotations

import mmap

import numpy as np


def release(array: np.ndarray, first: int, last: int) -> None:
    """Let go of what a mapped, read-only array has in memory from element `first` to `last`.

    The system keeps it as long as nobody needs the room, and maps it again where it is read again: what is counted as
    used by the process stays small, however large the file. Other arrays, and other systems than those that can do
    this (``madvise(2)``), are left as they are.
    """
    mapped = _mapped(array)
    if mapped is None or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begins = np.frombuffer(mapped, np.uint8, 1).ctypes.data
    start, end = (array.ctypes.data - begins + each * array.itemsize for each in (first, last))
    start, end = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
    if start < end:
        mapped.madvise(mmap.MADV_DONTNEED, start, end - start)


def _mapped(array: np.ndarray) -> mmap.mmap | None:
    """The file behind an array that nobody can write to: what was written to one of one's own would be lost."""
    if array.ndim != 1 or array.strides != (array.itemsize,):
        return None
    found: object = array
    while isinstance(found, np.ndarray):
        if isinstance(found, np.memmap) and found.mode != "r":
            return None
        found = found.base
    return found if isinstance(found, mmap.mmap) else None
