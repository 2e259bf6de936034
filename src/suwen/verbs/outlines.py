"""Masks as pictures: outlines over the image."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from suwen.data.codebook import IGNORED, Codebook
from suwen.data.resample import resampled
from suwen.explanation.overlay import picture
from suwen.heads.draw import Drawn

COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))
"""One a label, again from the first where there are more: Okabe & Ito, Color Universal Design (2008), which people who
see few colours can tell apart."""

MOST_SIDE = 768
"""Larger images are shown smaller, so that a page stays small."""


def shown(pixels: np.ndarray, truth: np.ndarray, drawn: Drawn, codebook: Codebook) -> tuple[Image.Image, Image.Image]:
    """The image alone, and with outlines; of a volume the layer that shows most of the true mask, seen from the feet.

    Args:
        pixels: uint8 ``(C, *S)``, as the network sees them.
        truth: codes as the file has them.
        drawn: the same of the model.
        codebook: what codes mean.
    """
    grid = drawn.grid
    image = resampled(np.asarray(pixels), grid.body_shape)
    true, said = grid.along_the_body(truth), grid.along_the_body(drawn.codes)
    if truth.ndim == 3:
        wanted = np.where(true == IGNORED, 0, true) > 0
        layer = int((wanted if wanted.any() else said > 0).sum(axis=(0, 1)).argmax())
        # rows run from the front to the back, columns from the patient's right to the left, as films are hung
        image = image[:, ::-1, ::-1, layer].swapaxes(1, 2)
        true, said = (each[::-1, ::-1, layer].T for each in (true, said))
    alone = picture(image)
    return alone, outlined(alone, true, said, codebook)


def outlined(image: Image.Image, truth: np.ndarray, said: np.ndarray, codebook: Codebook) -> Image.Image:
    """The image with true masks light and drawn ones dark: each the line of pixels just inside its edge.

    Args:
        image: of a whole multiple of the masks' size.
        truth, said: uint8 codes ``(H, W)``.
        codebook: what codes mean.
    """
    canvas = np.asarray(image.convert("RGB")).copy()
    scale = canvas.shape[0] // truth.shape[0]
    for codes, share in ((truth, 0.55), (said, 0.0)):
        for number, there in enumerate(codebook.masks(codes)):
            mask = np.kron(there, np.ones((scale, scale), bool))
            edge = mask & ~ndimage.binary_erosion(mask)
            colour = np.array(COLOURS[number % len(COLOURS)], np.float32)
            canvas[edge] = colour * (1 - share) + 255 * share
    found = Image.fromarray(canvas)
    if max(found.size) > MOST_SIDE:
        found.thumbnail((MOST_SIDE, MOST_SIDE))
    return found
