"""Engines that are torch itself: as it is, frozen, compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from suwen.core.model import Model
from suwen.engines.fold import fold_batch_norms
from suwen.engines.network import Network, probes
from suwen.engines.parity import TOLERANCE, differences


@contextmanager
def using(threads: int) -> Iterator[None]:
    """So many of torch's threads, then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class TorchEngine:
    """A module of torch.

    Args:
        name: of the engine.
        module: inputs → logits and pooled.
        threads: of torch, while it runs.
    """

    def __init__(self, name: str, module: Callable[[Tensor], tuple[Tensor, Tensor]], threads: int) -> None:
        self.name, self.module, self.threads = name, module, threads

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `suwen.core.engine.Engine`."""
        with torch.inference_mode(), using(self.threads):
            return self.module(inputs)


def plain(model: Model, threads: int) -> TorchEngine:
    """The Model's own modules, as they are."""
    return TorchEngine("torch", Network(model), threads)


def frozen(model: Model, threads: int) -> TorchEngine:
    """Batch normalisations folded into convolutions, weights channels-last.

    Where folding would change the answers, nothing is folded.
    """
    return TorchEngine("frozen", _frozen(model), threads)


def compiled(model: Model, threads: int) -> TorchEngine:
    """As `frozen`, then ``torch.compile``: for a process that lives long, since each start compiles for a while."""
    made: Any = torch.compile(_frozen(model))
    return TorchEngine("compiled", made, threads)


def _frozen(model: Model) -> torch.nn.Module:
    network, inputs = Network(model), probes(model, 3)
    folded = fold_batch_norms(network, inputs)
    changed = max(differences(TorchEngine("folded", folded, 1), TorchEngine("torch", network, 1), [inputs]).values())
    # a copy either way: the Model's own weights keep their layout in memory, and with it their last bits
    kept = folded if changed <= TOLERANCE else copy.deepcopy(network)
    return kept.to(memory_format=torch.channels_last)
