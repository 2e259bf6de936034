"""The anatomy on a chest film: where tissue lies, and how much X-ray it stops.

`Anatomy` belongs to a subject, `Pose` to one film; both are drawn first and then applied by `Chest`, a pure function
of the two and of the size in pixels. Shapes and sizes are invented to look like a chest, not measured from any.

Coordinates: x to the right of the image (the subject's left, as films are hung), y down, the image from -1 to 1,
`HALF_FIELD_MM` millimetres a unit. Density is the logarithm of attenuation in arbitrary units: bright where dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from suwen.simulate.patients import Patient

Pixels = NDArray[np.float32]
View = Literal["PA", "AP"]

HALF_FIELD_MM = 190.0
"""Half the width of the field: a film of 38 cm, near the 35 by 43 cm of a real one."""

_TEXTURE = 48  # cells of the parenchyma texture along each side
_RAYS = 96  # directions in which vessels leave the hilum


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The shape of one subject's chest. Lengths are in units of half the field, ratios without unit.

    Attributes:
        chest: half the inner width of the rib cage.
        apex, dome: heights of the lung apex and of the right diaphragm dome on full inspiration.
        doming: how far the diaphragm falls from its dome to the lateral chest wall.
        heart: transverse heart over inner chest width, the cardiothoracic ratio on a PA film.
        aorta: size of the aortic knob, 1 in a young adult.
        wall: thickness of the soft tissue beside the ribs.
        breast: density of the breast shadows, 0 in men.
        bone: density of the skeleton.
        rib_spacing, rib_phase, rib_slope: of the posterior ribs.
        scoliosis: sideways bend of the spine.
        air: how dark the lungs are.
        bubble: size of the gastric bubble.
        vessels: `(2, 2, 96)` brightness of the vessels by lung, order of branching and direction.
        texture: `(48, 48)` parenchyma, a power-law random field of mean 0 and deviation 1.
    """

    chest: float
    apex: float
    dome: float
    doming: float
    heart: float
    aorta: float
    wall: float
    breast: float
    bone: float
    rib_spacing: float
    rib_phase: float
    rib_slope: float
    scoliosis: float
    air: float
    bubble: float
    vessels: Pixels
    texture: Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the subject stood for one film.

    Attributes:
        view: PA (standing, film in front) or AP (bedside: larger heart, shallower breath, more rotation).
        tilt: rotation in the image plane, radians.
        turn: rotation about the long axis, as the shift of the midline over the chest's half width.
        breath: missing inspiration; the diaphragm stands this much higher.
        shift: of the centre, x and y.
        zoom: magnification.
    """

    view: View
    tilt: float
    turn: float
    breath: float
    shift: tuple[float, float]
    zoom: float


def draw_anatomy(rng: np.random.Generator, patient: Patient, years: float) -> Anatomy:
    """The chest of `patient`, `years` old."""
    woman, stout, old = patient.sex == "F", (patient.bmi - 25.0) / 10.0, (years - 55.0) / 30.0
    return Anatomy(
        chest=float(np.clip(rng.normal(0.665 if woman else 0.72, 0.025), 0.58, 0.78)),
        apex=rng.normal(-0.74, 0.02),
        dome=rng.normal(0.36, 0.03) + 0.10 * patient.lung_disease - 0.04 * stout,
        doming=max(rng.normal(0.20, 0.03) - 0.12 * patient.lung_disease, 0.05),
        heart=float(np.clip(rng.normal(0.45 + 0.02 * old + 0.025 * stout, 0.03), 0.36, 0.62)),
        aorta=float(np.clip(rng.normal(1.1 + 0.25 * old, 0.12), 0.7, 1.7)),
        wall=float(np.clip(rng.normal(0.10 + 0.07 * stout, 0.015), 0.05, 0.24)),
        breast=float(np.clip(rng.normal(0.10 + 0.06 * stout, 0.03), 0.02, 0.25)) if woman else 0.0,
        bone=float(np.clip(rng.normal(1.0 - 0.15 * old, 0.1), 0.6, 1.4)),
        rib_spacing=rng.normal(0.145, 0.006),
        rib_phase=rng.uniform(0.0, 1.0),
        rib_slope=rng.normal(0.28, 0.05),
        scoliosis=rng.normal(0.0, 0.015),
        air=float(np.clip(rng.normal(1.0 + 0.10 * patient.lung_disease - 0.08 * stout, 0.04), 0.75, 1.2)),
        bubble=rng.uniform(0.0, 0.11),
        vessels=_draw_vessels(rng),
        texture=_draw_texture(rng),
    )


def draw_pose(rng: np.random.Generator, portable: float) -> Pose:
    """One film's pose; `portable` is the probability of an AP film at the bedside."""
    view: View = "AP" if rng.random() < portable else "PA"
    loose = 2.0 if view == "AP" else 1.0
    return Pose(
        view=view,
        tilt=float(rng.normal(0.0, 0.02)) * loose,
        turn=float(np.clip(rng.normal(0.0, 0.025) * loose, -0.12, 0.12)),
        breath=abs(float(rng.normal(0.0, 0.03))) * loose + (0.05 if view == "AP" else 0.0),
        shift=(float(np.clip(rng.normal(0, 0.02), -0.05, 0.05)), float(np.clip(rng.normal(0, 0.02), -0.05, 0.05))),
        zoom=float(np.clip(rng.normal(1.0, 0.03), 0.92, 1.08)),
    )


