"""A Model's mask of one input of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.mirror import mirrored
from suwen.core.model import Model, evaluating
from suwen.heads.unet import enlarged
from suwen.heads.windows import Network, Sliding, whole


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        codes: uint8 (*S), at the size of the input's file.
        probabilities: float32 (K, *S), where they were asked for.
        pooled: float32 (D,).
    """

    codes: np.ndarray
    probabilities: np.ndarray | None
    pooled: np.ndarray


def network_of(model: Model, views: Sequence[str] | None = None) -> Network:
    """Encoder and head as one function; logits are averaged over the test-time views, each turned back."""
    names = model.views if views is None else tuple(views)

    def run(inputs: Tensor) -> tuple[Tensor, Tensor]:
        views = mirrored(names, inputs.ndim - 2)
        seen = [model.see(view.change(inputs), views=()) for view in views]
        logits = torch.stack([view.undo(logits) for view, (logits, _) in zip(views, seen, strict=True)])
        return logits.mean(0), seen[0][1]

    return run


def draw(
    model: Model,
    pixels: np.ndarray,
    shape: Sequence[int],
    *,
    views: Sequence[str] | None = None,
    probabilities: bool = False,
) -> Drawn:
    """The mask of one preprocessed input.

    Args:
        model: whose head is `suwen.heads.segment.Segment`.
        pixels: uint8 ``(C, *S)``, as `model.preprocess` gives it.
        shape: size of the input's file, at which the mask is wanted.
        views: test-time views; the model's own unless given.
        probabilities: give them too; they take K × 4 bytes a pixel.
    """
    logits, pooled = logits_of(model, pixels, views=views)
    head: Any = model.head
    with torch.inference_mode():
        found = head.probabilities(enlarged(logits[None], shape), model.calibration)
        codes = head.finished(head.codes(found, model.calibration)[0].cpu().numpy())
    kept = found[0].float().cpu().numpy() if probabilities else None
    return Drawn(codes, kept, pooled)


def logits_of(model: Model, pixels: np.ndarray, *, views: Sequence[str] | None = None) -> tuple[Tensor, np.ndarray]:
    """float32 logits ``(K, *S)`` of a preprocessed input, and its pooled features ``(D,)``."""
    sliding = Sliding(network_of(model, views), pixels, model.preprocess.window, device=model.device)  # type: ignore[attr-defined]
    with evaluating(model.parts().values()), torch.inference_mode():
        logits = whole(sliding)
    return logits, sliding.pooled.cpu().numpy()


def each_of(model: Model, dataset: Any, rows: np.ndarray, **options: Any) -> Iterator[tuple[int, Drawn]]:
    """Row by row the mask at the size of its file."""
    for row in rows.tolist():
        yield row, draw(model, dataset.pixels_of(row), tuple(dataset.columns.own_shapes[row].tolist()), **options)
