"""What is done to a picture before an encoder sees it: brightness, channels, size. Travels with the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from suwen.core.errors import DataError
from suwen.core.sample import Sample
from suwen.data.decode import read_pixels
from suwen.data.local_contrast import local_contrast
from suwen.data.picture import Picture, picture_of
from suwen.data.samples import Samples

Resize = Literal["pad", "crop", "stretch"]
Intensity = Literal["auto", "window", "range", "percentile", "local"]
Source = Picture | np.ndarray | Path | str

SIZES = (28, 32, 64, 96, 128, 224)
LOOK_AT = 128
"""How many pictures `choose` looks at."""

PERCENTILES = (0.5, 99.5)
"""Black and white of pictures that do not say themselves: the usual robust range, as in nnU-Net (Isensee et al.,
Nature Methods 2021, doi:10.1038/s41592-020-01008-z), which clips CT intensities there."""

PERCENTILE_PIXELS = 1_000_000
BLOCK_PIXELS = 1_000_000


class ImagePreprocess(BaseModel):
    """Picture to ``uint8 (channels, size, size)``: the same code for the training cache and for one prediction.

    An 8-bit picture that has the target size already keeps its values exactly.

    Args:
        size: height and width of the result, in pixels.
        channels: 1 grey (luma), 2 grey and opacity, 3 RGB, 4 RGB and opacity. Without an opacity channel,
            transparent pixels are shown on black.
        resize: how a picture that is not square becomes so: ``pad`` with black, ``crop`` to the middle, or ``stretch``.
        intensity: what becomes black and white. ``auto``: the window of the file if it has one (DICOM), the values
            themselves in 8-bit files, else ``percentile``. ``window``: as auto, but files of more than 8 bits without
            a window are refused. ``range``: the full range of the format. ``percentile``: the 0.5th and 99.5th.
            ``local``: as auto, and then against the surroundings (`suwen.data.local_contrast`), where exposure differs
            from picture to picture and within one, as in fundus photographs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=1, le=8192)
    channels: int = Field(ge=1, le=4)
    resize: Resize = "pad"
    intensity: Intensity = "auto"

    def __call__(self, source: Source) -> np.ndarray:
        """The picture as uint8 (channels, size, size).

        Raises:
            FileUnreadable: the path cannot be decoded.
            DataError: the array is no picture, has NaN pixels, or has no window where one is asked for.
        """
        shades = shade(_picture(source), self.intensity)
        planes = planes_of(shades, self.channels)
        fitted = {id(plane): self._fit(plane) for plane in planes}
        return np.stack([fitted[id(plane)] for plane in planes])

    def _fit(self, plane: np.ndarray) -> np.ndarray:
        """(H, W) to (size, size). Antialiased, so that fine structure is averaged and does not turn into moire."""
        height, width = plane.shape
        if (height, width) == (self.size, self.size):
            return plane
        image = Image.fromarray(np.ascontiguousarray(plane))
        if self.resize == "stretch":
            return _resample(image, self.size, self.size)
        if self.resize == "crop":
            side = min(height, width)
            left, top = (width - side) / 2, (height - side) / 2
            return _resample(image, self.size, self.size, (left, top, left + side, top + side))
        scale = self.size / max(height, width)
        inner = _resample(image, max(1, round(width * scale)), max(1, round(height * scale)))
        padded = np.zeros((self.size, self.size), np.uint8)
        top, left = (self.size - inner.shape[0]) // 2, (self.size - inner.shape[1]) // 2
        padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return padded


def choose(
    samples: Sequence[Sample | Source],
    *,
    size: int | None = None,
    channels: int | None = None,
    resize: Resize = "pad",
    intensity: Intensity = "auto",
) -> ImagePreprocess:
    """The preprocessing that suits these samples, where the user left `size` or `channels` open.

    Channels: 1 where every picture is grey, else 3. Size: the largest of 28, 32, 64, 96, 128 and 224 that is not
    above the median short side (28 for smaller pictures). It looks at 128 of them, evenly spaced in order of id.

    Raises:
        DataError: there is no sample.
        DataError: or none of those looked at can be decoded. (A single bad file is left for `build` to report.)
    """
    if size is None or channels is None:
        # One picture in memory at a time: 128 mammograms at once would be gigabytes.
        short_sides, greys = zip(*((min(seen.pixels.shape[:2]), seen.grey) for seen in _look(samples)), strict=True)
        median = float(np.median(short_sides))
        size = size or max((known for known in SIZES if known <= median), default=SIZES[0])
        channels = channels or (1 if all(greys) else 3)
    return ImagePreprocess(size=size, channels=channels, resize=resize, intensity=intensity)


