"""What frozen features are good for: a k-nearest-neighbour vote and a linear classifier on a labelled part."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

NEIGHBOURS, TEMPERATURE = 20, 0.07
"""Wu et al. 2018, *Unsupervised Feature Learning via Non-Parametric Instance Discrimination*, section 3.4; k as in
Caron et al. 2021, table 2."""

PENALTY = 1.0
"""scikit-learn's C; features are standardised, so that one value serves."""

AT_A_TIME = 1024


def vote_of_neighbours(
    known: np.ndarray, targets: np.ndarray, asked: np.ndarray, labels: int, *, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """``(n, K)`` weighted votes of the nearest known features, by cosine; each neighbour weighs ``exp(cosine / 0.07)``.

    Args:
        known: ``(N, D)`` features with labels.
        targets: ``(N,)`` class numbers, or ``(N, K)`` of several labels.
        asked: ``(n, D)``.
        labels: K.
    """
    shares = targets.astype(np.float64) if targets.ndim == 2 else np.eye(labels)[targets]
    known, asked = _unit(known), _unit(asked)
    neighbours = min(neighbours, len(known))
    found = []
    for start in range(0, len(asked), AT_A_TIME):
        cosine = asked[start : start + AT_A_TIME] @ known.T
        nearest = np.argpartition(-cosine, neighbours - 1, axis=1)[:, :neighbours]
        near = np.take_along_axis(cosine, nearest, axis=1)
        weight = np.exp((near - near.max(1, keepdims=True)) / TEMPERATURE)
        found.append((weight[..., None] * shares[nearest]).sum(1) / weight.sum(1, keepdims=True))
    return np.concatenate(found).clip(0, 1)  # a sum of shares may end a last bit above 1


def linear_probe(known: np.ndarray, targets: np.ndarray, asked: np.ndarray, labels: int) -> np.ndarray:
    """``(n, K)`` probabilities of a logistic regression on standardised features; arguments as above."""
    scale = StandardScaler().fit(known)
    known, asked = scale.transform(known), scale.transform(asked)
    if targets.ndim == 2:
        return np.stack([_logistic(known, column, asked, 2)[:, 1] for column in targets.T], axis=1)
    return _logistic(known, targets, asked, labels)


def _logistic(known: np.ndarray, targets: np.ndarray, asked: np.ndarray, labels: int) -> np.ndarray:
    found = np.zeros((len(asked), labels))
    present = np.unique(targets)
    if len(present) == 1:
        found[:, present[0]] = 1.0
        return found
    with threadpool_limits(1):
        model = LogisticRegression(C=PENALTY, max_iter=500, tol=1e-3).fit(known, targets)
    found[:, present] = model.predict_proba(asked)
    return found


def _unit(features: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: np.ndarray = features / np.where(lengths > 0, lengths, 1)
    return unit
