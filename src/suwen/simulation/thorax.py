"""The chest of a subject in three dimensions: organs as smooth shapes in millimetres, and a nodule where there is one.

Coordinates are those of the body: right, front, head. The same latent state makes the films: the heart has the
subject's cardiothoracic ratio, the nodule its side, place and size. Shapes and sizes are invented to look like a chest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suwen.simulation.anatomy import Anatomy
from suwen.simulation.lesions import Lesion
from suwen.simulation.patients import Patient

Field = NDArray[np.floating[Any]]
Axes = tuple[Field, Field, Field]

LABELS = ("background", "lung", "heart", "liver", "nodule")
"""Their values in the masks are 0, 1, 2 …"""

AIR, FAT, MUSCLE, BLOOD, LIVER, SPLEEN, BONE = -1000.0, -95.0, 45.0, 40.0, 62.0, 52.0, 420.0
"""Hounsfield units, within the ranges that radiology textbooks give; blood and muscle without contrast medium."""

WALL = 18.0
"""Muscle and ribs between the fat under the skin and what the chest and the belly hold, mm."""

VESSELS = 60
"""Of each lung: what a nodule may be mistaken for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """All that is drawn of one subject.

    Attributes:
        half_width, half_depth: of the trunk, mm.
        fat: thickness of the layer under the skin, mm.
        lung: half axes of each lung: right, front, head.
        dome: height of the right diaphragm, mm; the left one is lower.
        heart: half axes.
        lung_density: Hounsfield units of the parenchyma.
        vessels: (2 · VESSELS, 8) side, two ends and radius of each.
        nodule: centre, half axes, density; None without one.
    """

    half_width: float
    half_depth: float
    fat: float
    lung: tuple[float, float, float]
    dome: float
    heart: tuple[float, float, float]
    lung_density: float
    vessels: Field
    nodule: tuple[Field, Field, float] | None


def draw_thorax(rng: np.random.Generator, patient: Patient, anatomy: Anatomy, nodule: Lesion) -> Thorax:
    """The chest of `patient`, who has this `nodule` if he carries one."""
    large = 1.0 if patient.sex == "M" else 0.9
    fat = float(np.clip(3.0 + 1.6 * (patient.bmi - 20.0) + rng.normal(0, 2), 4, 45))
    drawn = rng.uniform(0.94, 1.06, 3).tolist()
    lung = (58.0 * large * drawn[0], 82.0 * large * drawn[1], 130.0 * drawn[2])
    inner = 2 * (lung[0] + 76.0 * large)
    half_heart = anatomy.heart * inner / 2 * rng.uniform(0.97, 1.03)
    chest = Thorax(
        half_width=inner / 2 + 16.0 + fat,
        half_depth=lung[1] + 22.0 + fat,
        fat=fat,
        lung=lung,
        dome=-48.0 + rng.uniform(-8, 8) - 10 * patient.lung_disease,
        heart=(half_heart, 0.72 * half_heart, 0.86 * half_heart),
        lung_density=-840.0 - 60.0 * patient.lung_disease + rng.normal(0, 15),
        vessels=_draw_vessels(rng, lung),
        nodule=None,
    )
    return replace(chest, nodule=_place(rng, chest, nodule)) if patient.nodule else chest


def _draw_vessels(rng: np.random.Generator, lung: Sequence[float]) -> Field:
    rows = []
    for side in (-1, 1):
        for _ in range(VESSELS):
            start = np.array([side * 30.0, 0.0, 10.0]) + rng.normal(0, 8, 3)
            reach = rng.uniform(0.3, 0.95)
            direction = rng.normal(0, 1, 3)
            direction /= np.linalg.norm(direction)
            end = np.array([side * 76.0, 0.0, 5.0]) + direction * np.array(lung) * reach
            rows.append([side, *start, *end, rng.uniform(1.0, 4.5) * (1.1 - reach)])
    return np.array(rows)


