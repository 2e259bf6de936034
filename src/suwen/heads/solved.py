"""`Solved`: a classifier that is fitted at once on the features of a frozen encoder, and not step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from suwen.core.features import Features
from suwen.heads.classify import Classify
from suwen.heads.inner_folds import inner_folds, some_rows


class Solved(Classify):
    """A head with `solve`. Its settings are chosen by folds inside the training rows.

    Attributes:
        crossfitted: float64 (N, K) logits of the training rows, each from a fit that did not see the row or anybody of
            its group; rows that took no part are NaN. Only after `solve`: it does not travel with the weights.
    """

    crossfitted: np.ndarray | None = None

    def solve(self, features: Features, target: Tensor, groups: np.ndarray, *, seed: int) -> None:
        """Fit to N training rows.

        Args:
            features: of the training rows.
            target: class numbers (N,), or 0 and 1 (N, K).
            groups: int64 (N,): rows of one person share a number.
            seed: of folds and of whatever is drawn.
        """
        inputs, truth = self.inputs(features), target.cpu().numpy()
        rows = some_rows(len(truth), groups, seed=seed)
        fold = inner_folds(truth[rows], groups[rows], seed=seed)
        crossfitted = np.full((len(truth), len(self.labels)), np.nan)
        scores: list[np.ndarray] = []
        for answer in answers_of(truth, self.multi_label):
            scores.append(self.solve_one(inputs, answer, rows, fold, seed=seed))
        crossfitted[rows] = as_logits(scores, self.multi_label, len(self.labels))
        self.crossfitted = crossfitted
        self.keep()
        self.requires_grad_(False)

    def inputs(self, features: Features) -> Any:
        """What of the features it learns from, as float64 arrays."""
        raise NotImplementedError

    def solve_one(
        self, inputs: Any, answer: np.ndarray, rows: np.ndarray, fold: np.ndarray, *, seed: int
    ) -> np.ndarray:
        """Fit one question; the cross-fitted scores of `rows`: (R,) of yes or no, (R, K) of one of K."""
        raise NotImplementedError

    def keep(self) -> None:
        """Put what was found for all questions where a Run keeps it."""
        raise NotImplementedError


def answers_of(truth: np.ndarray, multi_label: bool) -> Iterator[np.ndarray]:
    """The questions: one a label where several may hold, else one."""
    yield from truth.T.astype(np.int64) if multi_label else [truth]


def as_logits(scores: list[np.ndarray], multi_label: bool, labels: int) -> np.ndarray:
    """float64 (N, K) whose softmax, or sigmoids where several labels may hold, are the probabilities of the scores."""
    if multi_label:
        return np.stack(scores, axis=1)
    (only,) = scores
    if only.ndim == 2:
        return only
    return np.stack([-only / 2, only / 2], axis=1) if labels == 2 else only[:, None]


def as_tensor(logits: np.ndarray, like: Tensor) -> Tensor:
    """float32 on the device of `like`."""
    return torch.from_numpy(np.ascontiguousarray(logits, np.float32)).to(like.device)
