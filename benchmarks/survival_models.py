"""What ``python -m benchmarks survival`` compares. Each learns from a training part alone, whatever it chooses
included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import SplineTransformer
from torch import Tensor, nn

from suwen.core.calibration import Calibration
from suwen.core.features import Features
from suwen.data.arrays import ArrayDataset
from suwen.evaluation.boosted_cox import BoostedCox
from suwen.evaluation.cox import fit_cox
from suwen.evaluation.survival_baselines import Filled
from suwen.heads.hazard_scaling import curves_of, fit_scaling
from suwen.heads.time_to_event import TimeToEvent

Risk = Callable[[np.ndarray], np.ndarray]
"""Inputs (N, D) → log hazards or their like, (N,): what is higher comes sooner."""


@dataclass(frozen=True)
class Part:
    """Rows to learn from: inputs (N, D) with NaN where missing, times (N,), events (N,) of 0 and 1."""

    inputs: np.ndarray
    time: np.ndarray
    event: np.ndarray

    def take(self, rows: np.ndarray) -> Part:
        return Part(self.inputs[rows], self.time[rows], self.event[rows])


class Design:
    """Standardised numbers, filled in and clipped at 4 deviations; with splines also bent, and multiplied by the two
    columns that matter most to Cox regression."""

    def __init__(self, part: Part, *, splines: bool) -> None:
        self.filled = Filled(part.inputs)
        plain = self.filled(part.inputs)
        self.mean, self.spread = plain.mean(0), np.where(plain.std(0) > 0, plain.std(0), 1)
        scaled = self._scaled(part.inputs)
        self.splines: SplineTransformer | None = None
        if splines:
            self.numbers = [at for at in range(scaled.shape[1]) if len(np.unique(scaled[:, at])) > 10]
            self.splines = SplineTransformer(5, degree=3, knots="quantile", include_bias=False)
            self.splines.fit(scaled[:, self.numbers])
            cox = fit_cox(scaled, part.time, part.event > 0, penalty=1.0)
            self.strong = np.argsort(-np.abs(cox.coefficients))[:2]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        scaled = self._scaled(inputs)
        if self.splines is None:
            return scaled
        products = [scaled * scaled[:, [at]] for at in self.strong]
        return np.concatenate([scaled, self.splines.transform(scaled[:, self.numbers]), *products], axis=1)

    def _scaled(self, inputs: np.ndarray) -> np.ndarray:
        return np.clip((self.filled(inputs) - self.mean) / self.spread, -4, 4)


def plain_cox(part: Part) -> Risk:
    """Cox regression on the columns as they are: the baseline."""
    filled = Filled(part.inputs)
    found = fit_cox(filled(part.inputs), part.time, part.event > 0, penalty=1.0)
    return lambda inputs: found.risk(filled(inputs))


def spline_cox(part: Part, penalty: float = 80.0) -> Risk:
    """Cox regression on splines and products, ridge."""
    design = Design(part, splines=True)
    found = fit_cox(design(part.inputs), part.time, part.event > 0, penalty=penalty)
    return lambda inputs: found.risk(design(inputs))


def boosted(part: Part, rounds: int, seeds: int) -> Risk:
    """The mean of several boosted Cox models."""
    trees = [BoostedCox(part.inputs, part.time, part.event > 0, rounds=rounds, seed=seed) for seed in range(seeds)]
    return lambda inputs: np.mean([each.risk(inputs) for each in trees], axis=0)


def rounds_for(part: Part, check: Part) -> int:
    """How many trees validation rows ask for."""
    return BoostedCox(part.inputs, part.time, part.event > 0, (check.inputs, check.time, check.event > 0)).rounds


class Mlp(nn.Module):
    """Two layers: the encoder in front of suwen's head."""

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.layers(inputs))


class Network:
    """suwen's head on small networks: the mean log hazards of several seeds.

    Args:
        part: to learn from.
        horizons: that it may be asked about.
        seeds: networks.
        epochs: passes over the rows.
    """

    def __init__(self, part: Part, horizons: tuple[float, ...], seeds: int, epochs: int) -> None:
        self.design = Design(part, splines=False)
        inputs = self.design(part.inputs).astype(np.float32)
        targets = np.stack([part.time, part.event], axis=1)
        data = ArrayDataset(inputs=inputs, targets=targets, splits=np.full(len(inputs), "train"), labels=("death",))
        rows = np.arange(len(inputs))
        self.options = TimeToEvent.options_for(data, rows, {"horizons": list(horizons), "dropout": 0.3})
        self.pairs = [self._learn(inputs, targets, seed, epochs) for seed in range(seeds)]
        self.head = TimeToEvent(64, ("death",), **self.options)  # its hazards are about the mean of the seeds' levels
        with torch.no_grad():
            self.head.base.copy_(torch.stack([head.base for _, head in self.pairs]).mean(0))
        self.calibration = Calibration()

    def _learn(self, inputs: np.ndarray, targets: np.ndarray, seed: int, epochs: int) -> tuple[Mlp, TimeToEvent]:
        torch.manual_seed(seed)
        encoder = Mlp(inputs.shape[1], 64, 0.3)
        head = TimeToEvent(64, ("death",), **self.options)
        weights = [*encoder.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(weights, lr=2e-3, weight_decay=1e-2)
        size = min(256, len(inputs))
        batches = len(inputs) // size
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * batches)
        seen, true = torch.from_numpy(inputs), torch.from_numpy(targets)
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs))[: batches * size].split(size):
                loss = head.loss(head(encoder(seen[rows])), true[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
        encoder.eval(), head.eval()
        return encoder, head

    def calibrate(self, check: Part) -> None:
        """Scale on rows that it did not learn from."""
        targets = np.stack([check.time, check.event], axis=1)
        temperature, shifts = fit_scaling(self.head, self.logits(check.inputs), targets)
        self.calibration = Calibration(temperature=temperature, shifts=shifts)

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        """(N, 1, M): mean of the seeds' log hazards."""
        seen = self.design(inputs).astype(np.float32)
        found: np.ndarray = np.mean([_logits(*pair, seen) for pair in self.pairs], axis=0)
        return found

    def curves(self, inputs: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """(N, 1, G) incidences."""
        return curves_of(self.head, self.logits(inputs), self.calibration, grid)

    def risk(self, inputs: np.ndarray, horizon: float) -> np.ndarray:
        """(N,) log cumulative hazard by a horizon."""
        alive = 1 - self.curves(inputs, np.array([horizon]))[:, 0, 0]
        return np.log(-np.log(np.clip(alive, 1e-12, 1 - 1e-12)))


def _logits(encoder: Mlp, head: TimeToEvent, inputs: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found: np.ndarray = head(encoder(torch.from_numpy(inputs))).numpy()
    return found


def settings() -> dict[str, Any]:
    """What was fixed before any test fold was looked at."""
    return {"mlp": [64, 64], "dropout": 0.3, "learning_rate": 2e-3, "weight_decay": 1e-2, "batch": 256}