def shade(picture: Picture, intensity: Intensity) -> np.ndarray:
    """Brightness as uint8, 0 black to 255 white, same shape as the pixels. Values outside are clipped."""
    if intensity == "local":
        return local_contrast(shade(picture, "auto"))
    pixels = picture.pixels
    low, high = _display(picture, intensity)
    if pixels.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return pixels
    shades = np.empty(pixels.shape, np.uint8)
    scale = 255.0 / (high - low) if high != low else 0.0
    rows = max(1, BLOCK_PIXELS // max(1, pixels[0].size))
    for start in range(0, len(pixels), rows):
        block = pixels[start : start + rows].astype(np.float64)
        shades[start : start + rows] = np.rint(np.clip((block - low) * scale, 0.0, 255.0))
    return shades


def _display(picture: Picture, intensity: Intensity) -> tuple[float, float]:
    """The values shown as black and as white."""
    full = (picture.low, picture.high)
    eight_bit = picture.pixels.dtype == np.uint8
    if intensity == "range" or (eight_bit and intensity != "percentile" and picture.window is None):
        return full
    if picture.window is not None and intensity != "percentile":
        return picture.window
    if intensity == "window":
        raise DataError(
            f"a {picture.mode} picture without a window",
            why="intensity=window asks the file itself what is black and white",
            fix="intensity=auto",
        )
    return _robust(picture)


def _robust(picture: Picture) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile, or the extremes where these coincide; reversed where small values are bright."""
    values = picture.pixels.reshape(-1)
    low, high = np.percentile(values[:: max(1, values.size // PERCENTILE_PIXELS)], PERCENTILES)
    if low == high:
        low, high = values.min(), values.max()
    return (float(low), float(high)) if picture.low <= picture.high else (float(high), float(low))


def planes_of(shades: np.ndarray, channels: int) -> list[np.ndarray]:
    """`channels` planes (H, W). Grey is repeated, and is then one and the same array."""
    opacity = shades[..., 3] if shades.ndim == 3 and shades.shape[-1] == 4 else None
    keeps_opacity = channels in (2, 4)
    colours = [shades] if shades.ndim == 2 else [shades[..., channel] for channel in range(3)]
    if opacity is not None and not keeps_opacity:
        colours = [_on_black(colour, opacity) for colour in colours]
    if channels <= 2 and len(colours) == 3:
        colours = [_luma(*colours)]
    if channels >= 3 and len(colours) == 1:
        colours = colours * 3
    if not keeps_opacity:
        return colours
    return [*colours, np.full(shades.shape[:2], 255, np.uint8) if opacity is None else opacity]


def _on_black(colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    shown: np.ndarray = (colour.astype(np.uint16) * opacity + 127) // 255
    return shown.astype(np.uint8)


def _luma(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> np.ndarray:
    """ITU-R BT.601: Y = 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point so that grey keeps its value exactly."""
    total = red.astype(np.uint32) * 19595 + green.astype(np.uint32) * 38470 + blue.astype(np.uint32) * 7471
    return ((total + 32768) >> 16).astype(np.uint8)


def _resample(
    image: Image.Image, width: int, height: int, box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box))


def _picture(source: Source) -> Picture:
    if isinstance(source, Picture):
        return source
    return read_pixels(Path(source)) if isinstance(source, (Path, str)) else picture_of(source)


def _look(samples: Sequence[Sample | Source]) -> Iterator[Picture]:
    """Up to `LOOK_AT` of the samples, decoded; raises the first failure if every one fails."""
    if not samples:
        raise DataError("no samples", why="there is nothing to choose a preprocessing by", fix="check the path")
    failures, read = [], 0
    for position in _spread(samples):
        item = samples[position]
        try:
            picture = _picture(item.source if isinstance(item, Sample) else item)
        except DataError as error:
            failures.append(error)
            continue
        read += 1
        yield picture
    if not read:
        raise failures[0]


def _spread(samples: Sequence[Sample | Source]) -> list[int]:
    """Positions of up to `LOOK_AT` samples, evenly spread over their names; ascending, as packed rows are read."""
    places = np.unique(np.linspace(0, len(samples) - 1, LOOK_AT).round().astype(int))
    names = samples.ids if isinstance(samples, Samples) else [getattr(item, "id", "") for item in samples]
    order = np.argsort(np.fromiter(names, np.dtypes.StringDType(), len(samples)), kind="stable")
    return sorted(order[places].tolist())
