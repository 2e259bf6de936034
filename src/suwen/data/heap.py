"""Memory that Python has freed and the C library still holds, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Return what is free at the heap's end and between what is in use; see malloc_trim(3).

    glibc keeps the many small pieces that decoding leaves behind, and they would stay with the process, growing with
    the number of images, for as long as it trains. Elsewhere than with glibc nothing is done.
    """
    gc.collect()
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
