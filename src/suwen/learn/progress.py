"""`Progress`: where a training stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Progress:
    """Where a training stands; all of it goes into the checkpoint.

    Attributes:
        epoch, batch: the next batch to train on.
        step: optimizer steps done.
        losses, seen: sum of losses times batch sizes, and samples, of this epoch.
        samples, seconds: over the whole training, interruptions left out.
        best: ``[headline metric, -validation loss]`` of the best evaluation, and its epoch (counted from 1).
        since_best: evaluations since then.
        history: one row an epoch, as in ``log.jsonl``.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    losses: float = 0.0
    seen: int = 0
    samples: int = 0
    seconds: float = 0.0
    best: list[float] | None = None
    best_epoch: int = 0
    since_best: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def to_state(self) -> dict[str, Any]:
        """As nested plain values."""
        return asdict(self)

    @property
    def loss(self) -> float:
        """Mean training loss of this epoch so far."""
        return self.losses / max(1, self.seen)
