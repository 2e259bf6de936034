"""The shape of a subject's chest and how the subject stood for a film: drawn here, laid out by `chest`.

Shapes and sizes are invented to look like a chest; none is measured. Lengths are in units of half the film.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from suwen.simulation.patients import Patient

Pixels = NDArray[np.floating[Any]]
View = Literal["PA", "AP"]

HALF_FIELD_MM = 190.0
"""Half the width of a film: 38 cm across, near the 35 by 43 cm of a real one."""

TEXTURE_CELLS = 48
"""Cells of the parenchyma's texture along each side."""

RAYS = 96
"""Directions in which vessels leave a hilum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The shape of one subject's chest. Heights are y, from -1 at the top of the film.

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
        bubble=rng.uniform(0.02, 0.12),
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
    rays = np.maximum(rng.normal(0.0, 1.0, (2, 2, RAYS)) - 0.3, 0.0)
    rays[:, 0] = ndimage.gaussian_filter1d(rays[:, 0], 1.2, axis=-1, mode="wrap") * 2.0
    return np.asarray(rays, dtype=np.float32)


def _draw_texture(rng: np.random.Generator) -> Pixels:
    """A power-law field, power falling with the cube of frequency as in radiographs of tissue (Burgess et al.,
    Med Phys 2001;28:419).
    """
    cells = np.fft.rfft2(rng.normal(size=(TEXTURE_CELLS, TEXTURE_CELLS)))
    frequency = np.hypot(np.fft.fftfreq(TEXTURE_CELLS)[:, None], np.fft.rfftfreq(TEXTURE_CELLS)[None, :])
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(cells * frequency**-1.5, s=(TEXTURE_CELLS, TEXTURE_CELLS))
    return np.asarray(field / field.std(), dtype=np.float32)
