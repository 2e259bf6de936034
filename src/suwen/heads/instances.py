"""Objects that touch, told apart: a watershed on a drawn map of distances to the edge."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from suwen.data.instances import numbered

DEPTH = 1.0
"""How much farther from the edge, in pixels, the middles of two objects must be than the saddle between them."""

STEPS = 16
"""Of a pixel: the watershed works on whole numbers."""


def distances(inside: np.ndarray) -> np.ndarray:
    """bool ``(B, *S)`` → float32, the same shape: log(1 + d) with d the distance in pixels to what is not inside.

    Regressing distances, and cutting along their valleys, separates nuclei better than drawing their borders (Naylor et
    al., IEEE Transactions on Medical Imaging 2019;38(2):448-459, section III). The logarithm keeps large objects from
    outweighing small ones. An object that the edge of a patch cuts is taken to go on beyond it.
    """
    found = np.zeros(inside.shape, np.float32)
    for row, mask in enumerate(inside):
        if mask.all():
            found[row] = max(mask.shape)
        elif mask.any():
            found[row] = ndimage.distance_transform_edt(mask)
    return np.log1p(found)


def distance_loss(said: Tensor, inside: Tensor, known: Tensor) -> Tensor:
    """Smooth L1 of drawn and true `distances`, over the pixels that count.

    Args:
        said: ``(B, D, *S)``.
        inside: bool ``(B, D, *S)``: within an object, and not where it touches another.
        known: ``(B, 1, *S)``.
    """
    flat = inside.flatten(0, 1).cpu().numpy()
    true = torch.from_numpy(distances(flat)).reshape(inside.shape).to(said.device, said.dtype)
    losses = F.smooth_l1_loss(said, true, reduction="none").mean(1, keepdim=True)
    return (losses * known).sum() / known.sum().clamp_min(1)


def separate(mask: np.ndarray, said: np.ndarray, depth: float = DEPTH) -> np.ndarray:
    """int32 numbers of objects, of the shape of the mask, 0 outside.

    From the tops of the map that rise at least `depth` pixels above the way to a higher one, the mask is flooded, and
    cut where floods meet (watershed: Vincent & Soille, IEEE Transactions on Pattern Analysis and Machine Intelligence
    1991;13(6):583-598). A part of the mask without a top is an object too.

    Args:
        mask: bool ``(*S)``.
        said: float ``(*S)``: log(1 + d), as drawn.
        depth: in pixels of the network.
    """
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    every = np.ones((3,) * mask.ndim, bool)
    heights = np.expm1(np.clip(said.astype(np.float32), 0, 8)) * mask
    whole = np.rint(STEPS * heights).astype(np.int32)
    high = h_maxima(whole, max(1, round(STEPS * depth)), every) > 0  # type: ignore[no-untyped-call]
    tops, count = ndimage.label(high, every)
    parts, _ = ndimage.label(mask, every)
    without = np.setdiff1d(np.unique(parts[mask]), np.unique(parts[(tops > 0) & mask]))
    bare = np.isin(parts, without) & mask
    tops = np.where(mask, tops, 0)
    found = watershed(-whole, tops, mask=mask & ~bare, connectivity=every)  # type: ignore[no-untyped-call]
    return numbered(np.where(bare, count + parts, found))
