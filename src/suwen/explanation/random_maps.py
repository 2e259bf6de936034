"""Random maps: what a method must beat. White noise is too easy a rival, so there are smooth ones too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

WIDTHS: dict[str, float] = {"noise": 0.0, "smooth 1/16": 1 / 16, "smooth 1/8": 1 / 8, "smooth 1/4": 1 / 4}
"""Kind → deviation of the Gaussian that smooths it, as a share of the longest side."""


def random_maps(shape: tuple[int, ...], *, seed: int, each: int = 2) -> dict[str, np.ndarray]:
    """Kind → `each` maps ``(each, *shape)`` of standard normal noise, smoothed to that kind's width."""
    rng = np.random.default_rng(seed)
    found = {}
    for kind, width in WIDTHS.items():
        noise = rng.standard_normal((each, *shape))
        sigma = (0.0, *(width * max(shape) for _ in shape))
        found[kind] = gaussian_filter(noise, sigma, mode="wrap").astype(np.float32)
    return found


def moved(attribution: np.ndarray, rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """The same map at chance places: shifted around the border and mirrored by lot.

    Its values, its smoothness and its shapes are the method's own; only where they lie is left to chance.
    """
    for _ in range(count):
        found = attribution
        for axis, length in enumerate(attribution.shape):
            found = np.roll(found, int(rng.integers(length)), axis)
            found = np.flip(found, axis) if rng.random() < 0.5 else found
        yield np.ascontiguousarray(found)


def with_values_of(noise: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """The noise with its values replaced, rank by rank, by those of `attribution`: the same statistics."""
    found = np.empty(noise.size, attribution.dtype)
    found[np.argsort(noise, axis=None, kind="stable")] = np.sort(attribution, axis=None)
    return found.reshape(noise.shape)
