"""Scale hazards on validation data: one temperature for their spread, one shift a cause for their level."""

from __future__ import annotations

import math

import numpy as np
import torch

from suwen.core.calibration import Calibration
from suwen.heads.time_to_event import TimeToEvent

TEMPERATURES = (0.1, 10.0)
"""As of temperature scaling (`suwen.evaluation.calibration.TEMPERATURES`)."""


def fit_scaling(head: TimeToEvent, logits: np.ndarray, targets: np.ndarray) -> tuple[float, list[float]]:
    """The temperature and the shifts that make the times most likely, K + 1 numbers by L-BFGS.

    Dividing the spread of log hazards is the calibration slope, and moving their level calibration-in-the-large, of
    Cox's model (van Houwelingen, Statistics in Medicine 2000;19:3401; Crowson et al., Stat Methods Med Res
    2016;25:1692); of probabilities the first is temperature scaling (Guo et al., ICML 2017).

    Args:
        head: with its baseline.
        logits: ``(N, K, M)`` of rows that it did not learn from.
        targets: ``(N, 2)`` of the same.
    """
    said, true = torch.from_numpy(logits).double(), torch.from_numpy(np.asarray(targets, np.float64))
    numbers = torch.zeros(1 + len(head.labels), dtype=torch.float64, requires_grad=True)
    low, high = (math.log(end) for end in TEMPERATURES)
    optimizer = torch.optim.LBFGS([numbers], max_iter=50, line_search_fn="strong_wolfe", tolerance_change=1e-10)
    base = (head.centre[:, None] if head.kind == "cox" else head.base).detach().double()

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        scaled = base + (said - base) * torch.exp(-numbers[0].clamp(low, high)) + numbers[1:, None]
        value = head.likelihood(scaled, true)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    log_temperature, *shifts = numbers.detach().tolist()
    return math.exp(min(max(log_temperature, low), high)), shifts


def curves_of(head: TimeToEvent, logits: np.ndarray, calibration: Calibration, times: np.ndarray) -> np.ndarray:
    """float64 ``(N, K, T)``: calibrated incidences of logits ``(N, K, M)`` by some times, computed in double."""
    with torch.inference_mode():
        found = head.incidence(torch.from_numpy(logits).double(), calibration, torch.from_numpy(times))
    return np.asarray(found.numpy())
