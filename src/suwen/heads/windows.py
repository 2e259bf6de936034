"""A network over an input larger than it was trained on: overlapping windows, blended, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Network = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Inputs ``(B, C, *P)`` → logits ``(B, K, *P)`` and pooled features ``(B, D)``."""

SIGMA = 1 / 8
"""Of the Gaussian that weighs the middle of a window more than its edge, as a share of its side (nnU-Net)."""

LEAST = 1e-3
"""Weight of a window's corners relative to its centre, so that none divides by zero."""

LARGE = 512 * 2**20
"""Bytes of logits in memory at a time from which they are summed in half precision: a thousandth of a logit is lost."""

SMALL = 1 << 22
"""Pixels of an input whose logits are all held at once: windows then come in full batches, and nothing is moved on."""

PIECE = 1 << 20
"""Pixels whose logits are handed on at a time, at least a layer of them."""

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

    @property
    def small(self) -> bool:
        """All of its logits are held at once."""
        return int(np.prod(self.pixels.shape[1:])) <= SMALL

    def __len__(self) -> int:
        """How many parts come one after the other."""
        depth = self.pixels.shape[1]
        edges = [*starts(depth, self.window[0], self.overlap), depth]
        return 1 if self.small else sum(1 for first, last in pairwise(edges) for _ in self._pieces(first, last))

    def _pieces(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Layers `first` to `last`, about `PIECE` pixels at a time."""
        step = max(1, PIECE // int(np.prod(self.pixels.shape[2:])))
        for start in range(first, last, step):
            yield start, min(start + step, last)

    def __iter__(self) -> Iterator[tuple[int, int, Tensor]]:
        """``(start, stop, logits)`` along the first axis, ``(K, stop - start, *S[1:])`` float32, in order.

        Of an input that is not `small` only as many sums are in memory as a window is deep.
        """
        shape = self.pixels.shape[1:]
        weight = gaussian(self.window).to(self.device)
        places = [starts(side, size, self.overlap) for side, size in zip(shape, self.window, strict=True)]
        if self.small:
            yield 0, shape[0], self._at_once(weight, places)
            return
        depth, first = self.window[0], 0
        # summed as they come: small tensors that stay, between large ones that go, would keep the memory of these
        sums, fitting, pooled = torch.empty(0), weight, torch.zeros((), device=self.device)
        once, begun = self._once(weight, places[1:]), list[int]()
        for start in places[0]:
            if start > first:
                for a, b in self._pieces(first, start):
                    yield a, b, (sums[:, a - first : b - first] / _weights(once, begun, a, b)).float()
                _shift(sums, start - first)
            first = start
            begun.append(start)
            for corners, inputs in self._batches([start], places[1:]):
                logits, seen = self.network(inputs.to(self.device))
                pooled = pooled + seen.float().sum(0)
                if not len(sums):
                    size = (logits.shape[1], depth, *shape[1:])
                    kind = torch.float16 if int(np.prod(size)) * 4 > LARGE else torch.float32
                    sums = torch.zeros(size, device=self.device, dtype=kind)
                    fitting = weight.to(kind)
                for corner, each in zip(corners, logits.to(sums.dtype), strict=True):
                    place, part = self._where(corner[1:])
                    sums[(slice(None), *place)].addcmul_(each[(slice(None), *part)], fitting[part])
        self.pooled = pooled / sum(1 for _ in itertools.product(*places))
        for a, b in self._pieces(first, shape[0]):
            yield a, b, (sums[:, a - first : b - first] / _weights(once, begun, a, b)).float()

    def _at_once(self, weight: Tensor, places: Sequence[Sequence[int]]) -> Tensor:
        """All logits ``(K, *S)``."""
        shape = self.pixels.shape[1:]
        weights, sums = torch.zeros(shape, device=self.device), torch.empty(0)
        pooled = torch.zeros((), device=self.device)
        for corners, inputs in self._batches(places[0], places[1:]):
            logits, seen = self.network(inputs.to(self.device))
            pooled = pooled + seen.float().sum(0)
            if not len(sums):
                sums = torch.zeros((logits.shape[1], *shape), device=self.device)
            for corner, each in zip(corners, logits.float(), strict=True):
                place = tuple(map(_slice, corner, self.window, shape))
                part = tuple(slice(0, side.stop - side.start) for side in place)
                sums[(slice(None), *place)].addcmul_(each[(slice(None), *part)], weight[part])
                weights[place] += weight[part]
        self.pooled = pooled / sum(1 for _ in itertools.product(*places))
        return sums.div_(weights)

    def _where(self, corner: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where a window lies among the layers held, and which part of it lies inside the input."""
        others = self.pixels.shape[2:]
        place = tuple(map(_slice, corner, self.window[1:], others))
        part = tuple(slice(0, each.stop - each.start) for each in place)
        return (slice(None), *place), (slice(None), *part)

    def _once(self, weight: Tensor, others: Sequence[Sequence[int]]) -> Tensor:
        """``(depth, *S[1:])``: the weights of all windows that begin in one layer, the same for each."""
        found = torch.zeros(self.window[0], *self.pixels.shape[2:], device=self.device)
        for corner in itertools.product(*others):
            place, part = self._where(corner)
            found[place] += weight[part]
        return found

    def _batches(
        self, first: Sequence[int], others: Sequence[Sequence[int]]
    ) -> Iterator[tuple[list[tuple[int, ...]], Tensor]]:
        """Corners of windows that begin there along the first axis and the others, and the windows, a few at a time."""
        corners = list(itertools.product(first, *others))
        count = max(1, PIXELS_AT_A_TIME // int(np.prod(self.window)))
        for position in range(0, len(corners), count):
            some = corners[position : position + count]
            yield some, torch.from_numpy(np.stack([self._read(corner) for corner in some]))

    def _read(self, corner: Sequence[int]) -> np.ndarray:
        """One window, continued by its edge where the input is smaller."""
        window = tuple(map(_slice, corner, self.window, self.pixels.shape[1:]))
        part = self.pixels[(slice(None), *window)]
        lacking = [(0, size - found) for size, found in zip(self.window, part.shape[1:], strict=True)]
        return np.pad(part, [(0, 0), *lacking], mode="edge") if any(after for _, after in lacking) else part


def _slice(start: int, size: int, side: int) -> slice:
    return slice(start, min(start + size, side))


def _weights(once: Tensor, begun: Sequence[int], first: int, last: int) -> Tensor:
    """``(last - first, *S[1:])``: the weights in some layers of all windows that begin in the layers `begun`."""
    found = torch.zeros(last - first, *once.shape[1:], device=once.device)
    for start in begun:
        top, bottom = max(first, start), min(last, start + len(once))
        if top < bottom:
            found[top - first : bottom - first] += once[top - start : bottom - start]
    return found


def _shift(sums: Tensor, by: int) -> None:
    """Move the layers of ``(K, L, …)`` towards the first, in place, and leave zeros behind: as many at a time as they
    move by, so that none is written before it was read."""
    layers = sums.movedim(1, 0)
    for start in range(0, len(layers) - by, by):
        stop = min(start + by, len(layers) - by)
        layers[start:stop] = layers[start + by : stop + by]
    layers[max(0, len(layers) - by) :] = 0


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
