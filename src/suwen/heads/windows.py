"""A network over an input larger than it was trained on: overlapping windows, blended, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Network = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Inputs ``(B, C, *P)`` → logits ``(B, K, *P)`` and pooled features ``(B, D)``."""

SIGMA = 1 / 8
"""Of the Gaussian that weighs the middle of a window more than its edge, as a share of its side (nnU-Net)."""

LEAST = 1e-3
"""Weight of a window's corners relative to its centre, so that none divides by zero."""

LARGE = 512 * 2**20
"""Bytes of logits in memory at a time from which they are summed in half precision: a thousandth of a logit is lost."""

PIXELS_AT_A_TIME = 1 << 18
"""Of all windows of one batch together."""


@dataclass
class Sliding:
    """The windows over one input, and what came of them.

    Args:
        network: see `Network`.
        pixels: ``(C, *S)``, an array that may be mapped from disk: only windows of it are read.
        window: side of the windows along each axis.
        overlap: of neighbouring windows, as a share of their side.
        device: where the network is.

    Attributes:
        pooled: ``(D,)``, the mean over windows, when all have been seen.
    """

    network: Network
    pixels: np.ndarray
    window: Sequence[int]
    overlap: float = 0.5
    device: torch.device | str = "cpu"
    pooled: Tensor = field(init=False)

    def __iter__(self) -> Iterator[tuple[int, int, Tensor]]:
        """``(start, stop, logits)`` along the first axis, ``(K, stop - start, *S[1:])`` float32, in order.

        Only as many layers of logits are in memory as a window is deep.
        """
        shape = self.pixels.shape[1:]
        weight = gaussian(self.window).to(self.device)
        depth, first = self.window[0], 0
        sums: Tensor | None = None
        weights: Tensor | None = None
        pooled: list[Tensor] = []
        places = [starts(side, size, self.overlap) for side, size in zip(shape, self.window, strict=True)]
        for start in places[0]:
            if sums is not None and start > first:
                yield self._done(first, start, sums, weights)
                sums, weights = _moved(sums, start - first), _moved(weights, start - first)
            first = start
            for corners, inputs in self._batches(start, places[1:]):
                logits, seen = self.network(inputs.to(self.device))
                pooled.append(seen.float().sum(0))
                if sums is None or weights is None:
                    size = (depth, *shape[1:])
                    large = logits.shape[1] * int(np.prod(size)) * 4 > LARGE
                    kind = torch.float16 if large else torch.float32
                    sums = torch.zeros(logits.shape[1], *size, device=self.device, dtype=kind)
                    weights = torch.zeros(1, *size, device=self.device, dtype=kind)
                for corner, each in zip(corners, logits.float(), strict=True):
                    window = (slice(None), slice(None), *map(_slice, corner, self.window[1:], shape[1:]))
                    inside = tuple(slice(0, part.stop - part.start) for part in window[2:])
                    part = (slice(None), slice(None), *inside)
                    sums[window] += (each * weight)[part]
                    weights[window] += weight[None][part]
        assert sums is not None and weights is not None
        self.pooled = torch.stack(pooled).sum(0) / sum(1 for _ in itertools.product(*places))
        yield self._done(first, shape[0], sums, weights)

    def _done(self, start: int, stop: int, sums: Tensor, weights: Tensor | None) -> tuple[int, int, Tensor]:
        assert weights is not None
        return start, stop, (sums[:, : stop - start] / weights[:, : stop - start]).float()

    def _batches(self, start: int, others: Sequence[Sequence[int]]) -> Iterator[tuple[list[tuple[int, ...]], Tensor]]:
        """Corners along the other axes, and the windows there, a few at a time."""
        corners = list(itertools.product(*others))
        count = max(1, PIXELS_AT_A_TIME // int(np.prod(self.window)))
        for position in range(0, len(corners), count):
            some = corners[position : position + count]
            yield some, torch.stack([self._read((start, *corner)) for corner in some])

    def _read(self, corner: Sequence[int]) -> Tensor:
        """One window, continued by its edge where the input is smaller."""
        window = tuple(map(_slice, corner, self.window, self.pixels.shape[1:]))
        part = torch.from_numpy(np.array(self.pixels[(slice(None), *window)]))
        lacking = [size - found for size, found in zip(self.window, part.shape[1:], strict=True)]
        if not any(lacking):
            return part
        after = [number for lack in reversed(lacking) for number in (0, lack)]
        return F.pad(part[None].float(), after, mode="replicate")[0].to(part.dtype)


def _slice(start: int, size: int, side: int) -> slice:
    return slice(start, min(start + size, side))


def _moved(values: Tensor | None, by: int) -> Tensor:
    """The layers that are not done yet first, and zeros after them."""
    assert values is not None
    kept = values[:, by:]
    return torch.cat([kept, torch.zeros_like(values[:, : values.shape[1] - kept.shape[1]])], 1)


def starts(side: int, size: int, overlap: float) -> list[int]:
    """Where windows of `size` begin along a side, evenly spread from one end to the other."""
    if side <= size:
        return [0]
    step = max(1, int(size * (1 - overlap)))
    count = -(-(side - size) // step) + 1
    return [round(number * (side - size) / (count - 1)) for number in range(count)]


def gaussian(window: Sequence[int]) -> Tensor:
    """float32 (*window): the product of a Gaussian along each axis, at most 1 and at least `LEAST`."""
    found = torch.ones(())
    for size in window:
        x = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
        found = found[..., None] * torch.exp(-0.5 * (x / (size * SIGMA)) ** 2)
    return found.clamp_min(LEAST)


def whole(sliding: Sliding) -> Tensor:
    """All logits ``(K, *S)`` at once, for inputs that fit into memory."""
    return torch.cat([logits for _, _, logits in sliding], 1)
