"""Labelled parts that fade into what surrounds them: a finding is not always as dense as those that were labelled."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from suwen.data.codebook import IGNORED
from suwen.learn.augment import Draws

DEFAULTS = {"p": 0.5, "most": 0.75, "largest": 0.02}
MOST = {"p": 1.0, "most": 1.0, "largest": 1.0}

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
        images: ``(B, C, *S)`` in [0, 1].
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
    wide = _LARGEST[dims](there.to(image.dtype)[None, None], 3, 1, 1)
    soft = _MEANS[dims](wide, 3, 1, 1)[0]
    outside = 1 - wide
    around = _mean(image[None] * outside, there) / _mean(outside, there).clamp_min(1e-6)
    return image + share * soft * (around[0] - image)


def _mean(values: Tensor, there: Tensor) -> Tensor:
    """Means of boxes so wide that from the middle of a part they reach beyond it, one axis after the other."""
    pool = _MEANS[there.ndim]
    for axis in range(there.ndim):
        filled = there.any(dim=tuple(other for other in range(there.ndim) if other != axis)).nonzero()
        reach = min(int(filled.max() - filled.min()) + 4, there.shape[axis] - 1)
        kernel, room = [1] * there.ndim, [0] * there.ndim
        kernel[axis], room[axis] = 2 * (reach // 2) + 1, reach // 2
        values = pool(values, kernel, 1, room, count_include_pad=True)
    return values
