"""What is done to a volume before patches are cut from it: axes, intensity, spacing. It stays with the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from suwen.core.errors import DataError
from suwen.core.sample import Sample
from suwen.data.case import Opened
from suwen.data.codebook import planned
from suwen.data.grid import Grid
from suwen.data.labelled import Labelled
from suwen.data.resample import resampled
from suwen.data.volume import Volume
from suwen.data.volumes import open_volume

Source = Volume | np.ndarray | Path | str

PERCENTILES = (0.5, 99.5)
"""Black and white: the robust range of nnU-Net (Isensee et al., Nature Methods 2021), which clips intensities there."""

AIR = -500
"""A volume with values below this is in Hounsfield units: nothing but CT counts air so low."""

PATCH_VOXELS = 64**3
"""Of a patch: on two cores, a step of two such patches takes a few seconds."""

LOOK_AT, LOOK_AT_VOXELS = 20, 200_000
"""How many volumes, and how many voxels of each, are looked at to choose."""

STEP = 8
"""Sides of patches are multiples of it: three times halved they are still whole."""


class VolumeShades(BaseModel):
    """Volume to ``uint8 (1, X, Y, Z)`` along right, front and head, at one spacing.

    8 bits hold a volume finer than its noise: of a CT window of 400 Hounsfield units a step is 1.6, and the noise of a
    diagnostic scan is 10 and more.

    Args:
        spacing: millimetres between voxels along right, front and head.
        intensity: ``window`` shows the values between `low` and `high`, as CT has values that mean the same in every
            scan; ``percentile`` shows each volume between its own 0.5th and 99.5th, as MR has not.
        low, high: what is black and what is white, in the values of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spacing: tuple[float, float, float]
    intensity: Literal["window", "percentile"] = "percentile"
    low: float = 0.0
    high: float = 1.0

    channels: int = 1

    @field_validator("spacing")
    @classmethod
    def _positive(cls, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(0 < each < 1000 for each in spacing):
            raise ValueError("millimetres, above 0")
        return spacing

    def open(self, source: Any) -> Opened:
        """Whatever it is as a volume that `prepare` takes.

        Raises:
            FileUnreadable: it cannot be read, or does not say where its voxels lie.
        """
        volume = open_volume(source)
        return Opened(volume, volume.grid, volume.mode, volume.digest)

    def prepare(self, opened: Opened) -> np.ndarray:
        """The volume as uint8 ``(1, X, Y, Z)``; a few layers at a time are in memory as floats."""
        volume: Volume = opened.content
        low, high = (self.low, self.high) if self.intensity == "window" else robust_range(volume)
        shades = np.empty(volume.shape, np.uint8, order="F")  # as NIfTI has its voxels: layer by layer
        scale = 255.0 / (high - low) if high > low else 0.0
        for part, values in volume.layers():
            shades[:, :, part] = np.rint(np.clip((values - low) * scale, 0, 255))
        turned = opened.grid.along_the_body(shades)
        return resampled(turned[None], self.shape(opened.grid))

    def __call__(self, source: Any) -> np.ndarray:
        """`open` and `prepare`."""
        return self.prepare(self.open(source))

    def plan(self, shapes: np.ndarray) -> list[tuple[str, str, str]]:
        """See `suwen.data.case.DensePreprocess`."""
        shown = (
            f"{self.low:g} to {self.high:g} is black to white: in CT values mean the same in every scan"
            if self.intensity == "window"
            else "each volume between its own 0.5th and 99.5th percentile: values mean nothing by themselves"
        )
        return [
            ("inputs.spacing", " x ".join(f"{each:g}" for each in self.spacing) + " mm", self.spacing_from),
            ("inputs.intensity", self.intensity, shown),
        ]

    @property
    def spacing_from(self) -> str:
        """Why the spacing is what it is, unless it was asked for."""
        return "the median of the volumes"

    def shape(self, grid: Grid) -> tuple[int, ...]:
        """Voxels of the result along right, front and head."""
        pairs = zip(grid.body_shape, grid.body_spacing, self.spacing, strict=True)
        return tuple(max(1, round(count * own / wanted)) for count, own, wanted in pairs)


class VolumePreprocess(VolumeShades, Labelled):
    """As `VolumeShades`, to be cut into patches; what masks say is in `Labelled`.

    Args:
        patch: sides of what the network sees at a time, in voxels.
        asked: the same when it is asked; as when it learns where None.
        overlap: of neighbouring windows when it is asked, as a share of their sides.
    """

    patch: tuple[int, int, int]
    asked: tuple[int, int, int] | None = None
    overlap: float = Field(default=0.5, ge=0, le=0.9)

    @field_validator("patch")
    @classmethod
    def _large_enough(cls, patch: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(patch) < 8 or max(patch) > 512:
            raise ValueError("each side of a patch has 8 to 512 voxels")
        return patch

    @property
    def window(self) -> tuple[int, int, int]:
        """Sides of what the network sees at a time when it is asked."""
        return self.asked or self.patch

    @property
    def size(self) -> int:
        """The longest side of a patch: what an encoder is built for."""
        return max(self.patch)

    def plan(self, shapes: np.ndarray) -> list[tuple[str, str, str]]:
        """See `suwen.data.case.DensePreprocess`."""
        median = " x ".join(f"{side:.0f}" for side in np.median(shapes, axis=0))
        spacing, intensity = super().plan(shapes)
        seen = f"seen at a time; the median volume is {median} voxels"
        patch = ("inputs.patch", " x ".join(map(str, self.patch)), seen)
        return [spacing, patch, intensity, *planned(self.overlaps)]


def robust_range(volume: Volume) -> tuple[float, float]:
    """The `PERCENTILES` of a volume, by up to a million voxels evenly spread."""
    step = max(1, math.ceil((volume.stored.size / 1_000_000) ** (1 / 3)))
    some = np.concatenate([values[::step, ::step, ::step].ravel() for _, values in volume.layers()])
    low, high = np.percentile(some, PERCENTILES)
    return float(low), float(high) if high > low else float(some.max())


def choose_volume_preprocess(
    samples: Sequence[Sample], classes: dict[str, int], settings: dict[str, Any]
) -> VolumePreprocess:
    """The preprocessing that suits these volumes, where settings leave something open.

    Spacing: the median along each axis of the body. Intensity: a window for CT, from the `PERCENTILES` of all volumes
    that are looked at; else percentiles of each. Patch: the median volume, its longest sides shortened until it has
    `PATCH_VOXELS`.

    Raises:
        DataError: none of those looked at can be read. (A single bad one is left for `build_cases` to report.)
    """
    found = {"classes": classes} | three_sides(settings, "patch", "asked", "spacing")
    if {"spacing", "intensity", "patch"} <= set(found):
        return VolumePreprocess(**found)
    grids, values = looked_at(samples)
    found.setdefault("spacing", median_spacing(grids))
    found = chosen_intensity(values) | found
    if "patch" not in found:
        spacing = found["spacing"]
        sides = np.median(
            [[n * own / new for n, own, new in zip(g.body_shape, g.body_spacing, spacing, strict=True)] for g in grids],
            axis=0,
        )
        found["patch"] = patch_for(sides)
    return VolumePreprocess(**found)


def three_sides(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    """Settings in which one number stands for three equal ones."""
    return {
        name: (value,) * 3 if name in names and isinstance(value, (int, float)) else value
        for name, value in settings.items()
    }


def median_spacing(grids: Sequence[Grid]) -> tuple[float, ...]:
    """Millimetres along right, front and head."""
    found: list[float] = np.median([grid.body_spacing for grid in grids], axis=0).round(4).tolist()
    return tuple(found)


def chosen_intensity(values: np.ndarray) -> dict[str, Any]:
    """The settings of intensity that suit volumes with these values."""
    if values.min() >= AIR:
        return {"intensity": "percentile"}
    low, high = np.percentile(values, PERCENTILES).round().tolist()
    return {"intensity": "window", "low": low, "high": high}


def patch_for(sides: Sequence[float], voxels: int = PATCH_VOXELS) -> tuple[int, ...]:
    """Sides of a patch, multiples of `STEP`, not longer than a volume's (but for rounding up), in `voxels`."""
    patch = [max(STEP, STEP * math.ceil(side / STEP)) for side in sides]
    while math.prod(patch) > voxels and max(patch) > STEP:
        longest = patch.index(max(patch))
        patch[longest] -= STEP
    return tuple(patch)


def looked_at(samples: Sequence[Sample]) -> tuple[list[Grid], np.ndarray]:
    """Where some of the volumes lie, and some of their values."""
    rows = np.unique(np.linspace(0, len(samples) - 1, LOOK_AT).round().astype(int)).tolist()
    grids, values, failure = [], [], None
    for row in rows:
        try:
            volume = open_volume(samples[row].source)
            step = max(1, math.ceil((volume.stored.size / LOOK_AT_VOXELS) ** (1 / 3)))
            some = np.concatenate([part[::step, ::step, ::step].ravel() for _, part in volume.layers()])
        except DataError as error:
            failure = error
            continue
        grids.append(volume.grid)
        values.append(some)
    if not grids:
        raise failure or DataError("no samples", why="there is nothing to learn from", fix="check the path")
    return grids, np.concatenate(values)
