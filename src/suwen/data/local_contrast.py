"""Contrast against the surroundings: one picture as bright in its corners as in its middle, and as another picture."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SURROUNDINGS = 1 / 20
"""σ of the Gaussian that tells what is around a pixel, as a share of the shorter side: some vessels wide in a fundus
photograph, some cells wide in a micrograph."""

RANGE = 3.0
"""Deviations from the surroundings that are black and white."""

FLAT = 0.1
"""Share of the whole picture's deviation that is added to that of the surroundings: noise of empty parts stays low."""

LEAST = 0.1
"""Deviation, in grey levels, that is added besides: where there is nothing, rounding is not shown."""

DARK = 0.1
"""What is darker than this share of the picture's bright pixels in every channel is its margin, as around a fundus."""


def local_contrast(shades: np.ndarray) -> np.ndarray:
    """uint8 ``(H, W)`` or ``(H, W, C)`` → the same: ``128 + 127 (x - μ) / (3 σ)``, clipped, of each channel alone.

    μ and σ are mean and deviation of a pixel's surroundings, by a Gaussian (subtractive and divisive normalisation:
    Jarrett et al., ICCV 2009, section 2.1; of fundus photographs Foracchia et al., Med Image Anal 2005;9:179). Black
    margins are no surroundings, and come out as 128. A fourth channel is opacity and stays as it is.
    """
    if shades.ndim == 3 and shades.shape[2] == 4:
        return np.concatenate([local_contrast(shades[..., :3]), shades[..., 3:]], axis=2)
    values = shades.reshape(*shades.shape[:2], -1).astype(np.float32)
    brightest = values.max(axis=2)
    inside = (brightest > DARK * np.percentile(brightest, 99)).astype(np.float32)
    sigma = max(1.0, min(shades.shape[:2]) * SURROUNDINGS)
    weight = np.maximum(_around(inside, sigma), 1e-6)
    found = np.empty(values.shape, np.uint8)
    for channel in range(values.shape[2]):
        plane = values[..., channel]
        apart = (plane - _around(plane * inside, sigma) / weight) * inside
        flat = (FLAT * plane.std(where=inside > 0)) ** 2 if inside.any() else 0.0
        deviation = np.sqrt(_around(apart**2, sigma) / weight + flat + LEAST**2)
        found[..., channel] = np.rint(np.clip(128 + 127 / RANGE * apart / deviation, 0, 255))
    return found.reshape(shades.shape)


def _around(plane: np.ndarray, sigma: float) -> np.ndarray:
    found: np.ndarray = gaussian_filter(plane, sigma, mode="nearest", truncate=3.0)
    return found
