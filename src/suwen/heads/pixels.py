"""Some pixels of an image and what was said of each: by them it is judged whether uncertainty means what it says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

MOST = 2000
"""Pixels kept of an image."""

A_PART = 500
"""Pixels kept of each part that is drawn at a time."""

SURE = 0.99
"""Pixels whose background is at least so probable are left out: nearly all are, and they would hide the others. What is
kept depends on what is said alone, never on what is true, so that nothing is made to look better or worse."""


class PixelSample:
    """Pixels drawn by chance from those that the model is not sure to be background.

    Args:
        seed: of the chance.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._places: list[np.ndarray] = []
        self._said: list[np.ndarray] = []

    def see(self, start: int, probabilities: Tensor) -> None:
        """Layers from `start` on: ``(K, D, *rest)``."""
        flat = probabilities.flatten(1)
        unsure = torch.nonzero(flat[0] < SURE)[:, 0].cpu().numpy()
        if len(unsure):
            some = np.sort(self._rng.choice(unsure, min(A_PART, len(unsure)), replace=False))
            self._places.append(some + start * (flat.shape[1] // probabilities.shape[1]))
            self._said.append(flat[:, torch.from_numpy(some).to(flat.device)].T.float().cpu().numpy())

    def taken(self) -> tuple[np.ndarray, np.ndarray]:
        """int64 (n,) places in the flattened image, along the body, and float32 (n, K); n may be 0."""
        if not self._places:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
        places, said = np.concatenate(self._places), np.concatenate(self._said)
        some = np.sort(self._rng.choice(len(places), min(MOST, len(places)), replace=False))
        return places[some], said[some]
