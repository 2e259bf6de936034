"""`Strategy`: one way to choose what is labelled next, as a row: a pure choice, and why in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 4096
"""Rows of features read at a time: what lies on disk is never in memory as a whole."""


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What several answers to the same input say, summed up as they come.

    Attributes:
        mean: ``(N, K)`` mean of the sampled probabilities.
        entropy: ``(N,)`` mean entropy of the samples, in nats.
        samples: how many there were.
        how: where they came from, in words.
    """

    mean: np.ndarray
    entropy: np.ndarray
    samples: int
    how: str


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All that a strategy may look at.

    Attributes:
        probabilities: ``(N, K)``, calibrated; rows add up to 1 unless `multi_label`.
        multi_label: each label is a yes-or-no question of its own.
        features: ``(N, D)`` pooled features, perhaps mapped from disk.
        labelled: ``(M, D)`` those of what is labelled already; M may be 0.
        posterior: given to strategies that ask for it.
        subjects: ``(N,)`` numbers; rows of one person share one.
    """

    probabilities: np.ndarray
    multi_label: bool
    features: np.ndarray
    labelled: np.ndarray
    subjects: np.ndarray
    posterior: Posterior | None = None

    def __len__(self) -> int:
        return len(self.probabilities)


@dataclass(frozen=True)
class Choice:
    """What was chosen, in order.

    Attributes:
        rows: ``(n,)`` row numbers of the pool.
        scores: ``(n,)`` what each was chosen for; larger is more wanted, the unit is the strategy's.
        neighbours: ``(n,)`` the nearest of what was labelled or chosen before: M labelled rows first, then those of
            the pool; -1 where the strategy looks at none.
    """

    rows: np.ndarray
    scores: np.ndarray
    neighbours: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a sentence about one chosen input can be made of.

    Attributes:
        score: of the choice.
        answers: (label, probability), the most probable first.
        multi_label: whether the labels are questions of their own.
        neighbour: name of the nearest labelled or chosen input, if the strategy looked at one.
        neighbour_labelled: whether that one is labelled already.
        posterior: how the samples of the posterior were drawn, if they were, and how many.
    """

    score: float
    answers: Sequence[tuple[str, float]]
    multi_label: bool = False
    neighbour: str | None = None
    neighbour_labelled: bool = False
    posterior: str = ""


Choose = Callable[[Pool, int, "Places", np.random.Generator], Choice]
"""(pool, budget, places, generator) → choice. It chooses only free places, and as many as asked."""


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """One row.

    Attributes:
        name: what the user types.
        summary: what it looks for, in a few words.
        formula: of the score.
        source: the paper.
        choose: see `Choose`.
        because: the sentence about one choice.
        posterior: whether it needs `Pool.posterior`.
        labelled: whether it looks at `Pool.labelled`.
    """

    name: str
    summary: str
    formula: str
    source: str
    choose: Choose
    because: Callable[[Facts], str]
    posterior: bool = False
    labelled: bool = False


class Places:
    """Which rows may still be chosen: none twice, and of one subject at most so many.

    Args:
        subjects: ``(N,)`` numbers.
        most: rows of one subject; None for any number.
    """

    def __init__(self, subjects: np.ndarray, most: int | None = None) -> None:
        self.subjects, self.most = subjects, most
        self.free = np.ones(len(subjects), bool)
        self._taken = np.zeros(int(subjects.max(initial=-1)) + 1, np.int64)

    def __len__(self) -> int:
        """How many can still be chosen."""
        counts = np.bincount(self.subjects[self.free], minlength=len(self._taken))
        return int(counts.sum() if self.most is None else np.minimum(counts, self.most - self._taken).sum())

    def take(self, row: int) -> None:
        """Choose one."""
        subject = self.subjects[row]
        self.free[row] = False
        self._taken[subject] += 1
        if self.most is not None and self._taken[subject] >= self.most:
            self.free[self.subjects == subject] = False


def ranked(scores: np.ndarray, budget: int, places: Places) -> Choice:
    """The highest scores that are free; of equal ones the first."""
    rows: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if len(rows) == budget:
            break
        if places.free[row]:
            places.take(int(row))
            rows.append(int(row))
    chosen = np.array(rows, np.int64)
    return Choice(chosen, scores[chosen], np.full(len(chosen), -1))


def blocks(features: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """``(rows, float64 values)`` of an array that may lie on disk."""
    for start in range(0, len(features), BLOCK):
        part = slice(start, min(start + BLOCK, len(features)))
        yield part, np.asarray(features[part], np.float64)


def likely(facts: Facts, most: int = 2) -> str:
    """``"normal 0.52, pneumonia 0.48"``: the labels in question, the most probable (or the least certain) first."""
    answers = sorted(facts.answers, key=lambda pair: abs(pair[1] - 0.5)) if facts.multi_label else facts.answers
    return ", ".join(f"{label} {p:.2f}" for label, p in answers[:most])
