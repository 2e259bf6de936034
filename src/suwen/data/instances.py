"""Masks in which each value is an object."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def numbered(ids: np.ndarray) -> np.ndarray:
    """int32: the same objects with the numbers 1, 2, …; 0 stays."""
    known, place = np.unique(ids, return_inverse=True)
    first = 0 if len(known) and known[0] == 0 else 1
    return (place.reshape(ids.shape) + first).astype(np.int32)


def touching(ids: np.ndarray) -> np.ndarray:
    """bool: pixels of an object with a pixel of another one beside them, at a side or a corner."""
    largest = ndimage.maximum_filter(ids, size=3, mode="nearest")
    high = np.iinfo(ids.dtype).max
    smallest = ndimage.minimum_filter(np.where(ids == 0, high, ids), size=3, mode="nearest")
    return np.asarray((ids > 0) & (largest != smallest) & (smallest < high))
