"""BADGE: inputs whose last-layer gradients are large (uncertain) and point apart (diverse)."""

from __future__ import annotations

import numpy as np

from suwen.learn.query.strategy import Choice, Facts, Places, Pool, Strategy, blocks, likely


def residuals(probabilities: np.ndarray, multi_label: bool) -> np.ndarray:
    """``p - ŷ`` ``(N, K)``: the gradient of the loss by the logits, were the model's own answer the truth."""
    p = np.asarray(probabilities, np.float64)
    if multi_label:
        return p - (p >= 0.5)
    answer = np.zeros_like(p)
    answer[np.arange(len(p)), p.argmax(1)] = 1
    return p - answer


def _by_gradient(pool: Pool, budget: int, places: Places, generator: np.random.Generator) -> Choice:
    """k-means++ seeding of the gradient embeddings ``g = (p - ŷ) ⊗ z``: the first at random, then by D² weights.

    The ``K·D`` numbers of an embedding are never written out: ``g·g' = (a·a')(z·z')`` with ``a = p - ŷ``.
    """
    a = residuals(pool.probabilities, pool.multi_label)
    norms = (a**2).sum(1) * np.concatenate([(z**2).sum(1) for _, z in blocks(pool.features)])
    nearest, owner = np.full(len(pool), np.inf), np.full(len(pool), -1)
    rows: list[int] = []
    scores: list[float] = []
    neighbours: list[int] = []
    while len(rows) < budget:
        weights = np.where(places.free, nearest if rows else 1.0, 0.0)
        row = _draw(weights if weights.sum() > 0 else places.free.astype(float), generator)
        scores.append(float(nearest[row] if rows else norms[row]))
        neighbours.append(int(owner[row]))
        rows.append(row)
        places.take(row)
        z_row = np.asarray(pool.features[row], np.float64)
        for part, z in blocks(pool.features):
            found = (norms[part] + norms[row] - 2 * (a[part] @ a[row]) * (z @ z_row)).clip(min=0)
            nearer = found < nearest[part]
            nearest[part] = np.where(nearer, found, nearest[part])
            owner[part] = np.where(nearer, len(pool.labelled) + row, owner[part])
    return Choice(np.array(rows, np.int64), np.array(scores), np.array(neighbours, np.int64))


def _draw(weights: np.ndarray, generator: np.random.Generator) -> int:
    """A row with probability proportional to its weight; one of weight 0 never."""
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))


def _why(facts: Facts) -> str:
    if facts.neighbour is None:
        return f"drawn first, at random ({likely(facts)})"
    return (
        f"would change the last layer otherwise than {facts.neighbour} does ({likely(facts)}): D² = {facts.score:.3g}"
    )


BADGE = Strategy(
    name="badge",
    summary="uncertain, and unlike what is chosen with it",
    formula="D² of (p - ŷ) ⊗ z to the nearest chosen one, drawn in proportion to it",
    source="Ash et al., Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds, ICLR 2020, "
    "algorithm 1; seeding: Arthur & Vassilvitskii, k-means++, SODA 2007",
    choose=_by_gradient,
    because=_why,
)
