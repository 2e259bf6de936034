"""Has a pretraining collapsed: does it say the same of every input?"""

from __future__ import annotations

import numpy as np

from suwen.core.errors import TrainingError

LEAST_RANK, LEAST_SPREAD = 1.5, 1e-3
"""Below either, features hold (nearly) one direction, or (nearly) nothing. Networks that learn were seen at 0.02 and
more (features after a ReLU share a large mean), untrained ones at 0.1."""


def effective_rank(features: np.ndarray) -> float:
    """How many directions the features really use: exp of the entropy of their singular values' shares.

    ``exp(-Σ p_k log p_k)``, ``p_k = σ_k / Σ σ`` (Roy & Vetterli 2007), of the features less their mean. As a measure of
    pretraining without labels: Garrido et al. 2023, *RankMe*.

    Args:
        features: ``(N, D)``.

    Returns:
        1 (one direction) to min(N - 1, D); 0 where all inputs have the same features.
    """
    centred = features.astype(np.float64) - features.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False)
    total = singular.sum()
    if total <= 1e-9 * max(1.0, float(np.abs(features).max())) * len(features):
        return 0.0
    shares = singular / total
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def spread(features: np.ndarray) -> float:
    """Mean standard deviation of L2-normalised features, times √D: about 1 where they spread evenly, 0 on collapse.

    Chen & He 2021, *Exploring Simple Siamese Representation Learning*, section 4.1.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(lengths > 0, lengths, 1)
    return float(unit.std(0).mean() * features.shape[1] ** 0.5)


def refuse_collapse(rank: float, spread_: float, *, epoch: int) -> None:
    """Raise where training has collapsed.

    Raises:
        TrainingError: the features are (nearly) the same for every input.
    """
    if rank >= LEAST_RANK and spread_ >= LEAST_SPREAD:
        return
    raise TrainingError(
        f"pretraining collapsed in epoch {epoch}: effective rank {rank:.2f}, spread {spread_:.4f} of the features",
        why="the encoder gives (nearly) the same features whatever the input, and nothing can be learned from these",
        fix="a smaller --learning-rate, a larger --batch-size, or another objective: image-contrastive collapses least",
    )
