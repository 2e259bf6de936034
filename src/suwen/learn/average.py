"""An exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from suwen.learn.sharded import local


def learned(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module without the parameters that it says never change (`Supervised.fixed`): no copies needed."""
    fixed: frozenset[str] = getattr(module, "fixed", frozenset)()
    return {name: value for name, value in module.state_dict().items() if name not in fixed}


class Average:
    """Averaged copies of all floating-point weights and buffers of `module` that are not frozen.

    The decay grows as ``min(decay, (1 + t) / (10 + t))``, so that the random start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay, self.steps = module, decay, 0
        self.weights: dict[str, Tensor] = {key: value.detach().clone() for key, value in learned(module).items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the module's present weights."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        now = learned(self.module)
        floating = [key for key, value in now.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [local(self.weights[key]) for key in floating], [local(now[key]) for key in floating], share
        )
        for key in now.keys() - set(floating):
            self.weights[key].copy_(now[key])
