"""Images and volumes as parts: pixels, squares, superpixels, windows, and what stands where something is removed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from suwen.core.errors import DataError, NameUnknown, RecipeError


class ImageParts:
    """The `Parts` of images ``(C, H, W)``; their elements are pixels ``(H, W)``, all channels at once.

    Attributes:
        AXES: S, how many axes an element's place has.
        WINDOW: windows to a side, unless a size is given.
    """

    REMOVED: ClassVar[str] = "wide-blur"
    AXES: ClassVar[int] = 2
    WINDOW: ClassVar[int] = 8

    @classmethod
    def read(cls, inputs: Tensor) -> Tensor:
        """``(B, C, *S)`` uint8 or float → float in [0, 1].

        Raises:
            DataError: a pixel is NaN or infinite, or the shape is another.
        """
        if inputs.ndim != cls.AXES + 2:
            axes = "HW" if cls.AXES == 2 else "XYZ"
            raise DataError(
                f"a batch of shape {tuple(inputs.shape)}",
                why=f"these inputs are (B, C, {', '.join(axes)})",
                fix="inputs[None]",
            )
        read = inputs.float().div(255) if inputs.dtype == torch.uint8 else inputs.detach().float()
        if not bool(read.isfinite().all()):
            raise DataError(
                "pixels that are NaN or infinite",
                why="an attribution of such an image would be NaN everywhere",
                fix="repair the file: suwen.load(RUN).preprocess(FILE) gives whole numbers from 0 to 255",
            )
        return read

    @staticmethod
    def shape(x: Tensor) -> tuple[int, ...]:
        """S."""
        return tuple(x.shape[1:])

    @staticmethod
    def baseline(x: Tensor, kind: str) -> Tensor:
        """The image ``(C, *S)`` without its findings: a row of `BASELINES`."""
        if kind not in BASELINES:
            raise NameUnknown("baseline", kind, BASELINES, fix="--set baseline=blur")
        return BASELINES[kind](x)

    @staticmethod
    def mix(x: Tensor, baseline: Tensor, keep: Tensor) -> Tensor:
        """``(N, *S)`` bool → images ``(N, C, *S)``."""
        return torch.where(keep[:, None], x, baseline)

    @staticmethod
    def segments(x: Tensor, kind: str, count: int) -> Tensor:
        """int64 S: a row of `SEGMENTS`."""
        if kind not in SEGMENTS:
            raise NameUnknown("kind of segments", kind, SEGMENTS, fix="--set segments=slic")
        return SEGMENTS[kind](x, count)

    @staticmethod
    def smooth(attribution: Tensor, share: float) -> Tensor:
        """Each map ``(B, *S)`` blurred by `share` of its longer side; the sum of a map stays as it is."""
        return _blur(attribution, share, "reflect") if share > 0 else attribution

    @staticmethod
    def windows(x: Tensor, size: int, stride: int) -> Tensor:
        """bool ``(N, *S)``: squares or cubes at every `stride`, the last ones cut off by the border, as captum's."""
        shape = ImageParts.shape(x)
        if not 1 <= size <= min(shape) or not 1 <= stride <= size:
            raise RecipeError(
                f"window = {size}, stride = {stride} on an image of {' x '.join(map(str, shape))}",
                why="a window is at most the image, and a stride at most the window, so that no pixel is left out",
                fix=f"--set window={max(1, min(shape) // 8)} --set stride={max(1, min(shape) // 16)}",
            )
        found = torch.ones(1, *[1] * len(shape), dtype=torch.bool)
        for axis, length in enumerate(shape):
            bands = _bands(length, size, stride)
            along = bands.reshape(1, -1, *(length if other == axis else 1 for other in range(len(shape))))
            found = (found[:, None] & along).flatten(0, 1)
        return found


class VolumeParts(ImageParts):
    """The `Parts` of volumes ``(C, X, Y, Z)``; their elements are voxels. A pass costs more: windows are larger."""

    AXES: ClassVar[int] = 3
    WINDOW: ClassVar[int] = 4


