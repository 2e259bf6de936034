"""The chest on a film: where tissue lies, and how much X-ray it stops.

`Chest` is a pure function of an `Anatomy`, a `Pose` and a size in pixels. Coordinates: x to the right of the image
(the subject's left, as films are hung), y down, the film from -1 to 1. Density stands for the logarithm of attenuation,
in arbitrary units: bright where dense. All shapes and densities are invented to look like a chest film.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from suwen.simulation.anatomy import RAYS, TEXTURE_CELLS, Anatomy, Pixels, Pose

BASE = 0.30
"""The y below which the lungs no longer widen."""


def step(distance: Pixels, width: float) -> Pixels:
    """0 to 1 as `distance` goes from minus to plus half of `width`, smoothly (3t² - 2t³)."""
    t: Pixels = np.clip(distance * (1.0 / width) + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def ellipse(x: Pixels, y: Pixels, across: float, along: float) -> Pixels:
    """1 at the centre, 0 on the ellipse with these half axes, negative outside."""
    return 1.0 - (x * (1.0 / across)) ** 2 - (y * (1.0 / along)) ** 2


class Chest:
    """The chest `anatomy` in `pose`, seen on `size` by `size` pixels; all arrays are of that shape and float32.

    Attributes:
        x, y: anatomical coordinates of every pixel, so that a place in the body stays with the body.
        out: distance from the midline.
        left: whether a pixel lies on the image's right, the subject's left.
        lung: from 0 outside to 1 inside the lung fields.
        density: what a perfect detector without noise would record.
    """

    def __init__(self, anatomy: Anatomy, pose: Pose, size: int) -> None:
        self.anatomy, self.pose, self.size = anatomy, pose, size
        self.midline = pose.turn * anatomy.chest
        self.x, self.y = self._coordinates()
        self.left: NDArray[np.bool_] = self.x > self.midline
        self.out: Pixels = np.abs(self.x - self.midline)
        self.lung, self.cage, self.below = self._fields()
        self.density = self._density()

    def place(self, side: int, across: float, down: float) -> tuple[float, float]:
        """The x and y of a place in the lung on `side` (-1 image left, 1 right).

        Args:
            side: which lung.
            across: from 0, its medial border, to 1, the lateral one.
            down: from 0, its upper border there, to 1, the diaphragm.
        """
        centre, radius = self._lung(side)
        t = (2.0 * across - 1.0) * 0.92
        top = BASE + (self.anatomy.apex - BASE) * (1.0 - abs(t) ** 2.6) ** (1.0 / 2.2)
        bottom = self._dome(side) + self.anatomy.doming * max(t, -0.6 * t) ** 2
        return self.midline + side * (centre + radius * t), top + down * (bottom - top)

    def _coordinates(self) -> tuple[Pixels, Pixels]:
        pose = self.pose
        axis = (np.arange(self.size, dtype=np.float32) + 0.5) * (2.0 / self.size) - 1.0
        x, y = axis[None, :] - pose.shift[0], axis[:, None] - pose.shift[1]
        cos, sin = math.cos(pose.tilt) / pose.zoom, math.sin(pose.tilt) / pose.zoom
        return cos * x + sin * y, cos * y - sin * x

    def _lung(self, side: int) -> tuple[float, float]:
        """Centre and half width of a lung, from the midline outwards; turning widens one and narrows the other."""
        outer, inner = self.anatomy.chest * (1.0 - side * self.pose.turn), 0.06
        return (outer + inner) / 2.0, (outer - inner) / 2.0

    def _dome(self, side: int) -> float:
        """The y of a diaphragm dome; the left stands about 1 cm lower."""
        return self.anatomy.dome - self.pose.breath + (0.05 if side > 0 else 0.0)

    def _by_side(self, right: float, left: float) -> Pixels:
        return np.where(self.left, np.float32(left), np.float32(right))

    def _fields(self) -> tuple[Pixels, Pixels, Pixels]:
        """The lungs, the rib cage that reaches below the diaphragm, and what lies below it."""
        a = self.anatomy
        (centre_right, radius_right), (centre_left, radius_left) = self._lung(-1), self._lung(1)
        t = (self.out - self._by_side(centre_right, centre_left)) / self._by_side(radius_right, radius_left)
        above: Pixels = np.maximum((BASE - self.y) * (1.0 / (BASE - a.apex)), 0.0)
        inside: Pixels = 1.0 - np.abs(t) ** 2.6 - above**2.2
        dome: Pixels = self._by_side(self._dome(-1), self._dome(1)) + a.doming * np.maximum(t, -0.6 * t) ** 2
        lung = step(inside, 0.16) * step(dome - self.y, 0.03)
        cage = step(inside + 0.10, 0.12) * step(0.75 - self.y, 0.5)
        return lung, cage, step(self.y - dome, 0.04)

    def _density(self) -> Pixels:
        solid: Pixels = np.clip(self._heart() + self._mediastinum(), 0.0, 1.0)
        air = self.lung * (0.62 * self.anatomy.air - 0.50 * solid) * (1.0 + 0.05 * self._texture())
        vessels = self.lung * (1.0 - solid) * self._vessels()
        soft = 0.78 + 0.10 * solid + 0.12 * self.below - self._airways() - self._bubble() + self._bones()
        body = self._body()
        whole: Pixels = body * soft - air + vessels + self._breasts()
        return whole * body

    def _body(self) -> Pixels:
        """Soft tissue: neck, shoulders, and the chest wall below the axillae; thinner towards its edge."""
        side = self.anatomy.chest + self.anatomy.wall
        heights = [-1.10, -0.98, -0.88, -0.78, -0.68, -0.50, -0.30, -0.12, 0.10, 0.50, 1.20]
        widths = [0.23, 0.24, 0.34, 0.66, 1.02, 1.16, 1.12, side + 0.10, side, side, side + 0.04]
        fine = np.linspace(-1.3, 1.3, 131)
        outline = ndimage.gaussian_filter1d(np.interp(fine, heights, widths), 3.0, mode="nearest")
        edge = np.interp(self.y, fine, outline).astype(np.float32)
        rounded: Pixels = np.sqrt(np.clip(1.0 - (self.x / (edge + 0.02)) ** 2, 0.0, 1.0))
        inside = step(edge - np.abs(self.x), 0.06)
        return inside * (0.62 + 0.38 * rounded)

    def _heart(self) -> Pixels:
        a, pose = self.anatomy, self.pose
        half = a.heart * a.chest * (1.12 if pose.view == "AP" else 1.0)  # half the transverse diameter
        x, y = self.x - (self.midline + 0.30 * half), self.y - (a.dome - 0.15 - 0.5 * pose.breath)
        return step(ellipse(0.90 * x + 0.43 * y, 0.90 * y - 0.43 * x, 1.04 * half, 0.78 * half), 0.22)

    def _mediastinum(self) -> Pixels:
        """A band that widens downwards, with the aortic knob and the pulmonary trunk on its left border."""
        x, y, aorta = self.x - self.midline, self.y, self.anatomy.aorta
        band = step(0.115 + 0.03 * y - np.abs(x), 0.05)
        knob = step(ellipse(x - 0.05, y + 0.33, 0.088 * aorta, 0.11 * aorta), 0.4)
        trunk = 0.8 * step(ellipse(x - 0.08, y + 0.12, 0.09, 0.14), 0.6)
        return np.asarray(np.max([band, knob, trunk], axis=0))

    def _airways(self) -> Pixels:
        """Trachea and main bronchi: a dark stripe that forks."""
        drop: Pixels = np.maximum(self.y + 0.24, 0.0)
        stripe = step(0.035 - np.abs(self.out - 0.8 * drop), 0.03)
        return 0.10 * stripe * step(0.16 - drop, 0.1)

    def _bubble(self) -> Pixels:
        """Gas in the stomach, under the left dome."""
        size = self.anatomy.bubble
        x, y = self.x - 0.36, self.y - (self._dome(1) + 0.05 + size)
        return 0.22 * step(ellipse(x, y, 1.6 * size, size), 0.8)

    def _breasts(self) -> Pixels:
        """Two shadows with a clear lower border that fade upwards."""
        x, y = self.out - 0.40, self.y - 0.28
        return self.anatomy.breast * step(ellipse(x, y, 0.30, 0.25), 0.5) * step(y + 0.05, 0.4)

    def _bones(self) -> Pixels:
        shoulders = 0.10 * step(ellipse(self.out - 0.93, self.y + 0.60, 0.16, 0.13), 0.5)
        return self.anatomy.bone * (self._ribs() * self.cage + self._spine() + self._clavicles() + shoulders)

    def _ribs(self) -> Pixels:
        """Posterior ribs fall outwards, the fainter anterior ones inwards."""
        a, u = self.anatomy, self.out * (1.0 / self.anatomy.chest)
        back = (self.y - a.rib_slope * (1.15 * u * u - 0.35 * u)) / a.rib_spacing + a.rib_phase
        front = (self.y + 0.55 * u - 0.35 * u * u) / (1.12 * a.rib_spacing) + 0.7 * a.rib_phase
        return 0.075 * _rib(back) + 0.035 * _rib(front) * step(u - 0.40, 0.3)

    def _spine(self) -> Pixels:
        bend = self.anatomy.scoliosis * np.sin(3.0 * self.y) - 0.3 * self.midline
        discs: Pixels = 0.8 + 0.2 * np.cos(self.y * (2.0 * math.pi / 0.135))
        return 0.09 * step(0.085 - np.abs(self.x - bend), 0.04) * discs

    def _clavicles(self) -> Pixels:
        u = self.out
        away: Pixels = np.abs(self.y + 0.60 + 0.30 * u - 0.03 * np.sin(7.0 * u))
        band = step(0.032 - away, 0.03) * (0.7 + 6.0 * away)
        return 0.19 * band * step(u - 0.07, 0.04) * step(0.78 - u, 0.1)

    def _vessels(self) -> Pixels:
        """Hila, and vessels that leave them in random directions, fork once and fade outwards."""
        x, y = self.out - 0.17, self.y - self._by_side(-0.02, -0.07)
        r: Pixels = np.hypot(x, y)
        turns = (np.arctan2(y, x) + 0.5 * r) * (0.5 / math.pi) + 0.5
        fading: Pixels = np.exp(-3.0 * r)
        trunks = self._rays(0, turns) * fading**1.5
        branches = self._rays(1, turns) * fading * step(r - 0.22, 0.2)
        return 0.16 * trunks + 0.12 * branches + 0.10 * step(ellipse(x, y, 0.09, 0.14), 1.2)

    def _rays(self, order: int, turns: Pixels) -> Pixels:
        """Brightness of the vessels in each direction, given in turns from 0 to 1."""
        right, left = (np.append(side[order], side[order][0]) for side in self.anatomy.vessels)
        place, grid = turns * RAYS, np.arange(RAYS + 1)
        both = np.where(self.left, np.interp(place, grid, left), np.interp(place, grid, right))
        return np.asarray(both, dtype=np.float32)

    def _texture(self) -> Pixels:
        scale = (TEXTURE_CELLS - 1) / 2.2
        places = [(self.y + 1.1) * scale, (self.x + 1.1) * scale]
        field: Pixels = ndimage.map_coordinates(self.anatomy.texture, places, order=1, output=np.float32)
        return field


def _rib(phase: Pixels) -> Pixels:
    """A rib in the middle of each unit of `phase`, brighter at its two borders."""
    t: Pixels = np.abs(phase - np.floor(phase) - 0.5)
    return step(0.24 - t, 0.10) * (0.65 + 1.5 * t)
