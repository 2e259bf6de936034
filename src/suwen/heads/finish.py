"""What a mask goes through after it was drawn: small changes that a reader of scans would make without thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from suwen.data.codebook import Codebook


def finish(
    codes: np.ndarray,
    codebook: Codebook,
    *,
    largest: Sequence[str] = (),
    fill: Sequence[str] = (),
    least: Mapping[str, int] | None = None,
) -> np.ndarray:
    """Codes ``(*S)``, changed label by label.

    Args:
        codes: as drawn.
        codebook: what they mean. A pixel that loses a label keeps the others it has.
        largest: labels of which only the largest connected part stays (an organ that one has one of).
        fill: labels whose holes are filled, where the background is in them.
        least: label → fewest pixels of a part that stays.
    """
    found = codes
    for label in dict.fromkeys([*largest, *fill, *(least or {})]):
        code = codebook.labels.index(label)
        mask = codebook.mask(found, code)
        if not mask.any():
            continue
        kept = mask
        if label in largest or label in (least or {}):
            parts, _ = ndimage.label(mask, np.ones((3,) * mask.ndim))
            sizes = np.bincount(parts.reshape(-1))
            sizes[0] = 0
            stays = sizes >= (least or {}).get(label, 1)
            if label in largest:
                stays &= np.arange(len(sizes)) == sizes.argmax()
            stays[0] = False
            kept = stays[parts]
        if label in fill:
            kept = kept | (ndimage.binary_fill_holes(kept) & (found == 0))
        found = np.where(kept & ~mask, np.uint8(code), np.where(mask & ~kept, codebook.without(code)[found], found))
    return found
