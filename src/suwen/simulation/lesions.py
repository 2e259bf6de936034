"""What is wrong on a film: one nodule or one opacity, its shadow, its mask and its box.

A nodule is at most 30 mm across (Fleischner Society glossary: Hansell et al., Radiology 2008;246:697). All other sizes
and all contrasts are invented; the contrasts reach below what any observer can see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from suwen.simulation.anatomy import HALF_FIELD_MM, Pixels
from suwen.simulation.chest import Chest

Finding = Literal["nodule", "opacity"]
Mask = NDArray[np.bool_]
Profile = Callable[[Pixels, Pixels, NDArray[np.float64]], Pixels]


CONSPICUITY = ((0.94, 0.40, 1.0), (0.06, 0.0, 0.008))
"""Contrast as a fraction of the clearest of its size: (share of lesions, from, to), even in between. The second row
are occult lesions, known as if from a CT and next to invisible on the film: they keep every observer under 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion, placed in the lung and not on the film, so that it moves with the body.

    Attributes:
        side: -1 in the lung on the image's left (the subject's right), 1 in the other.
        across, down: place in that lung, see `Chest.place`.
        size_mm: diameter of a nodule, extent of an opacity.
        full_contrast: density it would add at its densest, before blur, were its conspicuity 1.
        conspicuity: fraction of the full contrast that it has, drawn from `CONSPICUITY`.
        parts: `(n, 4)` the shapes it is made of: x, y, half width and half height, in units of half the size.
    """

    finding: Finding
    side: int
    across: float
    down: float
    size_mm: float
    full_contrast: float
    conspicuity: float
    parts: NDArray[np.float32]


def draw_nodule(rng: np.random.Generator) -> Lesion:
    """A small round lesion: a sphere with one smaller bump. Its shadow is as deep as it is thick."""
    size = rng.uniform(16.0, 30.0)
    bump, direction = rng.uniform(0.3, 0.7), rng.uniform(0.0, 2.0 * np.pi)
    parts = [
        [0.0, 0.0, 1.0, rng.uniform(0.95, 1.1)],
        [0.6 * np.cos(direction), 0.6 * np.sin(direction), bump, bump],
    ]
    return Lesion(
        finding="nodule",
        side=-1 if rng.random() < 0.5 else 1,
        across=rng.uniform(0.18, 0.86),
        down=rng.uniform(0.12, 0.88),
        size_mm=size,
        full_contrast=0.027 * size,
        conspicuity=_draw_conspicuity(rng),
        parts=np.array(parts, dtype=np.float32),
    )


def draw_opacity(rng: np.random.Generator) -> Lesion:
    """A patch like a consolidation: overlapping clouds with soft borders, more often low in the lung."""
    count = int(rng.integers(3, 7))
    parts = np.concatenate([rng.normal(0.0, 0.35, (count, 2)), rng.uniform(0.25, 0.6, (count, 2))], axis=1)
    return Lesion(
        finding="opacity",
        side=-1 if rng.random() < 0.55 else 1,
        across=rng.uniform(0.2, 0.85),
        down=float(rng.beta(2.5, 1.5)) * 0.8 + 0.12,
        size_mm=rng.uniform(40.0, 130.0),
        full_contrast=0.36,
        conspicuity=_draw_conspicuity(rng),
        parts=parts.astype(np.float32),
    )


def _draw_conspicuity(rng: np.random.Generator) -> float:
    shares, lows, highs = np.transpose(CONSPICUITY)
    kind = rng.choice(len(shares), p=shares)
    return float(rng.uniform(lows[kind], highs[kind]))


def shadow(lesion: Lesion, chest: Chest) -> tuple[Pixels, Mask]:
    """The density `lesion` adds to `chest` at full contrast, and its pixels: both `(size, size)`, the mask never empty.

    A nodule's mask is all of its shadow, an opacity's where the shadow is deeper than 0.4 of its deepest.
    A lesion no larger than a pixel is spread over one (its radius r becomes hypot(r, 0.75 pixel) and its contrast
    falls with the area), as a detector would record it, so that some pixel's centre always lies inside.
    """
    x, y = chest.place(lesion.side, lesion.across, lesion.down)
    radius, pixel = 0.5 * lesion.size_mm / HALF_FIELD_MM, 2.0 / (chest.size * chest.pose.zoom)
    spread = float(np.hypot(radius, 0.75 * pixel))
    u, v = (chest.x - x) / spread, (chest.y - y) / spread
    if lesion.finding == "nodule":
        profile, limit = _sphere(u, v, lesion.parts), 0.0
    else:
        profile, limit = _cloud(u, v, lesion.parts) * chest.lung, 0.4
    return profile * (lesion.full_contrast * (radius / spread) ** 2), profile > limit * profile.max()


def bounding_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """First column, first row, last column, last row of what is set (from 0, all inclusive), or None if nothing is."""
    if not mask.any():
        return None
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def _sphere(u: Pixels, v: Pixels, parts: NDArray[np.float32]) -> Pixels:
    """Thickness of overlapping balls, 1 at the centre of the first."""
    nearest: Pixels = np.min(_distances(u, v, parts), axis=0)
    return np.asarray(np.sqrt(np.maximum(1.0 - nearest, 0.0)))


def _cloud(u: Pixels, v: Pixels, parts: NDArray[np.float32]) -> Pixels:
    """Overlapping clouds without a border, saturating at 1."""
    depth: Pixels = np.sum([np.exp(-r) for r in _distances(u, v, parts)], axis=0)
    return np.asarray(1.0 - np.exp(-1.5 * depth))


def _distances(u: Pixels, v: Pixels, parts: NDArray[np.float32]) -> list[Pixels]:
    """Squared elliptic distance of every pixel from each part."""
    return [((u - x) / width) ** 2 + ((v - y) / height) ** 2 for x, y, width, height in parts]
