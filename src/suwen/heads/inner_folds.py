"""Folds inside the training rows: how heads that are fitted at once choose their settings without looking further."""

from __future__ import annotations

import numpy as np

FOLDS = 5
MOST_ROWS = 20_000
"""Rows on which settings are chosen; more change nothing but the time."""


def inner_folds(target: np.ndarray, groups: np.ndarray, *, seed: int, folds: int = FOLDS) -> np.ndarray:
    """int64 (N,): the fold of each row. Rows of one group share theirs; each label is spread evenly.

    Args:
        target: class numbers (N,), or 0 and 1 (N, K), of which each row counts by its rarest label.
        groups: int64 (N,), whose each row is.
        seed: of the order in which groups are dealt.
        folds: how many; fewer where there are fewer groups.
    """
    classes = _rarest(target) if target.ndim == 2 else target
    names, firsts, member = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(classes[firsts[order]], kind="stable")]
    dealt = np.empty(len(names), np.int64)
    dealt[order] = np.arange(len(names)) % max(2, min(folds, len(names)))
    found: np.ndarray = dealt[member]
    return found


def some_rows(count: int, groups: np.ndarray, *, seed: int) -> np.ndarray:
    """Row numbers of whole groups, `MOST_ROWS` at most or little more, ascending."""
    if count <= MOST_ROWS:
        return np.arange(count)
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    taken = order[np.cumsum(sizes[order]) <= MOST_ROWS]
    return np.flatnonzero(np.isin(member, taken))


def _rarest(flags: np.ndarray) -> np.ndarray:
    """The rarest label of each row; K where it has none."""
    counts = flags.sum(axis=0)
    weighed = np.where(flags > 0, counts, counts.max(initial=0) + 1)
    found: np.ndarray = np.where((flags > 0).any(axis=1), weighed.argmin(axis=1), flags.shape[1])
    return found


def log_loss(scores: np.ndarray, target: np.ndarray) -> float:
    """Mean negative log-likelihood of logits: (N,) of one yes or no, or (N, K) of one of K."""
    if scores.ndim == 1:
        return float(np.mean(np.logaddexp(0, scores) - scores * target))
    top = scores.max(axis=1, keepdims=True)
    total = np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(total - scores[np.arange(len(scores)), target]))
