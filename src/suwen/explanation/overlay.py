"""Attributions as pictures."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from PIL import Image

LEAST_SIDE = 224
"""Small images are enlarged to about this many pixels, so that one can see them."""


def picture(image: np.ndarray) -> Image.Image:
    """``(C, H, W)`` uint8 → an RGB picture, enlarged by a whole factor when small."""
    planes = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, 0)
    shown = Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    factor = max(1, round(LEAST_SIDE / max(shown.size)))
    return shown.resize((shown.width * factor, shown.height * factor), Image.Resampling.NEAREST)


def overlay(image: np.ndarray, attribution: np.ndarray, *, strength: float = 0.55) -> Image.Image:
    """The picture under a heat map: transparent where the attribution is 0, most opaque where it is 1.

    Args:
        image: ``(C, H, W)`` uint8.
        attribution: ``(H, W)`` in [0, 1].
        strength: opacity at 1.
    """
    below = picture(image)
    smooth = Image.fromarray(np.rint(np.clip(attribution, 0, 1) * 255).astype(np.uint8))
    heat = np.asarray(smooth.resize(below.size, Image.Resampling.BICUBIC), np.float32) / 255
    colours = matplotlib.colormaps["inferno"](heat)[..., :3] * 255
    opacity = (heat * strength)[..., None]
    blended = np.asarray(below, np.float32) * (1 - opacity) + colours * opacity
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
