"""Arrays on another grid of the same extent."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

PIXELS_AT_A_TIME = 1 << 24
"""Of what is read and of the result, in memory as floats."""


def resampled(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """``(C, *S)`` on the grid `shape`, linearly; antialiased where it gets smaller. The type stays.

    Pixel i of n covers the stretch from i/n to (i + 1)/n, so that both grids cover the same extent.
    """
    if tuple(values.shape[1:]) == tuple(shape):
        return values
    factors = [old / new for old, new in zip(values.shape[1:], shape, strict=True)]
    # a Gaussian of half a new pixel's excess keeps what is finer than the new grid from turning into moire
    deviations = [max(0.0, (factor - 1) / 2) for factor in factors]
    offsets = [(factor - 1) / 2 for factor in factors]
    whole = values.dtype.kind in "iu"
    found = np.empty((len(values), *shape), values.dtype)
    across = max(int(np.prod(shape[1:])), int(np.prod(values.shape[2:]) * factors[0]))
    layers = max(1, PIXELS_AT_A_TIME // max(1, across))
    beyond = 2 + int(np.ceil(4 * deviations[0]))  # the filter is cut off at four deviations
    for channel, start in itertools.product(range(len(values)), range(0, shape[0], layers)):
        stop = min(start + layers, shape[0])
        low = max(0, int(start * factors[0] + offsets[0]) - beyond)
        high = min(values.shape[1], int((stop - 1) * factors[0] + offsets[0]) + beyond + 1)
        smooth = values[channel, low:high].astype(np.float32)
        if any(deviations):
            smooth = ndimage.gaussian_filter(smooth, deviations, mode="nearest")
        places = [start * factors[0] + offsets[0] - low, *offsets[1:]]
        size = (stop - start, *shape[1:])
        moved = ndimage.affine_transform(smooth, factors, places, size, order=1, mode="nearest")
        found[channel, start:stop] = np.rint(moved) if whole else moved
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
