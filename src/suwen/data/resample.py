"""Arrays on another grid of the same extent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def resampled(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """``(C, *S)`` on the grid `shape`, linearly; antialiased where it gets smaller. The type stays.

    Pixel i of n covers the stretch from i/n to (i + 1)/n, so that both grids cover the same extent.
    """
    if tuple(values.shape[1:]) == tuple(shape):
        return values
    factors = [old / new for old, new in zip(values.shape[1:], shape, strict=True)]
    whole = values.dtype.kind in "iu"
    found = np.empty((len(values), *shape), values.dtype)
    for channel, plane in enumerate(values):
        smooth = plane.astype(np.float32)
        # a Gaussian of half a new pixel's excess keeps what is finer than the new grid from turning into moire
        deviations = [max(0.0, (factor - 1) / 2) for factor in factors]
        if any(deviations):
            smooth = ndimage.gaussian_filter(smooth, deviations, mode="nearest")
        offsets = [(factor - 1) / 2 for factor in factors]
        moved = ndimage.affine_transform(smooth, factors, offsets, tuple(shape), order=1, mode="nearest")
        found[channel] = np.rint(moved) if whole else moved
    return found


def nearest(codes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Codes ``(*S)`` on the grid `shape`: each new pixel has that of the old one in which its centre lies."""
    if tuple(codes.shape) == tuple(shape):
        return codes
    places = [
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for old, new in zip(codes.shape, shape, strict=True)
    ]
    return codes[np.ix_(*places)]
