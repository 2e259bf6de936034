"""What is done to an image before patches are cut from it: brightness, channels, size. It stays with the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from suwen.core.errors import DataError
from suwen.core.sample import Sample
from suwen.data.case import Opened
from suwen.data.codebook import planned
from suwen.data.decode import read_pixels
from suwen.data.grid import Grid
from suwen.data.labelled import Labelled
from suwen.data.picture import Picture, picture_of
from suwen.data.preprocess import Intensity, planes_of, shade
from suwen.data.resample import resampled

Source = Picture | np.ndarray | Path | str

PATCHES = (32, 64, 96, 128)
"""Sides in pixels to choose from. On two cores, larger patches see more of an image and fewer of them fit a minute."""

LOOK_AT = 32
"""How many images `choose_case_preprocess` looks at."""


class CasePreprocess(Labelled):
    """Image to ``uint8 (channels, H, W)`` of its own size, to be cut into patches; what masks say is in `Labelled`.

    8 bits hold an image finer than its noise: a step is 1/255 of the range shown.

    Args:
        channels: 1 grey (luma), 2 grey and opacity, 3 RGB, 4 RGB and opacity.
        intensity: what becomes black and white, see `suwen.data.preprocess.ImagePreprocess`.
        scale: size of the result as a share of the image's own; answers come back at the image's own.
        patch: height and width of what the network sees at a time, in pixels of the result.
        asked: height and width of what the network sees at a time when it is asked; that of a patch where None.
            Networks without attention can be asked about larger parts than they learned from.
        overlap: of neighbouring windows when it is asked, as a share of their sides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(ge=1, le=4)
    intensity: Intensity = "auto"
    scale: float = Field(default=1.0, gt=0, le=4)
    patch: tuple[int, int] = Field()
    asked: tuple[int, int] | None = None
    overlap: float = Field(default=0.5, ge=0, le=0.9)

    @field_validator("patch")
    @classmethod
    def _large_enough(cls, patch: tuple[int, int]) -> tuple[int, int]:
        if min(patch) < 16 or max(patch) > 4096:
            raise ValueError("each side of a patch has 16 to 4096 pixels")
        return patch

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of what the network sees at a time when it is asked."""
        return self.asked or self.patch

    @property
    def size(self) -> int:
        """The longer side of a patch: what an encoder is built for."""
        return max(self.patch)

    def open(self, source: Source) -> Opened:
        """Whatever it is as a picture that `prepare` takes.

        Raises:
            FileUnreadable: the path cannot be decoded.
            DataError: the array is no picture, or has NaN pixels.
        """
        picture = open_picture(source)
        return Opened(picture, Grid(picture.pixels.shape[:2]), picture.mode, picture.digest)

    def prepare(self, opened: Opened) -> np.ndarray:
        """The image as uint8 (channels, H, W)."""
        shown = np.stack(planes_of(shade(opened.content, self.intensity), self.channels))
        return shown if self.scale == 1 else resampled(shown, self.shape(opened.grid))

    def __call__(self, source: Source) -> np.ndarray:
        """`open` and `prepare`."""
        return self.prepare(self.open(source))

    def plan(self, shapes: np.ndarray) -> list[tuple[str, str, str]]:
        """See `suwen.data.case.DensePreprocess`."""
        smallest = " x ".join(map(str, shapes.min(axis=0)))
        return [
            ("inputs.patch", " x ".join(map(str, self.patch)), f"seen at a time; the smallest image is {smallest}"),
            ("inputs.channels", str(self.channels), "the images are grey" if self.channels == 1 else "there is colour"),
            ("inputs.scale", f"{self.scale:g}", "of the images' own size; masks come back at their own"),
            ("inputs.intensity", self.intensity, "what is shown black and white"),
            *planned(self.overlaps),
        ]

    def shape(self, grid: Grid) -> tuple[int, ...]:
        """Height and width of the result for an image that lies so."""
        return tuple(max(1, round(side * self.scale)) for side in grid.shape)


def open_picture(source: Source) -> Picture:
    """Whatever it is as a `Picture`."""
    if isinstance(source, Picture):
        return source
    return read_pixels(Path(source)) if isinstance(source, (Path, str)) else picture_of(source)


def choose_case_preprocess(
    samples: Sequence[Sample], classes: dict[str, int], settings: dict[str, Any]
) -> CasePreprocess:
    """The preprocessing that suits these images, where settings leave channels or the patch open.

    Channels: 1 where every image is grey, else 3. Patch: the largest of `PATCHES` that is not above the shortest side.

    Raises:
        DataError: none of those looked at can be decoded. (A single bad file is left for `build_cases` to report.)
    """
    found = dict(settings)
    if "channels" not in found or "patch" not in found:
        grey, sides = _looked_at(samples)
        shortest = int(min(sides) * float(found.get("scale", 1.0)))
        found.setdefault("channels", 1 if grey else 3)
        side = max((known for known in PATCHES if known <= shortest), default=PATCHES[0])
        found.setdefault("patch", (side, side))
    if isinstance(found["patch"], int):
        found["patch"] = (found["patch"], found["patch"])
    return CasePreprocess(**{"classes": classes} | found)


def _looked_at(samples: Sequence[Sample]) -> tuple[bool, list[int]]:
    """Whether all are grey, and the shorter side of each."""
    rows = np.unique(np.linspace(0, len(samples) - 1, LOOK_AT).round().astype(int)).tolist()
    grey, sides, failure = True, [], None
    for row in rows:
        try:
            picture = open_picture(samples[row].source)
        except DataError as error:
            failure = error
            continue
        grey &= picture.grey
        sides.append(min(picture.pixels.shape[:2]))
    if not sides:
        raise failure or DataError("no samples", why="there is nothing to learn from", fix="check the path")
    return grey, sides
