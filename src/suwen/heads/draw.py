"""A Model's mask of one input of any size, in memory that does not grow with its depth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from suwen.core.mirror import mirrored
from suwen.core.model import Model, evaluating
from suwen.data.case import DensePreprocess
from suwen.data.grid import Grid
from suwen.data.progress import track
from suwen.heads.instances import DEPTH, separate
from suwen.heads.pixels import PixelSample
from suwen.heads.unet import enlarged
from suwen.heads.windows import PIECE, Network, Sliding, whole


@dataclass(frozen=True)
class Drawn:
    """What was drawn.

    Attributes:
        codes: uint8, as the file has its pixels.
        grid: where they lie.
        pooled: float32 (D,).
        uncertainty: uint8, 0 where the model is sure of one label and 255 where it holds all for equally likely: the
            entropy of the probabilities over its largest value, log K. None where it was not asked for.
        objects: label → int32 numbers of its objects, for labels whose objects are told apart.
    """

    codes: np.ndarray
    grid: Grid
    pooled: np.ndarray
    uncertainty: np.ndarray | None = None
    objects: dict[str, np.ndarray] = field(default_factory=dict)


SAMPLES = 8
"""Of a network with dropout, where its uncertainty is asked for."""


def network_of(model: Model, views: Sequence[str] | None = None, samples: int = 1) -> Network:
    """Encoder and head as one function; logits are averaged over the test-time views, each turned back.

    With several samples dropout stays on, and what comes is the logarithm of the mean of their probabilities (Gal &
    Ghahramani, ICML 2016, section 4): logits like any others.
    """
    names = model.views if views is None else tuple(views)

    def run(inputs: Tensor) -> tuple[Tensor, Tensor]:
        views = mirrored(names, inputs.ndim - 2)
        seen = [model.see(view.change(inputs), views=()) for view in views]
        logits = torch.stack([view.undo(logits) for view, (logits, _) in zip(views, seen, strict=True)])
        return logits.mean(0), seen[0][1]

    def sampled(inputs: Tensor) -> tuple[Tensor, Tensor]:
        with dropping(model):
            seen = [run(inputs) for _ in range(samples)]
        codes = len(model.head.codebook)  # type: ignore[attr-defined]
        mean = torch.stack([logits[:, :codes].softmax(1) for logits, _ in seen]).mean(0).clamp_min(1e-12).log()
        further = torch.stack([logits[:, codes:] for logits, _ in seen]).mean(0)
        return torch.cat([mean, further], 1), seen[0][1]

    return run if samples == 1 else sampled


def dropouts(model: Model) -> list[nn.Module]:
    """Its layers of dropout that drop something."""
    kinds = (nn.Dropout, nn.Dropout2d, nn.Dropout3d)
    parts = (layer for part in model.parts().values() for layer in part.modules())
    return [layer for layer in parts if isinstance(layer, kinds) and layer.p > 0]


@contextmanager
def dropping(model: Model) -> Iterator[None]:
    """Its dropout as in training, all else as it is."""
    layers = dropouts(model)
    try:
        for layer in layers:
            layer.train()
        yield
    finally:
        for layer in layers:
            layer.eval()


def sliding_of(
    model: Model,
    pixels: np.ndarray,
    views: Sequence[str] | None = None,
    samples: int = 1,
    overlap: float | None = None,
) -> Sliding:
    """The windows over a preprocessed input, uint8 ``(C, *S)``."""
    preprocess: DensePreprocess = model.preprocess  # type: ignore[assignment]
    share = preprocess.overlap if overlap is None else overlap
    return Sliding(network_of(model, views, samples), pixels, preprocess.window, share, model.device)


def draw(
    model: Model,
    pixels: np.ndarray,
    grid: Grid,
    *,
    views: Sequence[str] | None = None,
    overlap: float | None = None,
    uncertainty: bool = False,
    objects: bool = True,
    sample: PixelSample | None = None,
    progress: bool = False,
) -> Drawn:
    """The mask of one preprocessed input.

    Args:
        model: whose head is `suwen.heads.segment.Segment`.
        pixels: uint8 ``(C, *S)``, as `model.preprocess` gives it.
        grid: of the input's file, on which the mask is wanted.
        views: test-time views; the model's own unless given.
        overlap: of windows; that of the preprocessing unless given.
        uncertainty: give that of each pixel too; with `SAMPLES` samples where the model has dropout.
        objects: tell objects apart, where the model can.
        sample: is shown the probabilities.
        progress: show a bar if it takes over two seconds.
    """
    head: Any = model.head
    shape = grid.body_shape
    samples = SAMPLES if uncertainty and dropouts(model) else 1
    sliding = sliding_of(model, pixels, views, samples, overlap)
    codes = np.empty(shape, np.uint8)
    doubt = np.empty(shape, np.uint8) if uncertainty else None
    labels = head.instances if objects else ()
    far = np.empty((len(labels), *shape), np.float16)
    with evaluating(model.parts().values()), torch.inference_mode():
        parts = track(sliding, "Drawing", len(sliding), enabled=progress)
        for start, stop, logits in on_grid(parts, pixels.shape[1], shape):
            found = head.probabilities(logits[None], model.calibration)
            codes[start:stop] = head.codes(found, model.calibration)[0].cpu().numpy()
            if sample is not None:
                sample.see(start, found[0])
            if labels:
                far[:, start:stop] = logits[len(head.codebook) :].cpu().numpy()
            if doubt is not None:
                doubt[start:stop] = (entropy(found)[0] * 255).round().to(torch.uint8).cpu().numpy()
    turned = None if doubt is None else grid.as_in_the_file(doubt)
    codes = head.finished(codes)
    depths = model.calibration.depths or {}
    apart = {
        label: grid.as_in_the_file(
            separate(head.codebook.mask(codes, head.labels.index(label)), map, depths.get(label, DEPTH))
        )
        for label, map in zip(labels, far, strict=True)
    }
    return Drawn(grid.as_in_the_file(codes), grid, sliding.pooled.cpu().numpy(), turned, apart)


def entropy(probabilities: Tensor) -> Tensor:
    """``(B, K, *S)`` → ``(B, *S)``: -Σ p log p over log K, from 0 to 1."""
    found = -(probabilities * probabilities.clamp_min(1e-12).log()).sum(1)
    return (found / math.log(max(2, probabilities.shape[1]))).clamp(0, 1)


def on_grid(
    parts: Iterable[tuple[int, int, Tensor]], depth: int, shape: Sequence[int]
) -> Iterator[tuple[int, int, Tensor]]:
    """Layers of logits, some at a time, linearly on a grid of another size, about `PIECE` pixels at a time.

    The same as enlarging the whole at once, but only the layers between which something lies are held, and each becomes
    larger when it is asked for.

    Args:
        parts: ``(start, stop, (K, stop - start, *rest))`` from 0 to `depth`, in order.
        depth: of the grid they come from.
        shape: of the grid they go to.
    """
    done, first, held = 0, 0, None
    step = max(1, PIECE // math.prod(shape[1:]))
    for _, stop, logits in parts:
        held = logits if held is None else torch.cat([held, logits], 1)
        ready = shape[0] if stop == depth else _ready(stop, depth, shape[0])
        while done < ready:
            until = min(done + step, ready)
            yield done, until, _planes(_between(held, first, depth, shape[0], done, until), shape[1:])
            done = until
        # the last one has a neighbour that is still to come
        first, held = stop - 1, held[:, -1:]


def _planes(logits: Tensor, rest: Sequence[int]) -> Tensor:
    """``(K, D, *rest)``, each layer enlarged by itself; a line of pixels is a layer of an image."""
    if tuple(logits.shape[2:]) == tuple(rest):
        return logits
    layers = logits.movedim(1, 0)
    if len(rest) > 1:
        return enlarged(layers, rest).movedim(0, 1)
    return enlarged(layers[:, :, None], (1, rest[0]))[:, :, 0].movedim(0, 1)


def _ready(stop: int, depth: int, count: int) -> int:
    """How many layers of the new grid lie at or before the centre of the last of the `stop` old ones."""
    return max(0, math.floor((stop - 0.5) * count / depth - 0.5) + 1)


def _between(held: Tensor, first: int, depth: int, count: int, start: int, stop: int) -> Tensor:
    """Layers `start` to `stop` of the new grid, between those held, of which the first is number `first`."""
    if depth == count:
        return held[:, start - first : stop - first]
    place = ((torch.arange(start, stop, device=held.device) + 0.5) * depth / count - 0.5).clamp(0, depth - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=depth - 1)
    share = (place - low).to(held.dtype).reshape(1, -1, *[1] * (held.ndim - 2))
    last = held.shape[1] - 1
    return held[:, (low - first).clamp(0, last)] * (1 - share) + held[:, (high - first).clamp(0, last)] * share


def logits_of(model: Model, pixels: np.ndarray, *, views: Sequence[str] | None = None) -> tuple[Tensor, np.ndarray]:
    """float32 logits ``(K, *S)`` of a preprocessed input, and its pooled features ``(D,)``."""
    sliding = sliding_of(model, pixels, views)
    with evaluating(model.parts().values()), torch.inference_mode():
        logits = whole(sliding)
    return logits, sliding.pooled.cpu().numpy()
