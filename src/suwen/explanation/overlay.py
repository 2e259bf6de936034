"""Attributions as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from suwen.core.explanation import Explanation
from suwen.core.files import atomic_path

LEAST_SIDE = 224
"""Small images are enlarged to about this many pixels, so that one can see them."""

GAP = 8
"""White pixels between two pictures of a sheet."""


def picture(image: np.ndarray, layer: int | None = None) -> Image.Image:
    """``(C, H, W)`` uint8 → an RGB picture, enlarged by a whole factor when small; of a volume its `slice_of`."""
    image = slice_of(image, layer) if image.ndim == 4 else image
    planes = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, 0)
    shown = Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    factor = max(1, round(LEAST_SIDE / max(shown.size)))
    return shown.resize((shown.width * factor, shown.height * factor), Image.Resampling.NEAREST)


def slice_of(volume: np.ndarray, layer: int | None = None) -> np.ndarray:
    """A slice ``(C, H, W)`` of ``(C, X, Y, Z)`` as radiologists hang it, seen from the feet, front up: the middle one
    unless another is asked for."""
    layer = volume.shape[-1] // 2 if layer is None else layer
    seen: np.ndarray = np.flip(volume[..., layer].swapaxes(1, 2), (1, 2))
    return seen


def layer_of(attribution: np.ndarray) -> int | None:
    """The slice ``(X, Y)`` of a map ``(X, Y, Z)`` in which it says most; None for maps of images."""
    return int(np.abs(attribution).sum((0, 1)).argmax()) if attribution.ndim == 3 else None


def scaled(attribution: np.ndarray) -> np.ndarray:
    """Divided by its largest magnitude: into [-1, 1], 0 staying 0. A map of zeros stays one."""
    peak = float(np.abs(attribution).max())
    return attribution / peak if peak > 0 else attribution


def overlay(
    image: np.ndarray, attribution: np.ndarray, *, strength: float = 0.55, layer: int | None = None
) -> Image.Image:
    """The picture under a heat map: transparent where the attribution is 0, most opaque where it is 1 or -1.

    What speaks for the label is drawn from black over red to yellow, what speaks against it in blue.

    Args:
        image: ``(C, H, W)`` uint8, or a volume.
        attribution: ``(H, W)`` in [-1, 1], or of a volume.
        strength: opacity at 1.
        layer: of a volume, which slice is shown; that in which the map says most unless given.
    """
    if attribution.ndim == 3:
        layer = layer_of(attribution) if layer is None else layer
        attribution = slice_of(attribution[None], layer)[0]
    below = picture(image, layer)
    heat = _enlarged(np.clip(attribution, 0, 1), below.size)
    cold = _enlarged(np.clip(-attribution, 0, 1), below.size)
    warm = matplotlib.colormaps["inferno"](heat)[..., :3] * 255
    colours = np.where((cold > heat)[..., None], (40.0, 120.0, 255.0), warm)
    opacity = (np.maximum(heat, cold) * strength)[..., None]
    blended = np.asarray(below, np.float32) * (1 - opacity) + colours * opacity
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def draw(found: Sequence[Explanation], path: Path) -> None:
    """Write one PNG: the input, its heat map by each method, and the nearest example of another answer, if known."""
    first = found[0]
    layer = layer_of(first.attribution)
    maps = [overlay(one.inputs, scaled(one.attribution), layer=layer) for one in found]
    shown = [picture(first.inputs, layer), *maps]
    shown += [picture(one.inputs) for one in first.examples[:1]]
    gap = np.full((shown[0].height, GAP, 3), 255, np.uint8)
    strips = [strip for one in shown for strip in (gap, np.asarray(one))][1:]
    with atomic_path(path) as temporary:
        Image.fromarray(np.concatenate(strips, 1)).save(temporary, "PNG")


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _enlarged(share: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    smooth = Image.fromarray(np.rint(share * 255).astype(np.uint8))
    return np.asarray(smooth.resize(size, Image.Resampling.BICUBIC), np.float32) / 255