def _draw_vessels(rng: np.random.Generator) -> Pixels:
    rays = np.maximum(rng.normal(0.0, 1.0, (2, 2, _RAYS)) - 0.3, 0.0)
    rays[:, 0] = ndimage.gaussian_filter1d(rays[:, 0], 1.2, axis=-1, mode="wrap") * 2.0
    return rays.astype(np.float32)


def _draw_texture(rng: np.random.Generator) -> Pixels:
    """A power-law field, power falling with the cube of frequency as in radiographs of tissue (Burgess et al.,
    Med Phys 2001;28:419).
    """
    cells = np.fft.rfft2(rng.normal(size=(_TEXTURE, _TEXTURE)))
    frequency = np.hypot(np.fft.fftfreq(_TEXTURE)[:, None], np.fft.rfftfreq(_TEXTURE)[None, :])
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(cells * frequency**-1.5, s=(_TEXTURE, _TEXTURE))
    return (field / field.std()).astype(np.float32)


def step(distance: Pixels, width: float) -> Pixels:
    """0 to 1 as `distance` goes from minus to plus half of `width`, smoothly (3t² - 2t³)."""
    t = np.clip(distance * np.float32(1.0 / width) + np.float32(0.5), 0.0, 1.0)
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


def _ellipse(x: Pixels, y: Pixels, across: float, along: float) -> Pixels:
    """1 at the centre, 0 on the ellipse with these half axes, negative outside."""
    return np.float32(1.0) - (x * np.float32(1.0 / across)) ** 2 - (y * np.float32(1.0 / along)) ** 2


