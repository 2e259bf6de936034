"""Coalitions of segments: which are kept, drawn from a seed, and the two regressions on what they achieve.

Knows nothing of images: a coalition is a row of booleans, its value a number.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from suwen.core.errors import RecipeError


def refuse_too_few(samples: int, segments: int) -> None:
    """Fewer equations than unknowns have no single solution."""
    if samples < segments:
        raise RecipeError(
            f"samples = {samples} for {segments} segments",
            why="each segment is an unknown, and each sample one equation",
            fix=f"--samples {max(100, 5 * segments)}, or fewer segments: --set count={max(1, samples // 5)}",
        )


def draw_evenly(samples: int, segments: int, generator: torch.Generator) -> Tensor:
    """bool ``(samples, segments)``: each segment kept with probability 1/2; the first row keeps all."""
    kept = torch.rand(samples, segments, generator=generator) < 0.5
    kept[0] = True
    return kept


def proximity(kept: Tensor, width: float) -> Tensor:
    """LIME's weights ``exp(-D² / width²)``, D the cosine distance to the whole, ``1 - √(share kept)``.

    Ribeiro et al. 2016, section 3.3.
    """
    distance = 1 - kept.double().mean(1).sqrt()
    return torch.exp(-(distance**2) / width**2)


def ridge(kept: Tensor, values: Tensor, weights: Tensor, strength: float) -> Tensor:
    """Coefficients ``(d,)`` of ``min Σ w (v - b - zᵀφ)² + strength |φ|²``; the intercept b is not shrunk."""
    z, v, w = kept.double(), values.double(), weights.double()
    share = w / w.sum()
    z, v = z - share @ z, v - share @ v
    normal = z.T @ (w[:, None] * z) + strength * torch.eye(z.shape[1], dtype=torch.float64)
    return _solve(normal, z.T @ (w * v))


def shapley_coalitions(samples: int, segments: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Coalitions ``(n, d)`` other than all and none, and their weights ``(n,)`` in the regression.

    All of them with the Shapley kernel's weights where `samples` suffice, so that the result is exact; else drawn with
    probability proportional to the kernel, in pairs of a coalition and its complement, which halves the variance
    (Covert & Lee 2021, section 4.2), with equal weights.
    """
    if segments <= 30 and 2**segments - 2 <= samples:
        every = torch.tensor(list(itertools.product((False, True), repeat=segments)))[1:-1]
        return every, shapley_kernel(every)
    sizes = torch.arange(1, segments)
    # all coalitions of a size together: the binomial coefficient cancels
    chances = 1.0 / (sizes * (segments - sizes))
    half = math.ceil(samples / 2)
    drawn = sizes[torch.multinomial(chances, half, replacement=True, generator=generator)]
    order = torch.rand(half, segments, generator=generator).argsort(1).argsort(1)
    kept = order < drawn[:, None]
    return torch.stack([kept, ~kept], 1).flatten(0, 1)[:samples], torch.ones(samples, dtype=torch.float64)


def shapley_kernel(kept: Tensor) -> Tensor:
    """``(d - 1) / (C(d, s) s (d - s))`` for coalitions of size s (Lundberg & Lee 2017, theorem 2)."""
    d = kept.shape[1]
    by_size = [0.0, *((d - 1) / (math.comb(d, s) * s * (d - s)) for s in range(1, d)), 0.0]
    return torch.tensor(by_size, dtype=torch.float64)[kept.sum(1)]


def shapley(kept: Tensor, values: Tensor, weights: Tensor, none: Tensor, whole: Tensor) -> Tensor:
    """φ ``(d,)`` of ``min Σ w (v - v(∅) - zᵀφ)²`` under ``Σ φ = v(all) - v(∅)``.

    With a multiplier for the constraint this is one linear system (Covert & Lee 2021, equation 7).
    """
    z, v, w = kept.double(), (values - none).double(), weights.double()
    d = z.shape[1]
    system, right = torch.zeros(d + 1, d + 1, dtype=torch.float64), torch.zeros(d + 1, dtype=torch.float64)
    system[:d, :d], system[:d, d], system[d, :d] = z.T @ (w[:, None] * z), 1, 1
    right[:d], right[d] = z.T @ (w * v), (whole - none).double()
    return _solve(system, right)[:d]


def _solve(system: Tensor, right: Tensor) -> Tensor:
    """The solution, the shortest one where the drawn coalitions leave several."""
    solved: Tensor = torch.linalg.lstsq(system, right[:, None], driver="gelsd").solution
    return solved[:, 0]
