"""Faithfulness: does the model use what the map shows? Knows elements and answers, not images.

A random map's figures always stand beside, since a figure alone says little: on an image whose answer falls at the
slightest change every map "deletes" well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.errors import DataError
from suwen.core.model import Model
from suwen.explanation.ask import batch_of, probabilities
from suwen.explanation.parts import Game, Parts, parts_of
from suwen.explanation.random_maps import random_maps

STEPS = 12
"""Shares of the elements that are removed one after the other. Petsiuk et al. take one step a pixel row."""

REMOVALS = 48
"""Random windows over which infidelity is averaged."""


@dataclass(frozen=True, eq=False)
class Removals:
    """Random windows of one input, and what removing each does to the logit.

    Attributes:
        removed: bool ``(N, *S)``.
        loss: ``f(x) - f(x without)``, float64 ``(N,)``.
    """

    removed: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True, eq=False)
class Gauge:
    """One input and one label, ready to measure maps of shape S against.

    Args:
        model, parts: who answers, and how inputs are taken apart.
        x: one input, as `Parts.read` gives it.
        label: its number, a tensor of no axes.
        baseline: what stands where something is removed.
    """

    model: Model
    parts: type[Parts]
    x: Any
    label: Tensor
    baseline: Any

    @classmethod
    def of(cls, model: Model, x: Any, label: Tensor, baseline: str | None = None) -> Gauge:
        """With the baseline of this name; that which leaves nothing to find unless given."""
        parts = parts_of(model)
        return cls(model, parts, x, label, parts.baseline(x, baseline or parts.REMOVED))

    def curves(self, attribution: np.ndarray, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
        """Probability of the label ``(steps + 1,)`` while the highest elements are removed, and while they are added.

        Both go in equal steps from one end to the other: from the input to the baseline, and back.
        """
        rank = torch.from_numpy(_ranks(attribution))
        cuts = torch.arange(steps + 1) * (rank.numel() / steps)
        first = rank[None] < cuts.reshape(-1, *(1 for _ in rank.shape))
        # the ends are the same two inputs for both curves
        said = self._probability(torch.cat([~first, first[1:-1]]))
        deletion = said[: steps + 1]
        insertion = np.concatenate([deletion[-1:], said[steps + 1 :], deletion[:1]])
        return deletion, insertion

    def areas(self, attribution: np.ndarray, steps: int = STEPS) -> dict[str, float]:
        """Areas under both curves, and what they say together.

        ``deletion`` (lower is better) and ``insertion`` (higher is better) of Petsiuk et al. 2018, section 4.1;
        ``gain`` is insertion less deletion, in (-1, 1), about 0 for a map that says nothing.
        """
        deletion, insertion = (float(np.trapezoid(curve, dx=1 / steps)) for curve in self.curves(attribution, steps))
        return {"deletion": deletion, "insertion": insertion, "gain": insertion - deletion}

    def removals(self, *, seed: int = 0, count: int = REMOVALS) -> Removals:
        """What random windows of random sizes, up to half a side, are worth to the logit."""
        rng = np.random.default_rng(seed)
        shape = self.parts.shape(self.x)
        removed = np.zeros((count, *shape), bool)
        for one in removed:
            sizes = [int(rng.integers(1, max(2, length // 2 + 1))) for length in shape]
            starts = [int(rng.integers(length - size + 1)) for length, size in zip(shape, sizes, strict=True)]
            one[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))] = True
        game = Game(self.model, self.parts, self.x, self.label, self.baseline)
        values = game(~torch.from_numpy(np.concatenate([np.zeros((1, *shape), bool), removed]))).double().numpy()
        return Removals(removed, values[0] - values[1:])

    def _probability(self, keep: Tensor) -> np.ndarray:
        batch = batch_of(tuple(keep.shape[1:]))
        found = [
            probabilities(
                self.model, self.parts.mix(self.x, self.baseline, some), self.label.expand(len(some)), batch=batch
            )
            for some in torch.split(keep, batch)
        ]
        said: np.ndarray = torch.cat(found).double().numpy()
        return said


def infidelity(attribution: np.ndarray, removals: Removals) -> float:
    """How far the map's sums are from what removals do: 0 in proportion, 1 no better than a map of zeros.

    ``E[(β Σ_removed φ - loss)²] / E[loss²]`` (Yeh et al. 2019, definition 2.1, for maps in units of the score), with
    ``β = E[Σφ · loss] / E[(Σφ)²]`` so that maps of different scale can be compared (their section 5), but not
    negative: a map that points away from the evidence is not a good one.
    """
    said = removals.removed.reshape(len(removals.loss), -1) @ attribution.astype(np.float64).reshape(-1)
    power, total = float(said @ said), float(removals.loss @ removals.loss)
    if total == 0:
        return 0.0 if power == 0 else 1.0
    scale = max(0.0, float(said @ removals.loss) / power) if power > 0 else 0.0
    return float(((scale * said - removals.loss) ** 2).sum() / total)


def measure(model: Model, inputs: Any, label: Tensor, attribution: np.ndarray, *, seed: int = 0) -> dict[str, float]:
    """One map's figures, with those of the best kind of random map beside: ``random_deletion`` and so on.

    Args:
        inputs: a batch of one input.
        label: ``(1,)``.
        attribution: of the shape S of the input's elements.
        seed: of the random maps and of the removals.
    """
    refuse_foreign(attribution)
    gauge = Gauge.of(model, parts_of(model).read(inputs)[0], label[0])
    removals = gauge.removals(seed=seed)
    mine = gauge.areas(attribution) | {"infidelity": infidelity(attribution, removals)}
    found = measure_random(gauge, removals, seed=seed)
    best = max(found.values(), key=lambda figures: figures["gain"])
    return mine | {f"random_{name}": value for name, value in best.items()}


def measure_random(gauge: Gauge, removals: Removals, *, seed: int, each: int = 1) -> dict[str, dict[str, float]]:
    """Kind of random map → its figures, averaged over `each` maps."""
    found = {}
    for kind, maps in random_maps(gauge.parts.shape(gauge.x), seed=seed, each=each).items():
        figures = [gauge.areas(one) | {"infidelity": infidelity(one, removals)} for one in maps]
        found[kind] = {name: float(np.mean([row[name] for row in figures])) for name in figures[0]}
    return found


def refuse_foreign(attribution: np.ndarray) -> None:
    """A map with NaN has no order."""
    if not np.isfinite(attribution).all():
        raise DataError(
            "an attribution that is NaN or infinite",
            why="its elements have no order, so nothing can be measured",
            fix="another method; if all give NaN, the model's weights do",
        )


def _ranks(attribution: np.ndarray) -> np.ndarray:
    """0 for the highest element. Ties, as within a segment, go by lot, and not from the top left."""
    lot = np.random.default_rng(0).permutation(attribution.size)
    order = lot[np.argsort(-attribution.reshape(-1)[lot], kind="stable")]
    ranks = np.empty(attribution.size, np.int64)
    ranks[order] = np.arange(attribution.size)
    return ranks.reshape(attribution.shape)
