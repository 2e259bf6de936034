"""``knn``: the labels of the most similar training images, weighted by their similarity. Nothing is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from suwen.core.dataset import Dataset
from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.heads.classify import Classify

LEAST = 1e-4
"""Share of the votes added to each label, so that a label without a vote is improbable, not impossible."""


class Neighbours(Classify):
    """Weighted k-nearest-neighbour classification by cosine similarity.

    The votes for label c are ``Σ_i exp(s_i / τ) [y_i = c]`` over the k stored features with the largest cosine s_i
    (Wu et al., Unsupervised feature learning via non-parametric instance discrimination, 2018, section 3.4, with
    τ = 0.07; DINO, Caron et al. 2021, takes k = 20). Logits are the logarithms of the shares of votes; where several
    labels may hold, the log-odds of each label's share.

    What a Run keeps are features and labels of the training images, one row each, and no images; whoever holds the file
    can tell whether a given image was among them.

    Args:
        width: D of the pooled features.
        labels: K names.
        k: how many neighbours vote; all there are where that is fewer.
        temperature: τ.
        stored: rows of the memory, written by `remember`.
        multi_label, positive: as of `Classify`.
    """

    bank: Tensor
    bank_labels: Tensor

    def __init__(
        self,
        width: int,
        labels: tuple[str, ...],
        *,
        map_widths: tuple[int, ...] = (),
        k: int = 20,
        temperature: float = 0.07,
        stored: int = 0,
        multi_label: bool = False,
        positive: str | None = None,
    ) -> None:
        super().__init__(width, labels, multi_label=multi_label, positive=positive)
        if k < 1 or temperature <= 0:
            raise RecipeError(
                f"k = {k}, temperature = {temperature}",
                why="at least one neighbour votes, and its vote is exp(similarity / temperature)",
                fix="--set head.options.k=20 --set head.options.temperature=0.07",
            )
        del self.linear, self.dropout  # votes take the place of weights
        self.k, self.temperature = k, temperature
        self.config = {
            "name": "knn",
            "k": k,
            "temperature": temperature,
            "stored": stored,
            "multi_label": multi_label,
            "positive": positive,
        }
        self.register_buffer("bank", torch.zeros(stored, width))
        self.register_buffer("bank_labels", torch.zeros(stored, len(labels)))

    @staticmethod
    def options_for(dataset: Dataset, train: np.ndarray, options: dict[str, Any]) -> dict[str, Any]:
        """As of `Classify`."""
        return Classify.options_for(dataset, train, options)

    def remember(self, pooled: Tensor, target: Tensor) -> None:
        """Store features ``(N, D)``, scaled to length 1, and targets: class numbers ``(N,)`` or shares ``(N, K)``."""
        shares = target if target.ndim == 2 else F.one_hot(target, len(self.labels))
        self.bank, self.bank_labels = F.normalize(pooled.float(), dim=1), shares.float()
        self.config = self.config | {"stored": len(pooled)}

    def forward(self, features: Features) -> Tensor:
        """``(B, D)`` → logits ``(B, K)``."""
        similarity = F.normalize(features.pooled.float(), dim=1) @ self.bank.T
        near, which = similarity.topk(min(self.k, len(self.bank)), dim=1)
        votes = (near / self.temperature).softmax(1)
        shares = torch.einsum("bk,bkc->bc", votes, self.bank_labels[which])
        if self.multi_label:
            return torch.logit(shares.clamp(LEAST, 1 - LEAST))
        return ((shares + LEAST) / (1 + LEAST * shares.shape[1])).log()
