"""Seeds as a function of place: any step can be drawn again without replaying the ones before it.

This is what makes a resumed training equal to an uninterrupted one, bit for bit.
"""

from __future__ import annotations

import numpy as np
import torch


def derive(*place: int) -> int:
    """A 63-bit seed from integers such as ``(seed, epoch, batch)`` (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(*place: int) -> torch.Generator:
    """A CPU generator for draws at this place."""
    return torch.Generator().manual_seed(derive(*place))
