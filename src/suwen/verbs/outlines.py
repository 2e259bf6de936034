"""Masks as pictures: outlines over the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from suwen.data.mask_files import IGNORED
from suwen.data.resample import resampled
from suwen.explanation.overlay import picture

COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))
"""One a label, again from the first where there are more: Okabe & Ito, Color Universal Design (2008), which people who
see few colours can tell apart."""

MOST_SIDE = 768
"""Larger images are shown smaller, so that a page stays small."""


def shown_image(pixels: np.ndarray, shape: Sequence[int]) -> Image.Image:
    """Pixels ``(C, H, W)`` at the size of the file."""
    return picture(resampled(np.asarray(pixels), shape))


def outlined(image: Image.Image, truth: np.ndarray, said: np.ndarray, labels: int) -> Image.Image:
    """The image with true masks light and drawn ones dark: each the line of pixels just inside its edge.

    Args:
        image: of a whole multiple of the masks' size.
        truth, said: uint8 codes ``(H, W)``.
        labels: how many codes there are, the background with them.
    """
    canvas = np.asarray(image.convert("RGB")).copy()
    scale = canvas.shape[0] // truth.shape[0]
    for codes, share in ((truth, 0.55), (said, 0.0)):
        for code in range(1, labels):
            mask = np.kron(np.where(codes == IGNORED, 0, codes) == code, np.ones((scale, scale), bool))
            edge = mask & ~ndimage.binary_erosion(mask)
            colour = np.array(COLOURS[(code - 1) % len(COLOURS)], np.float32)
            canvas[edge] = colour * (1 - share) + 255 * share
    found = Image.fromarray(canvas)
    if max(found.size) > MOST_SIDE:
        found.thumbnail((MOST_SIDE, MOST_SIDE))
    return found
