"""Labelled parts that fade into what surrounds them: a finding is not always as dense as those that were labelled."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from suwen.data.codebook import IGNORED
from suwen.learn.augment import Draws

DEFAULTS = {"p": 0.5, "most": 0.75, "largest": 0.02}
MOST = {"p": 1.0, "most": 1.0, "largest": 1.0}

MARGIN = 6
"""Pixels around a part that count as its surroundings."""

_MEANS = {2: F.avg_pool2d, 3: F.avg_pool3d}
_LARGEST = {2: F.max_pool2d, 3: F.max_pool3d}


def draw_fade(count: int, settings: dict[str, float], generator: Generator) -> Draws:
    """Which patches, and how far: ``{"share", "largest"}``, each ``(B,)``; a share of 0 changes nothing."""
    often, share = torch.rand(2, count, generator=generator)
    return {
        "share": torch.where(often < settings["p"], share * settings["most"], torch.zeros(count)),
        "largest": torch.full((count,), settings["largest"]),
    }


def fade(images: Tensor, codes: Tensor, draws: Draws) -> Tensor:
    """``x + α m (s - x)`` for labels that cover at most `largest` of a patch.

    ``s`` is the mean of what lies around the part, ``m`` the part with a soft edge one pixel wider, since the pixels
    beside it hold some of it. A network that has only seen dense findings misses faint ones; contrast of the whole
    image, which `suwen.learn.augment` changes, does not make a finding fainter than its surroundings. (Changing the
    lesion alone is one of the transforms of TumorCP: Yang et al., MICCAI 2021, doi:10.1007/978-3-030-87193-2_55.)

    Args:
        images: ``(B, C, *S)`` in [0, 1], at least 8 pixels along each axis.
        codes: uint8 ``(B, *S)``.
        draws: of `draw_fade`.
    """
    rows = []
    for image, code, share, largest in zip(
        images, codes, draws["share"].tolist(), draws["largest"].tolist(), strict=True
    ):
        if share > 0:
            for label in code.unique().tolist():
                there = code == label
                if label not in (0, IGNORED) and there.sum() <= largest * there.numel():
                    image = _faded(image, there, share)
        rows.append(image)
    return torch.stack(rows)


def _faded(image: Tensor, there: Tensor, share: float) -> Tensor:
    dims = there.ndim
    window, reach = _window(there)
    there, part = there[window], image[(slice(None), *window)]
    wide = _LARGEST[dims](there.to(image.dtype)[None, None], 3, 1, 1)
    soft = _MEANS[dims](wide, 3, 1, 1)[0]
    outside = 1 - wide
    if not outside.any():  # nothing lies around it
        return image
    around = _mean(part[None] * outside, reach) / _mean(outside, reach).clamp_min(1e-6)
    changed = image.clone()
    changed[(slice(None), *window)] = part + share * soft * (around[0] - part)
    return changed


def _window(there: Tensor) -> tuple[tuple[slice, ...], list[int]]:
    """The box around a part with `MARGIN` on each side, and how far along each axis its middle is from beyond it."""
    window, reach = [], []
    for axis, side in enumerate(there.shape):
        filled = there.any(dim=tuple(other for other in range(there.ndim) if other != axis)).nonzero()
        low, high = int(filled.min()), int(filled.max()) + 1
        start, stop = max(0, low - MARGIN), min(side, high + MARGIN)
        window.append(slice(start, stop))
        reach.append(min((high - low) // 2 + 2, (stop - start - 1) // 2))
    return tuple(window), reach


def _mean(values: Tensor, reach: list[int]) -> Tensor:
    """Means of boxes that reach so far to both sides, one axis after the other."""
    pool = _MEANS[len(reach)]
    for axis, far in enumerate(reach):
        kernel, room = [1] * len(reach), [0] * len(reach)
        kernel[axis], room[axis] = 2 * far + 1, far
        values = pool(values, kernel, 1, room)
    return values
