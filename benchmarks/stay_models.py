"""The members of an ensemble for a table of features with holes, and how their answers are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import QuantileTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from suwen.core.recipe import TrainingSettings
from suwen.data.records.kernels import processors
from suwen.learn.fit import fit
from suwen.learn.watch import Watch

Floats = NDArray[np.float64]
Member = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Floats]
"""Features and answers to learn from, features to answer, seed → log odds."""

TREES: dict[str, Any] = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 15, "max_depth": 5, "min_child_samples": 30,
    "feature_fraction": 0.15, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 10.0, "max_bin": 127,
    "num_threads": 1, "verbose": -1, "deterministic": True, "force_col_wise": True,
}  # fmt: skip
ROUNDS = 450
STRENGTH = 0.003
"""Inverse strength of the penalty of the logistic regression."""

NETWORK = {"width": 48, "dropout": 0.5, "epochs": 14, "rate": 1e-3, "decay": 0.3, "batch": 128}
NEAR = 1e-6


def boosted(train: np.ndarray, died: np.ndarray, other: np.ndarray, seed: int) -> Floats:
    """Gradient-boosted trees: holes go their own way. Source: Ke et al., LightGBM, NeurIPS 2017."""
    model = lightgbm.train(TREES | {"seed": seed}, lightgbm.Dataset(train, died.astype(np.float64)), ROUNDS)
    return np.asarray(model.predict(other, raw_score=True), np.float64)


class Ranked:
    """Features as normal scores of their ranks; holes are 0, and a column of their own says where they were."""

    def fit(self, train: np.ndarray) -> Ranked:
        self.scores = QuantileTransformer(n_quantiles=200, output_distribution="normal", subsample=None).fit(train)
        holes = np.isnan(train)
        _, first = np.unique(holes, axis=1, return_index=True)  # the same holes once
        share = holes.mean(axis=0)
        self.holes = np.array(sorted(column for column in first if 0.01 < share[column] < 0.99), np.int64)
        return self

    def transform(self, table: np.ndarray) -> np.ndarray:
        """float32 (N, features + columns with holes)."""
        scores = np.clip(self.scores.transform(table), -3, 3)
        return np.hstack([np.nan_to_num(scores), np.isnan(table[:, self.holes])]).astype(np.float32)


def linear(train: np.ndarray, died: np.ndarray, other: np.ndarray, seed: int) -> Floats:
    """Logistic regression with a squared penalty on normal scores, and on how far they are from the middle."""
    ranked = Ranked().fit(train)
    bent = [np.hstack([scores, np.abs(scores)]) for scores in map(ranked.transform, (train, other))]
    model = LogisticRegression(C=STRENGTH, max_iter=300).fit(bent[0], died)
    return np.asarray(model.decision_function(bent[1]), np.float64)


class Perceptron(nn.Module):
    """One hidden layer behind heavy dropout: ``module(batch) -> {"loss", "output"}``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        width, dropout = int(NETWORK["width"]), NETWORK["dropout"]
        self.layers = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(features, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, 1)
        )

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        output = self.layers(batch["inputs"])[:, 0]
        return {"loss": F.binary_cross_entropy_with_logits(output, batch["target"]), "output": output}

    def after_step(self) -> None:
        """Nothing is averaged."""


