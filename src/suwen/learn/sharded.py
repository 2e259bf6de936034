"""Weights, gradients and optimizer states in shards, one a device: none needs to hold them all while it learns.

FSDP (Zhao et al., PyTorch FSDP, VLDB 2023; the idea is stage 3 of ZeRO, Rajbhandari et al., SC 2020), by PyTorch's
``fully_shard``: the weights of a block are put together when it is run, and dropped again afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from suwen.learn import processes

T = TypeVar("T")

LEAST = 2**12
"""Parameters of a block that is gathered by itself; smaller ones are gathered with what is around them."""

_REPEATS = (nn.Sequential, nn.ModuleList)


class Sharded(DDPStrategy):
    """Fabric's processes, for a module that `shard` has dealt out among them: it sums gradients itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._backward_sync_control = _EveryTime()  # type: ignore[assignment]

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]
        """As it is."""
        return module


class _EveryTime:
    """Gradients of accumulated batches are summed at once: a whole one that waited would need the whole memory."""

    def no_backward_sync(self, module: nn.Module, enabled: bool) -> AbstractContextManager[None]:
        """Nothing to hold back."""
        return nullcontext()


def shard(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a TaskModule on the devices of all processes, to learn in its place."""
    twin = copy.deepcopy(module).to(device).to(memory_format=torch.contiguous_format)  # the only one it takes
    mesh = init_device_mesh(device.type, (processes.count(),))
    for block in _blocks(twin):
        fully_shard(block, mesh=mesh)
    fully_shard(twin, mesh=mesh)
    return twin


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The repeated parts of a network: the outermost members of its lists and sequences that are not small."""
    for child in module.children():
        if isinstance(module, _REPEATS) and _is_block(child):
            yield child
        else:
            yield from _blocks(child)


def _is_block(part: nn.Module) -> bool:
    return not isinstance(part, _REPEATS) and sum(parameter.numel() for parameter in part.parameters()) >= LEAST


def gathered(state: T) -> T:
    """Nested dicts and lists in which every sharded tensor is whole. All processes must ask."""
    if isinstance(state, DTensor):
        return state.full_tensor()  # type: ignore[return-value]
    if isinstance(state, dict):
        return {name: gathered(value) for name, value in state.items()}  # type: ignore[return-value]
    if isinstance(state, (list, tuple)):
        return type(state)(gathered(value) for value in state)
    return state


def like(value: Tensor, model: Tensor) -> Tensor:
    """A whole tensor, sharded as `model` is, if it is. All processes must ask."""
    if not isinstance(model, DTensor) or isinstance(value, DTensor):
        return value
    return distribute_tensor(value.to(model.device), model.device_mesh, model.placements)


def local(value: Tensor) -> Tensor:
    """This process's shard of a tensor, in the same memory; the tensor itself where it is whole."""
    return value.to_local() if isinstance(value, DTensor) else value


def take(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Load named tensors, sharded or whole, into a module that is either; names it lacks are left out."""
    own = module.state_dict()
    module.load_state_dict({name: like(value, own[name]) for name, value in state.items() if name in own}, strict=False)


def put_together(learner: nn.Module, whole: nn.Module) -> None:
    """Give `whole` what `learner` has learned; unsharded, they are one. All processes must ask."""
    if whole is not learner:
        whole.load_state_dict(gathered(learner.state_dict()))


@contextmanager
def in_one_piece(learner: nn.Module, whole: nn.Module) -> Iterator[nn.Module]:
    """`whole`, `put_together`; while it lasts, on the first process's device, since there it is asked."""
    put_together(learner, whole)
    if whole is learner:
        yield whole
        return
    if processes.rank() == 0:
        whole.to(next(learner.parameters()).device)
    yield whole
    whole.to("cpu")