def _place(rng: np.random.Generator, chest: Thorax, nodule: Lesion) -> tuple[Field, Field, float]:
    """Where the nodule of the films lies. A film does not say how far in front it is: that is drawn here."""
    # the image's left, side -1, is the subject's right
    side = -nodule.side
    x = side * (76.0 + chest.lung[0] * (2 * nodule.across - 1) * 0.6)
    z = 5.0 + chest.lung[2] * (1 - 2 * nodule.down) * 0.55
    y = rng.uniform(-0.5, 0.5) * chest.lung[1]
    half = nodule.size_mm / 2 * np.array([1.0, rng.uniform(0.85, 1.1), rng.uniform(0.85, 1.1)])
    solid = rng.random() < 0.7  # the others are of ground glass
    return np.array([x, y, z]), half, float(rng.uniform(-30, 60) if solid else rng.uniform(-620, -380))


def build(chest: Thorax, axes: Axes, step: float) -> tuple[Field, NDArray[np.uint8]]:
    """Hounsfield units and labels (X, Y, Z) at places along right, front and head.

    Args:
        chest: as drawn.
        axes: three arrays that broadcast to (X, Y, Z), in mm.
        step: length over which one tissue passes into the next: the size of a voxel.
    """
    x, y, z = axes
    shape = np.broadcast_shapes(x.shape, y.shape, z.shape)
    values = np.full(shape, AIR, np.float32)
    labels = np.zeros(shape, np.uint8)
    trunk = _ellipse(x / chest.half_width, y / chest.half_depth, 0 * z)
    _blend(values, trunk, min(chest.half_width, chest.half_depth), FAT, step)
    inner = _ellipse(x / (chest.half_width - chest.fat), y / (chest.half_depth - chest.fat), 0 * z)
    _blend(values, inner, chest.half_depth - chest.fat, MUSCLE, step)
    wall = chest.fat + WALL
    cavity = _ellipse(x / (chest.half_width - wall), y / (chest.half_depth - wall), 0 * z)
    _blend(values, cavity, chest.half_depth - wall, FAT, step)
    stomach = _ellipse((x + 62.0) / 46.0, (y + 8.0) / 52.0, (z - chest.dome + 66.0) / 44.0)
    _blend(values, stomach, 44.0, SPLEEN, step)
    _ribs(values, chest, axes, step)
    _spine(values, chest, axes, step)
    lung = np.zeros(shape, bool)
    for side in (-1, 1):
        lung |= _lung(values, chest, axes, side, step)
    labels[lung] = LABELS.index("lung")
    liver = _liver(values, chest, axes, lung, step)
    labels[liver] = LABELS.index("liver")
    heart = _heart(values, chest, axes, step)
    labels[heart] = LABELS.index("heart")
    lung &= ~heart
    _vessels(values, chest, axes, lung, step)
    if chest.nodule is not None:
        centre, half, density = chest.nodule
        place = _ellipse((x - centre[0]) / half[0], (y - centre[1]) / half[1], (z - centre[2]) / half[2])
        _blend(values, place, float(half.min()), density, step)
        labels[place < 1] = LABELS.index("nodule")
    return values, labels


def _ellipse(a: Field, b: Field, c: Field) -> Field:
    """Below 1 inside."""
    return np.sqrt(a * a + b * b + c * c, dtype=np.float32)


def _blend(values: Field, place: Field, radius: float, density: float, step: float) -> None:
    """Put a tissue where `place` is below 1, over about one voxel at its border, in place."""
    share = np.clip(0.5 - (place - 1) * radius / step, 0, 1)
    values += share * (density - values)


def _ribs(values: Field, chest: Thorax, axes: Axes, step: float) -> None:
    """Shells around the lungs, every 26 mm, falling towards the front."""
    x, y, z = axes
    wall = chest.half_width - chest.fat - 9.0, chest.half_depth - chest.fat - 9.0
    shell = np.abs(_ellipse(x / wall[0], y / wall[1], 0 * z) - 1) * min(wall) / 4.0
    phase = np.abs(((z + 0.35 * y) / 26.0) % 1 - 0.5) * 26.0 / 5.0
    _blend(values, np.maximum(shell, phase + 0 * x).astype(np.float32), 4.0, BONE, step)


