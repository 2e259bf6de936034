"""Core-set: what is farthest from everything labelled, so that nothing in the pool is far from a label."""

from __future__ import annotations

import numpy as np

from suwen.learn.query.strategy import Choice, Facts, Places, Pool, Strategy, blocks

LABELLED_BLOCK = 1024


def _by_cover(pool: Pool, budget: int, places: Places, generator: np.random.Generator) -> Choice:
    """Greedy k-centre: again and again the row whose nearest centre is the farthest away (Euclidean).

    Centres are the labelled rows and those chosen. Without labelled rows the first is the one nearest the mean.
    """
    nearest, owner = _nearest_labelled(pool.features, pool.labelled)
    rows: list[int] = []
    scores: list[float] = []
    neighbours: list[int] = []
    while len(rows) < budget:
        start = not len(pool.labelled) and not rows
        wanted = -_from_mean(pool.features) if start else nearest
        row = int(np.argmax(np.where(places.free, wanted, -np.inf)))
        rows.append(row)
        scores.append(0.0 if start else float(np.sqrt(nearest[row])))
        neighbours.append(-1 if start else int(owner[row]))
        places.take(row)
        _add_centre(pool.features, row, len(pool.labelled) + row, nearest, owner)
    return Choice(np.array(rows, np.int64), np.array(scores), np.array(neighbours, np.int64))


def _nearest_labelled(features: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distance ``(N,)`` to the nearest labelled row, and which one that is; infinity and -1 without any."""
    nearest, owner = np.full(len(features), np.inf), np.full(len(features), -1)
    for start in range(0, len(labelled), LABELLED_BLOCK):
        centres = np.asarray(labelled[start : start + LABELLED_BLOCK], np.float64)
        for part, values in blocks(features):
            squared = (values**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * values @ centres.T
            which = squared.argmin(1)
            found = squared[np.arange(len(values)), which].clip(min=0)
            nearer = found < nearest[part]
            nearest[part] = np.where(nearer, found, nearest[part])
            owner[part] = np.where(nearer, start + which, owner[part])
    return nearest, owner


def _add_centre(features: np.ndarray, row: int, name: int, nearest: np.ndarray, owner: np.ndarray) -> None:
    """Shorten the distances, in place."""
    centre = np.asarray(features[row], np.float64)
    for part, values in blocks(features):
        found = ((values - centre) ** 2).sum(1)
        nearer = found < nearest[part]
        nearest[part] = np.where(nearer, found, nearest[part])
        owner[part] = np.where(nearer, name, owner[part])


def _from_mean(features: np.ndarray) -> np.ndarray:
    total = np.zeros(features.shape[1])
    for _, values in blocks(features):
        total += values.sum(0)
    mean = total / max(1, len(features))
    return np.concatenate([((values - mean) ** 2).sum(1) for _, values in blocks(features)])


def _why(facts: Facts) -> str:
    if facts.neighbour is None:
        return "nothing labelled is known, and this lies in the middle of the pool"
    kind = "labelled" if facts.neighbour_labelled else "chosen"
    return f"unlike anything labelled or chosen: the nearest, {facts.neighbour} ({kind}), is {facts.score:.2f} away"


CORESET = Strategy(
    name="coreset",
    summary="far from everything labelled",
    formula="min ‖z - z'‖ over labelled and chosen z'",
    source="Sener & Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018, "
    "algorithm 1",
    choose=_by_cover,
    because=_why,
    labelled=True,
)
