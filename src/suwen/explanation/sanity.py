"""Sanity check: a map that stays the same when the weights are shuffled explains the image, not the model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from suwen.core.explanation import Method
from suwen.core.model import Model

LIMIT = 0.5
"""Rank correlation above which a map is said not to depend on the weights. Our own choice: Adebayo et al. give none."""


def shuffled(model: Model, *, seed: int) -> Model:
    """A copy whose weights, layer by layer, are in random order: the model parameter randomisation test, all layers.

    Adebayo et al. 2018, section 4; shuffling keeps the distribution of each layer's weights.
    """
    generator = torch.Generator().manual_seed(seed)
    # deepcopy on the parts: rows, preprocessing and calibration are shared
    copy = replace(model, encoder=deepcopy(model.encoder), head=deepcopy(model.head))
    with torch.no_grad():
        for part in copy.parts().values():
            for parameter in part.parameters():
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))
    return copy


def rank_correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Spearman's, of the magnitudes of two maps; 0 where one is constant, as it then shares nothing."""
    first, second = np.abs(before).ravel(), np.abs(after).ravel()
    if np.ptp(first) == 0 or np.ptp(second) == 0 or not np.isfinite(second).all():
        return 0.0
    return float(spearmanr(first, second).statistic)


def sanity(
    model: Model, method: Method, inputs: Any, labels: Tensor, before: np.ndarray, *, seed: int = 0, **settings: Any
) -> float:
    """Mean rank correlation of the maps ``(B, *S)`` before and after the weights are shuffled; near 0 is good."""
    after = method(shuffled(model, seed=seed), inputs, labels, **settings).numpy()
    return float(np.mean([rank_correlation(one, other) for one, other in zip(before, after, strict=True)]))