def _spine(values: Field, chest: Thorax, axes: Axes, step: float) -> None:
    x, y, z = axes
    back = -(chest.half_depth - chest.fat - 28.0)
    body = _ellipse(x / 18.0, (y - back) / 16.0, 0 * z)
    disc = np.abs((z / 24.0) % 1 - 0.5) < 0.36
    _blend(values, body, 16.0, BONE * 0.55, step)
    inside = (body < 0.8) & ~disc
    values[np.broadcast_to(inside, values.shape)] = 90.0


def _lung(values: Field, chest: Thorax, axes: Axes, side: int, step: float) -> NDArray[np.bool_]:
    """One lung, above its diaphragm."""
    x, y, z = axes
    place = _ellipse((x - side * 76.0) / chest.lung[0], y / chest.lung[1], (z - 5.0) / chest.lung[2])
    floor = _diaphragm(chest, x, y, side)
    under = 1 + (floor - z) / 40.0
    both = np.maximum(place, under).astype(np.float32)
    _blend(values, both, 40.0, chest.lung_density, step)
    return np.asarray(both < 1)


def _diaphragm(chest: Thorax, x: Field, y: Field, side: int) -> Field:
    """Height of a dome; the left one (side -1) is 14 mm lower."""
    fall = ((x - side * 60.0) / 95.0) ** 2 + (y / 110.0) ** 2
    return chest.dome - 60.0 * fall - (14.0 if side < 0 else 0.0)


def _liver(values: Field, chest: Thorax, axes: Axes, lung: NDArray[np.bool_], step: float) -> NDArray[np.bool_]:
    """Under the right diaphragm, reaching over the middle."""
    x, y, z = axes
    place = _ellipse((x - 45.0) / 100.0, (y - 6.0) / 84.0, (z - chest.dome + 62.0) / 60.0)
    above = 1 + (z - _diaphragm(chest, x, y, 1) + 4.0) / 40.0
    both = np.maximum(place, above).astype(np.float32)
    both[lung] = 2.0
    _blend(values, both, 40.0, LIVER, step)
    return np.asarray(both < 1)


def _heart(values: Field, chest: Thorax, axes: Axes, step: float) -> NDArray[np.bool_]:
    """Two thirds of it on the left, on the diaphragm."""
    x, y, z = axes
    half = chest.heart
    place = _ellipse((x + half[0] * 0.28) / half[0], (y - 26.0) / half[1], (z - chest.dome - half[2] * 0.62) / half[2])
    above = 1 - (z - chest.dome + 26.0) / 40.0
    both = np.maximum(place, above).astype(np.float32)
    _blend(values, both, float(min(half)), BLOOD, step)
    return np.asarray(both < 1)


def _vessels(values: Field, chest: Thorax, axes: Axes, lung: NDArray[np.bool_], step: float) -> None:
    """Straight tubes within the lungs, each drawn in the box around it."""
    grids = [np.ravel(axis) for axis in axes]
    for _, *numbers in chest.vessels.tolist():
        start, end, radius = np.array(numbers[:3]), np.array(numbers[3:6]), numbers[6]
        low, high = np.minimum(start, end) - radius - step, np.maximum(start, end) + radius + step
        window = tuple(
            slice(*np.searchsorted(grid, (below, above))) for grid, below, above in zip(grids, low, high, strict=True)
        )
        inner = [grid[part] for grid, part in zip(grids, window, strict=True)]
        if any(not len(each) for each in inner):
            continue
        places = np.stack(np.meshgrid(*inner, indexing="ij"), axis=-1) - start
        along = end - start
        share = np.clip(places @ along / (along @ along), 0, 1)
        away = np.linalg.norm(places - share[..., None] * along, axis=-1) / radius
        part = values[window]
        opacity = np.clip(0.5 - (away - 1) * radius / step, 0, 1) * lung[window]
        part += (opacity * (BLOOD - part)).astype(np.float32)