class TableBatches:
    """Shuffled rows of a table, as `suwen.learn.fit.fit` takes them."""

    def __init__(self, table: np.ndarray, died: np.ndarray, seed: int) -> None:
        self.inputs, self.target = torch.from_numpy(table), torch.from_numpy(died.astype(np.float32))
        self.seed, self.count = seed, max(1, len(table) // int(NETWORK["batch"]))

    def __len__(self) -> int:
        return self.count

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """See `suwen.learn.batches.Batches`."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.inputs))
        for number, rows in enumerate(np.array_split(order, self.count)[start:], start):
            yield number, {"inputs": self.inputs[rows], "target": self.target[rows], "index": rows}


def network(train: np.ndarray, died: np.ndarray, other: np.ndarray, seed: int) -> Floats:
    """A small neural network, trained by suwen's one loop."""
    ranked = Ranked().fit(train)
    torch.manual_seed(seed)
    module = Perceptron(ranked.transform(train[:1]).shape[1])
    settings = TrainingSettings(epochs=int(NETWORK["epochs"]))
    group = {"params": list(module.parameters()), "scale": 1.0}  # of the rate, as `suwen.learn.optimizer` has it
    optimizer = torch.optim.AdamW([group], lr=NETWORK["rate"], weight_decay=NETWORK["decay"])
    batches: Any = TableBatches(ranked.transform(train), died, seed)
    fabric, steps = Fabric(accelerator="cpu", devices=1), settings.epochs * len(batches)
    fit(
        module, batches, optimizer, lambda step: NETWORK["rate"] * (1 - step / steps), settings, fabric=fabric,
        watch=Watch(module, optimizer, settings), seed=seed,
    )  # fmt: skip
    module.eval()
    with torch.no_grad():
        table = torch.from_numpy(ranked.transform(other))
        return np.asarray(module({"inputs": table, "target": torch.zeros(len(table))})["output"], np.float64)


MEMBERS: dict[str, Member] = {"boosted trees": boosted, "logistic regression": linear, "neural network": network}
ALONE = frozenset({"neural network"})
"""Those that draw from the one generator of torch, and so must not run beside each other."""


def answers(
    member: str, jobs: list[tuple[np.ndarray, np.ndarray, np.ndarray]], seeds: int, first: int = 0
) -> list[Floats]:
    """Log odds of each job (features, answers, features to answer), the mean over seeds; side by side if they may."""
    work = MEMBERS[member]

    def one(number: int, seed: int) -> Floats:
        train, died, other = jobs[number]
        return work(train, died, other, first + seed)

    asked = [(number, seed) for number in range(len(jobs)) for seed in range(seeds)]
    if member in ALONE:
        found = [one(*each) for each in asked]
    else:
        with ThreadPoolExecutor(processors()) as pool:
            found = list(pool.map(lambda each: one(*each), asked))
    return [np.mean(found[number * seeds : (number + 1) * seeds], axis=0) for number in range(len(jobs))]


def out_of_fold(member: str, table: np.ndarray, died: np.ndarray, *, folds: int, repeats: int, seeds: int) -> Floats:
    """(repeats, N): log odds of each stay, by models that have not seen it; each repeat deals the folds anew."""
    found = np.zeros((repeats, len(died)))
    for repeat in range(repeats):
        dealt = list(StratifiedKFold(folds, shuffle=True, random_state=repeat).split(table, died))
        jobs = [(table[train], died[train], table[test]) for train, test in dealt]
        for (_, test), said in zip(dealt, answers(member, jobs, seeds, 100 * repeat), strict=True):
            found[repeat, test] = said
    return found


class Stack:
    """Log odds of the members → one probability: a logistic regression on answers out of fold, which calibrates too.

    Source: Wolpert, Stacked generalization, Neural Networks 1992;5:241; weights that are not below 0: Breiman, Stacked
    regressions, Machine Learning 1996;24:49.
    """

    def fit(self, said: Floats, died: np.ndarray) -> Stack:
        """Learn from log odds (N, members) and what came true."""
        kept = list(range(said.shape[1]))
        while True:
            model = LogisticRegression(C=1e3).fit(said[:, kept], died)
            below = [member for member, weight in zip(kept, model.coef_[0], strict=True) if weight < 0]
            if not below or len(kept) == 1:
                break
            kept = [member for member in kept if member not in below]
        self.weights, self.start = np.zeros(said.shape[1]), float(model.intercept_[0])
        self.weights[kept] = model.coef_[0]
        return self

    def probabilities(self, said: Floats) -> Floats:
        """(N,)."""
        found = 1 / (1 + np.exp(-(said @ self.weights + self.start)))
        return np.clip(found, NEAR, 1 - NEAR)


def log_odds(probabilities: Floats) -> Floats:
    """Of probabilities that may be 0 or 1."""
    return np.asarray(logit(np.clip(probabilities, NEAR, 1 - NEAR)), np.float64)
