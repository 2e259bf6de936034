"""A `Picture`: one decoded image at its native depth, before any preprocessing."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suwen.core.errors import DataError, FileUnreadable, SuwenError

MAX_PIXELS = 100_000_000
"""Larger pictures are not decoded whole: 100 megapixels of RGB take about 1 GB on the way."""

SKIP = "replace the file, or pass --skip-bad to go on without it"
"""What to do about one bad file among many."""

FULL_RANGE = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(np.uint16): (0.0, 65535.0)}


@dataclass(frozen=True, slots=True)
class Picture:
    """One image as its file holds it.

    Attributes:
        pixels: (H, W) grey or (H, W, 3|4) RGB(A), at the native integer or float depth.
        mode: how the file stores it: ``grey8``, ``grey16``, ``rgb8``, ``rgba8``, ``palette``, ``dicom`` …
        low: the value that the format's full range shows as black.
        high: the value that it shows as white; below `low` where small values are bright (DICOM MONOCHROME1).
        window: the (black, white) values that the file itself asks for (a DICOM window), or None.
    """

    pixels: np.ndarray
    mode: str
    low: float
    high: float
    window: tuple[float, float] | None = None

    @property
    def grey(self) -> bool:
        """Whether it shows no colour (an RGB file with three equal channels shows none)."""
        if self.pixels.ndim == 2:
            return True
        red, green, blue = (self.pixels[..., channel] for channel in range(3))
        return bool(np.array_equal(red, green) and np.array_equal(red, blue))

    def digest(self) -> bytes:
        """16 bytes that two pictures share only when they show the same: values, shape, depth and display range.

        The file format plays no part: a PNG and a row of an ``.npz`` with the same pixels share a digest.
        """
        kind = f"{self.pixels.dtype.str} {self.pixels.shape} {self.low} {self.high} {self.window}"
        state = hashlib.blake2b(kind.encode(), digest_size=16)
        state.update(np.ascontiguousarray(self.pixels).data)
        return state.digest()


def picture_of(array: Any, mode: str | None = None, *, display: tuple[float, float] | None = None) -> Picture:
    """A `Picture` of an array of pixels.

    Args:
        array: (H, W), (H, W, 1) or (H, W, 3|4); bool, integer or float.
        mode: what to call it; named after its channels and depth when None.
        display: values meaning black and white; the full range of 8- and 16-bit depth, or the smallest and the
            largest pixel of other depths, when None.

    Raises:
        DataError: for other shapes, no pixels at all, or pixels that are NaN or infinite.
    """
    pixels = np.asarray(array)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] not in (3, 4)) or pixels.size == 0:
        raise DataError(
            f"pixels of shape {np.shape(array)}",
            why="a picture is (height, width) or (height, width, 3 or 4), and not empty",
            fix="hand over one 2-D picture at a time",
        )
    if pixels.dtype.kind not in "buif":
        raise DataError(f"pixels of type {pixels.dtype}", why="a pixel is a number", fix="convert them to uint8")
    pixels = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else _native(pixels)
    low, high = display or FULL_RANGE.get(pixels.dtype) or (float(pixels.min()), float(pixels.max()))
    if not (math.isfinite(low) and math.isfinite(high)) or (pixels.dtype.kind == "f" and not np.isfinite(pixels).all()):
        count = int((~np.isfinite(pixels)).sum())
        raise DataError(
            f"{count} of {pixels.size} pixels are NaN or infinite",
            why="they have no brightness, and one of them turns every weight of a network into NaN",
            fix="replace them, for example with numpy.nan_to_num, before handing the picture over",
        )
    return Picture(pixels, mode or _name(pixels), low, high)


def _native(pixels: np.ndarray) -> np.ndarray:
    """The same values in this machine's byte order."""
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _name(pixels: np.ndarray) -> str:
    channels = "grey" if pixels.ndim == 2 else {3: "rgb", 4: "rgba"}[pixels.shape[-1]]
    return f"{channels}{pixels.dtype.itemsize * 8}" + ("f" if pixels.dtype.kind == "f" else "")


def pixel_limit() -> int:
    """The largest picture that is decoded whole, in pixels: `MAX_PIXELS`, or the variable ``SUWEN_MAX_PIXELS``."""
    text = os.environ.get("SUWEN_MAX_PIXELS", str(MAX_PIXELS))
    if not text.isdecimal():
        raise SuwenError(f"SUWEN_MAX_PIXELS={text!r}", why="it is a number of pixels", fix="SUWEN_MAX_PIXELS=400000000")
    return int(text)


def refuse_large(path: Path, width: int, height: int) -> None:
    """Raise `FileUnreadable`, before anything is decoded, for a picture above `pixel_limit`."""
    limit = pixel_limit()
    if width * height > limit:
        raise FileUnreadable(
            f"{path} is {width} x {height}, {width * height / 1e6:.0f} megapixels",
            why=f"pictures over {limit / 1e6:.0f} megapixels are not decoded, to bound the memory",
            fix=f"make it smaller, or cut it into tiles, or allow it with SUWEN_MAX_PIXELS={width * height}",
        )