class Chest:
    """The chest `anatomy` in `pose`, seen on `size` by `size` pixels.

    Attributes:
        x, y: `(size, size)` anatomical coordinates of every pixel, so that a place in the body stays with the body.
        lung: `(size, size)` from 0 outside to 1 inside the lung fields.
        density: `(size, size)` what a perfect detector without noise would record.
    """

    def __init__(self, anatomy: Anatomy, pose: Pose, size: int) -> None:
        self.anatomy, self.pose, self.size = anatomy, pose, size
        self.x, self.y = self._coordinates()
        self.left = self.x > self.midline
        self.out = np.abs(self.x - np.float32(self.midline))  # distance from the midline
        self.lung, self.cage = self._lung_fields()
        self.density = self._density()

    @property
    def midline(self) -> float:
        """x of the sternum and the mediastinum."""
        return self.pose.turn * self.anatomy.chest

    def half_width(self, side: int) -> float:
        """Width of the hemithorax on `side` (-1 image left, 1 right); turning widens one and narrows the other."""
        return self.anatomy.chest * (1.0 - side * self.pose.turn)

    def dome(self, side: int) -> float:
        """y of the diaphragm dome on `side`; the left stands lower than the right by about 2 cm."""
        return self.anatomy.dome - self.pose.breath + (0.05 if side > 0 else 0.0)

    def place(self, side: int, across: float, down: float) -> tuple[float, float]:
        """Anatomical x and y in a lung: `across` from 0 (medial) to 1 (lateral), `down` from 0 (apex) to 1 (diaphragm)."""
        centre, radius = self._lung_ellipse(side)
        t = (2.0 * across - 1.0) * 0.92
        top = self._base + (self.anatomy.apex - self._base) * (1.0 - abs(t) ** 2.6) ** (1.0 / 2.2)
        bottom = self.dome(side) + self.anatomy.doming * t * t * (1.0 if t > 0.0 else 0.35)
        return self.midline + side * (centre + radius * t), top + down * (bottom - top)

    _base = 0.30  # y below which the lung fields no longer widen

    def _coordinates(self) -> tuple[Pixels, Pixels]:
        pose = self.pose
        axis = (np.arange(self.size, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0 / self.size) - np.float32(1)
        x, y = axis[None, :] - np.float32(pose.shift[0]), axis[:, None] - np.float32(pose.shift[1])
        cos, sin = np.float32(np.cos(pose.tilt) / pose.zoom), np.float32(np.sin(pose.tilt) / pose.zoom)
        return cos * x + sin * y, cos * y - sin * x

    def _by_side(self, right: float, left: float) -> Pixels:
        return np.where(self.left, np.float32(left), np.float32(right))

    def _lung_ellipse(self, side: int) -> tuple[float, float]:
        """Centre and half width of the lung on `side`, from the midline outwards."""
        half, inner = self.half_width(side), 0.06
        return (half + inner) / 2.0, (half - inner) / 2.0

    def _lung_fields(self) -> tuple[Pixels, Pixels]:
        """The lungs, and the rib cage around them that reaches below the diaphragm."""
        a = self.anatomy
        (centre_r, radius_r), (centre_l, radius_l) = self._lung_ellipse(-1), self._lung_ellipse(1)
        t = (self.out - self._by_side(centre_r, centre_l)) / self._by_side(radius_r, radius_l)
        above = np.maximum((np.float32(self._base) - self.y) * np.float32(1.0 / (self._base - a.apex)), 0.0)
        inside = 1.0 - np.abs(t) ** np.float32(2.6) - above ** np.float32(2.2)
        fall = np.where(t > 0.0, np.float32(a.doming), np.float32(0.35 * a.doming)) * t * t
        dome = self._by_side(self.dome(-1), self.dome(1)) + fall
        lung = step(inside, 0.16) * step(dome - self.y, 0.03)
        cage = step(inside + 0.10, 0.12) * step(np.float32(0.75) - self.y, 0.5)
        self.below = step(self.y - dome, 0.04)
        return lung, cage

    def _density(self) -> Pixels:
        heart, great = self._heart(), self._mediastinum()
        solid = np.clip(heart + great, 0.0, 1.0)
        air = self.lung * (np.float32(0.62 * self.anatomy.air) - np.float32(0.50) * solid)
        air *= 1.0 + np.float32(0.07) * self._texture()
        body = self._body()
        vessels = self.lung * (1.0 - solid) * self._vessels()
        inner = np.float32(0.10) * solid + np.float32(0.12) * self.below - self._airways() - self._bubble()
        return (body * (np.float32(0.78) + inner) - air + vessels + self._bones() * body + self._breasts()) * body

    def _body(self) -> Pixels:
        """Soft tissue: neck, shoulders, and the chest wall below the axillae; thinner towards its edge."""
        side = self.anatomy.chest + self.anatomy.wall
        heights = np.array([-1.10, -0.98, -0.88, -0.78, -0.68, -0.50, -0.30, -0.12, 0.10, 0.50, 1.20])
        widths = np.array([0.23, 0.24, 0.34, 0.66, 1.02, 1.16, 1.12, side + 0.10, side, side, side + 0.04])
        fine = np.linspace(-1.3, 1.3, 131)
        smooth = ndimage.gaussian_filter1d(np.interp(fine, heights, widths), 3.0, mode="nearest")
        edge = np.interp(self.y, fine, smooth).astype(np.float32)
        rounded = np.sqrt(np.clip(1.0 - (self.x / (edge + np.float32(0.02))) ** 2, 0.0, 1.0))
        return step(edge - np.abs(self.x), 0.06) * (np.float32(0.62) + np.float32(0.38) * rounded)

    def _heart(self) -> Pixels:
        a, wider = self.anatomy, 1.12 if self.pose.view == "AP" else 1.0
        half = a.heart * a.chest * wider  # half the transverse diameter
        lift = 0.5 * self.pose.breath
        x = self.x - np.float32(self.midline + 0.30 * half)
        y = self.y - np.float32(a.dome - 0.15 - lift)
        u, v = x * np.float32(0.90) + y * np.float32(0.43), y * np.float32(0.90) - x * np.float32(0.43)
        return step(_ellipse(u, v, 1.04 * half, 0.78 * half), 0.22)

    def _mediastinum(self) -> Pixels:
        """Great vessels: a band that widens downwards, the aortic knob on the left, the cava on the right."""
        a = self.anatomy
        band = np.float32(0.115) + np.float32(0.03) * self.y
        x, y = self.x - np.float32(self.midline), self.y
        knob = _ellipse(x - 0.05, y + 0.33, 0.088 * a.aorta, 0.11 * a.aorta)
        pulmonary = _ellipse(x - 0.08, y + 0.12, 0.09, 0.14)
        vessels = np.maximum(step(knob, 0.4), np.float32(0.8) * step(pulmonary, 0.6))
        return np.maximum(step(band - np.abs(x), 0.05), vessels)

    def _airways(self) -> Pixels:
        """Trachea and main bronchi: a dark stripe that forks."""
        x, fork = self.x - np.float32(self.midline), np.float32(-0.24)
        drop = np.maximum(self.y - fork, 0.0)
        stripe = step(np.float32(0.035) - np.abs(np.abs(x) - drop * np.float32(0.8)), 0.03)
        return np.float32(0.10) * stripe * step(np.float32(0.16) - drop, 0.1)

    def _bubble(self) -> Pixels:
        size = self.anatomy.bubble + 0.02
        x, y = self.x - np.float32(0.36), self.y - np.float32(self.dome(1) + 0.11)
        return np.float32(0.22) * step(_ellipse(x, y, 1.6 * size, size), 0.8)

    def _breasts(self) -> Pixels:
        """Two shadows with a clear lower border that fade upwards."""
        x, y = self.out - np.float32(0.40), self.y - np.float32(0.28)
        return np.float32(self.anatomy.breast) * step(_ellipse(x, y, 0.30, 0.25), 0.5) * step(y + np.float32(0.05), 0.4)

    def _bones(self) -> Pixels:
        shoulder = np.float32(0.10) * step(_ellipse(self.out - 0.93, self.y + 0.60, 0.16, 0.13), 0.5)
        bones = self._ribs() * self.cage + self._spine() + self._clavicles() + shoulder
        return np.float32(self.anatomy.bone) * bones

    def _ribs(self) -> Pixels:
        """Posterior ribs fall outwards, the fainter anterior ones inwards; each is brighter at its two borders."""
        a = self.anatomy
        u = self.out * np.float32(1.0 / a.chest)
        arch = u * u
        back = (self.y - np.float32(a.rib_slope) * (np.float32(1.15) * arch - np.float32(0.35) * u)) / np.float32(
            a.rib_spacing
        )
        front = (self.y + np.float32(0.55) * u - np.float32(0.35) * arch) / np.float32(a.rib_spacing * 1.12)
        return np.float32(0.075) * _rib(back + np.float32(a.rib_phase)) + np.float32(0.035) * _rib(
            front + np.float32(a.rib_phase * 0.7)
        ) * step(u - np.float32(0.40), 0.3)

    def _spine(self) -> Pixels:
        a = self.anatomy
        bend = np.float32(a.scoliosis) * np.sin(self.y * np.float32(3.0)) - np.float32(0.3 * self.midline)
        column = step(np.float32(0.085) - np.abs(self.x - bend), 0.04)
        discs = np.float32(0.8) + np.float32(0.2) * np.cos(self.y * np.float32(2.0 * np.pi / 0.135))
        return np.float32(0.09) * column * discs

    def _clavicles(self) -> Pixels:
        u = self.out
        middle = (
            np.float32(-0.60) - np.float32(0.30) * u + np.float32(0.10) * np.sin(u * np.float32(7.0)) * np.float32(0.3)
        )
        away = np.abs(self.y - middle)
        band = step(np.float32(0.032) - away, 0.03) * (np.float32(0.7) + 6.0 * away)
        return np.float32(0.19) * band * step(u - np.float32(0.07), 0.04) * step(np.float32(0.78) - u, 0.1)

    def _vessels(self) -> Pixels:
        """Hila, and vessels that leave them in random directions, fork once and fade outwards."""
        y = self.y - self._by_side(-0.02, -0.07)
        x = self.out - np.float32(0.17)
        r = np.hypot(x, y)
        angle = (np.arctan2(y, x) + np.float32(0.5) * r) * np.float32(_RAYS / (2 * np.pi)) + np.float32(_RAYS / 2)
        grid = np.arange(_RAYS + 1)
        first, second = (self._rays(order, angle, grid) for order in (0, 1))
        near, far = np.exp(r * np.float32(-4.5)), step(r - np.float32(0.22), 0.2) * np.exp(r * np.float32(-3.0))
        hilum = step(_ellipse(x, y, 0.09, 0.14), 1.2)
        return np.float32(0.16) * first * near + np.float32(0.12) * second * far + np.float32(0.10) * hilum

    def _rays(self, order: int, angle: Pixels, grid: NDArray[np.int64]) -> Pixels:
        right, left = (np.append(side[order], side[order][0]) for side in self.anatomy.vessels)
        position = np.clip(angle, 0, _RAYS)
        return np.where(self.left, np.interp(position, grid, left), np.interp(position, grid, right)).astype(np.float32)

    def _texture(self) -> Pixels:
        scale = np.float32((_TEXTURE - 5) / 2.2)
        places = np.stack([(self.y + np.float32(1.1)) * scale + 2, (self.x + np.float32(1.1)) * scale + 2])
        return ndimage.map_coordinates(
            self.anatomy.texture, places, order=3, mode="nearest", prefilter=False, output=np.float32
        )


def _rib(phase: Pixels) -> Pixels:
    t = np.abs(phase - np.floor(phase) - np.float32(0.5))  # 0 at the middle of a rib, 0.5 between two
    return step(np.float32(0.24) - t, 0.10) * (np.float32(0.65) + np.float32(1.5) * t)
