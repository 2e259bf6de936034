"""Several processes, one a device, that train one model: which rows are whose, and what they tell each other.

Each holds the whole model and a part of every batch. Whatever is random is drawn for the whole batch, and whatever is
averaged over a batch is averaged over the whole one, so that the number of processes changes a training by rounding
only. In a process that is alone, all of this is the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx

from suwen.core.dataset import Batch
from suwen.core.errors import RecipeError

T = TypeVar("T")


class Part:
    """The rows of one process in a batch that several share.

    Attributes:
        whole: int64 (B,), row numbers of the whole batch.
        rows: which of them are this process's.
    """

    def __init__(self, whole: np.ndarray, rows: slice) -> None:
        self.whole, self.rows = whole, rows


def count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is: 0 reads, writes and speaks."""
    return dist.get_rank() if count() > 1 else 0


def part_of(whole: np.ndarray) -> Part | None:
    """This process's part of a batch, all parts of nearly equal size; None if it is alone.

    Raises:
        RecipeError: there are more processes than rows.
    """
    if count() == 1:
        return None
    if len(whole) < count():
        raise RecipeError(
            f"a batch of {len(whole)} for {count()} processes",
            why="each needs at least one row of every batch",
            fix=f"fewer --devices, or --batch-size {8 * count()}",
        )
    ends = np.cumsum([len(part) for part in np.array_split(whole, count())])
    start = 0 if rank() == 0 else int(ends[rank() - 1])
    return Part(whole, slice(start, int(ends[rank()])))


def weight(batch: Batch) -> float:
    """What makes a mean over this part count in the mean over all processes as it does in that over the whole batch."""
    part: Part | None = batch.get("part")
    return 1.0 if part is None else len(batch["index"]) * count() / len(part.whole)


def mean(values: Tensor, batch: Batch) -> Tensor:
    """The mean over the whole batch of what is a mean over this part. No gradient."""
    return values if batch.get("part") is None else total(values.detach() * weight(batch)) / count()


def gathered(values: Tensor, batch: Batch, dim: int = 0) -> Tensor:
    """The rows of the whole batch along `dim`, of which `values` has this process's. Gradients flow back to each."""
    part: Part | None = batch.get("part")
    if part is None:
        return values
    shape = list(values.shape)
    shape[dim] = part.rows.start
    before = values.new_zeros(shape)
    shape[dim] = len(part.whole) - part.rows.stop
    return total(torch.cat([before, values, values.new_zeros(shape)], dim))


def uniform(rows: int, columns: int, batch: Batch) -> Tensor:
    """``(rows, columns)`` random numbers in [0, 1): this process's of those that one process draws for the batch."""
    part: Part | None = batch.get("part")
    if part is None:
        return torch.rand(rows, columns)
    drawn = torch.rand(len(part.whole), columns).to(_device())
    dist.broadcast(drawn, 0)
    return drawn.cpu()[part.rows]


def told(value: T) -> T:
    """What the first process has, in all."""
    if count() == 1:
        return value
    held: list[Any] = [value if rank() == 0 else None]
    dist.broadcast_object_list(held, 0, device=_device())
    known: T = held[0]
    return known


def by_first(ask: Callable[[], T | None]) -> T:
    """What the first process finds out while the others wait."""
    return told(ask() if rank() == 0 else None)  # type: ignore[return-value]


def total(values: Tensor) -> Tensor:
    """The sum over all processes. Its gradient is the sum of theirs."""
    summed: Tensor = _Total.apply(values)
    return summed


class _Total(torch.autograd.Function):
    """Every process's result depends on every process's values, so that gradients are summed as values are."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


def _summed(values: Tensor) -> Tensor:
    values = values.contiguous().clone()
    dist.all_reduce(values)
    return values


def _device() -> torch.device:
    """Where the backend takes tensors from."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
