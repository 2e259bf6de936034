"""``blend``: the mean of a logistic regression's and of boosted trees' log-odds, weighed by how well each foretells."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from suwen.core.dataset import Dataset
from suwen.core.features import Features
from suwen.heads.inner_folds import log_loss
from suwen.heads.logistic import Logistic
from suwen.heads.solved import Solved, as_tensor
from suwen.heads.trees import BAGS, Trees

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Weights of the trees that are tried. Few: on small tables a finer choice would be chance."""


class Blend(Solved):
    """Logits ``(1 - w) · logistic + w · trees``; w has the largest cross-fitted likelihood (stacking: Wolpert, Neural
    Networks 1992;5:241; van der Laan et al., Super Learner, Stat Appl Genet Mol Biol 2007;6:25).

    On small tables a line with bends and shallow trees are about equally good and err differently.

    Args:
        width: D of the pooled features.
        labels: K names.
        share: w; chosen unless given.
        multi_label, positive, bags, depth, rounds, levels, stored: as of `Trees`.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})
    explanation: ClassVar[str] = "tree-shap"
    weight: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        multi_label: bool = False,
        positive: str | None = None,
        share: float | None = None,
        bags: int = BAGS,
        depth: int | None = None,
        rounds: int | None = None,
        levels: tuple[int, ...] | list[int] = (),
        stored: int = 0,
    ) -> None:
        super().__init__(width, labels, multi_label=multi_label, positive=positive)
        del self.linear, self.dropout
        shared: dict[str, Any] = {"multi_label": multi_label, "positive": positive}
        grown: dict[str, Any] = {"bags": bags, "depth": depth, "rounds": rounds, "levels": list(levels)}
        self.share = share
        self.logistic = Logistic(width, labels, **shared)
        self.trees = Trees(width, labels, **shared, **grown, stored=stored)
        self.config = {"name": "blend", **shared, "share": share, **grown, "stored": stored}
        self.register_buffer("weight", torch.tensor(0.5, dtype=torch.float64))

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """As of `Trees`."""
        return Trees.options_for(dataset, train, options)

    def solve(self, features: Features, target: Tensor, groups: np.ndarray, *, seed: int) -> None:
        """Both parts, on the same folds, then the weight; see `Solved.solve`."""
        for part in (self.logistic, self.trees):
            part.solve(features, target, groups, seed=seed)
        assert self.logistic.crossfitted is not None and self.trees.crossfitted is not None
        linear, grown = self.logistic.crossfitted, self.trees.crossfitted
        truth, seen = target.cpu().numpy(), ~np.isnan(linear).any(axis=1)
        tried = SHARES if self.share is None else (self.share,)
        best = min(tried, key=lambda w: _loss((1 - w) * linear[seen] + w * grown[seen], truth[seen], self.multi_label))
        self.weight = torch.tensor(best, dtype=torch.float64)
        self.crossfitted = (1 - best) * linear + best * grown
        self.config = self.config | {"stored": self.trees.config["stored"]}
        self.requires_grad_(False)

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → logits ``(B, K)``."""
        share = float(self.weight)
        found = (1 - share) * self.logistic(features).double() + share * self.trees(features).double()
        return as_tensor(found.detach().cpu().numpy(), features.pooled)


def _loss(logits: np.ndarray, truth: np.ndarray, multi_label: bool) -> float:
    if not multi_label:
        return log_loss(logits, truth)
    return float(np.mean([log_loss(column, answer) for column, answer in zip(logits.T, truth.T, strict=True)]))
