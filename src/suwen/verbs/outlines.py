"""Masks as pictures: outlines over the image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy import ndimage

from suwen.data.codebook import Codebook
from suwen.data.grid import Grid
from suwen.data.resample import resampled
from suwen.explanation.overlay import picture
from suwen.heads.draw import Drawn

COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178))
"""One a label, again from the first where there are more: Okabe & Ito, Color Universal Design (2008), which people who
see few colours can tell apart."""

MOST_SIDE = 768
"""Larger images are shown smaller, so that a page stays small."""


def shown(
    pixels: np.ndarray, truth: np.ndarray, drawn: Drawn, codebook: Codebook, objects: np.ndarray | None = None
) -> tuple[Image.Image, Image.Image]:
    """The image alone, and with outlines; of a volume the layer that shows most of the true mask, seen from the feet.

    Args:
        pixels: uint8 ``(C, *S)``, as the network sees them.
        truth: codes as the file has them.
        drawn: the same of the model.
        codebook: what codes mean.
        objects: numbers of the true objects of the first label, where masks tell them apart.
    """
    grid = drawn.grid
    image = resampled(np.asarray(pixels), grid.body_shape)
    known = {} if objects is None else {codebook.labels[1]: objects}
    true, said = _numbers(truth, codebook, known, grid), _numbers(drawn.codes, codebook, drawn.objects, grid)
    if truth.ndim == 3:
        layer = int(((true if true.any() else said) > 0).sum(axis=(0, 1, 2)).argmax())
        # rows run from the front to the back, columns from the patient's right to the left, as films are hung
        image = image[:, ::-1, ::-1, layer].swapaxes(1, 2)
        true, said = (each[:, ::-1, ::-1, layer].swapaxes(1, 2) for each in (true, said))
    alone = picture(image)
    return alone, outlined(alone, true, said)


def _numbers(codes: np.ndarray, codebook: Codebook, objects: Mapping[str, np.ndarray], grid: Grid) -> np.ndarray:
    """int32 ``(K - 1, *S)``: objects of each label, or 1 where it is, along the body."""
    masks = codebook.masks(codes).astype(np.int32)
    for place, label in enumerate(codebook.labels[1:]):
        masks[place] *= objects.get(label, np.int32(1))
    return np.stack([grid.along_the_body(mask) for mask in masks])


def outlined(image: Image.Image, truth: np.ndarray, said: np.ndarray) -> Image.Image:
    """The image with true masks light and drawn ones dark: each the line of pixels just inside its edge.

    Args:
        image: of a whole multiple of the masks' size.
        truth, said: int32 ``(K, H, W)``: for each label the number of the object that a pixel belongs to, or 0.
    """
    canvas = np.asarray(image.convert("RGB")).copy()
    scale = canvas.shape[0] // truth.shape[1]
    for masks, share in ((truth, 0.55), (said, 0.0)):
        for number, objects in enumerate(masks):
            colour = np.array(COLOURS[number % len(COLOURS)], np.float32)
            canvas[_edge(np.kron(objects, np.ones((scale, scale), np.int32)))] = colour * (1 - share) + 255 * share
    found = Image.fromarray(canvas)
    if max(found.size) > MOST_SIDE:
        found.thumbnail((MOST_SIDE, MOST_SIDE))
    return found


def _edge(objects: np.ndarray) -> np.ndarray:
    """bool: pixels of an object with one of another, or of none, at a side; the image's edge is one."""
    cross = ndimage.generate_binary_structure(objects.ndim, 1)
    high = ndimage.maximum_filter(objects, footprint=cross)
    low = ndimage.minimum_filter(objects, footprint=cross, mode="constant")
    return np.asarray((objects > 0) & ((high != objects) | (low != objects)))
