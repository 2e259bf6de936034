"""Where the truth is known: does the map point at the finding?"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

TOLERANCE = 0.03
"""Share of the side by which a point may miss: the 15 pixels of Zhang et al. 2018 on the images of PASCAL VOC (about
500 pixels)."""


def hit(attribution: np.ndarray, mask: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """The pointing game: whether the highest point lies in the finding, or within `tolerance` of it.

    Zhang et al. 2018, section 4.1. Where several points are equally high (within a segment), the share of them that
    hit: the chance of a point taken among them by lot.

    Args:
        attribution: ``(H, W)``.
        mask: bool ``(H, W)``, true in the finding.
        tolerance: share of the longer side.
    """
    reach = round(tolerance * max(mask.shape))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    near = binary_dilation(mask, rows**2 + columns**2 <= reach**2)
    return float(near[attribution == attribution.max()].mean())


def overlap(attribution: np.ndarray, mask: np.ndarray) -> float:
    """Intersection over union of the finding and as many of the highest points as the finding has.

    No threshold is chosen, so that maps of any scale can be compared. Ties count with the share that would be taken.
    """
    size = int(mask.sum())
    if size == 0:
        return 0.0
    least = np.partition(attribution, -size, axis=None)[-size]
    above, level = attribution > least, attribution == least
    share = (size - above.sum()) / level.sum()
    shared = float((above & mask).sum() + share * (level & mask).sum())
    return shared / (2 * size - shared)