def blurred(x: Tensor, share: float = 1 / 20) -> Tensor:
    """Gaussian blur of ``(C, *S)`` with a deviation of `share` of the longer side; borders are repeated.

    Removes what is small and keeps the large shades, so that a covered part looks less foreign to the model than black
    (Fong & Vedaldi 2017, section 4.1, use a blur for this reason). On simulated films a twentieth measured better than
    an eighth, which darkens the borders of the lungs and so explains them instead of the lesion.
    """
    return _blur(x, share, "nearest")


def grid(x: Tensor, count: int) -> Tensor:
    """Squares, √count a side; or cubes, ∛count."""
    shape = ImageParts.shape(x)
    side = _per_side(shape, count)
    found = torch.zeros([1] * len(shape), dtype=torch.int64)
    for axis, length in enumerate(shape):
        along = torch.arange(length) * side // length
        found = found * side + along.reshape([length if other == axis else 1 for other in range(len(shape))])
    return _numbered(found)


def slic(x: Tensor, count: int, *, compactness: float = 0.2, rounds: int = 10) -> Tensor:
    """Superpixels: k-means over brightness and place, from a regular grid (Achanta et al. 2012, equation 3).

    ``D² = d_c² + m² (d_s / S)²`` with S the spacing of the grid and m the `compactness`, here for values in [0, 1]. All
    pixels look at all centres (images here are small), and segments are not forced to be connected. A constant image
    gives a regular grid.
    """
    shape = ImageParts.shape(x)
    spacing = math.prod(shape) ** (1 / len(shape)) / _per_side(shape, count)
    axes = torch.meshgrid(*(torch.arange(length) for length in shape), indexing="ij")
    place = torch.stack(axes).to(x.dtype) * (compactness / spacing)
    points = torch.cat([x, place]).flatten(1).T
    found = grid(x, count).flatten()
    for _ in range(rounds):
        sizes = torch.bincount(found)
        centres = torch.zeros(len(sizes), points.shape[1], dtype=x.dtype).index_add_(0, found, points)
        before, found = found, _nearest(points, centres / sizes.clamp_min(1)[:, None])
        found = _numbered(found)
        if torch.equal(before, found):
            break
    return found.reshape(shape)


def _per_side(shape: tuple[int, ...], count: int) -> int:
    """Segments along each axis, of `count` in all."""
    side: int = round(count ** (1 / len(shape)))
    return max(1, side)


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "blur": blurred,
    "wide-blur": lambda x: blurred(x, 1 / 8),
    "black": torch.zeros_like,
    "white": torch.ones_like,
    "mean": lambda x: x.mean(tuple(range(1, x.ndim)), keepdim=True).expand_as(x),
}
"""Name → image → what stands where a part is removed."""

SEGMENTS: dict[str, Callable[[Tensor, int], Tensor]] = {"slic": slic, "grid": grid}
"""Name → (image, about how many) → the segment of each pixel."""


def _blur(x: Tensor, share: float, border: str) -> Tensor:
    axes = tuple(range(1, x.ndim))
    sigma = share * max(x.shape[1:])
    return torch.from_numpy(gaussian_filter(x.numpy(), sigma, mode=border, truncate=3.0, axes=axes))


def _bands(length: int, size: int, stride: int) -> Tensor:
    """bool ``(N, length)``: intervals at every stride, until the end is covered."""
    starts = torch.arange(0, max(1, length - size + stride), stride)
    at = torch.arange(length)
    return (at >= starts[:, None]) & (at < starts[:, None] + size)


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([torch.cdist(some, centres).argmin(1) for some in torch.split(points, 2**15)])


def _numbered(found: Tensor) -> Tensor:
    """The same segments, numbered from 0 without gaps."""
    numbered: Tensor = torch.unique(found, return_inverse=True)[1]
    return numbered
