"""Batches: shuffled slices of a Dataset's columns, augmented on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from suwen.core.dataset import Batch, Dataset
from suwen.learn.layout import channels_last
from suwen.learn.processes import Part, part_of
from suwen.learn.randomness import derive, generator


class Augment(Protocol):
    """Random changes of a batch; ``mixes = True`` where they change an image by others of its batch."""

    def __call__(self, batch: Batch, generator: torch.Generator, part: Part | None = None) -> Batch:
        """The batch, changed. Of a batch that processes share it has the rows of `part`: draws are for the whole."""
        ...


_ORDER, AUGMENT = 0, 1  # streams of randomness


class Batches:
    """All batches of one epoch, the same for the same ``(seed, epoch)``.

    Where several processes train together, each gets its part of every batch, and ``batch["part"]`` says which.
    The rows are dealt into batches of nearly equal size: none is dropped, and none is so small that batch
    normalisation would fail on it.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        augment: Augment | None = None,
        channels_last: bool = False,
    ) -> None:
        self.dataset, self.rows, self.seed, self.device = dataset, rows, seed, torch.device(device)
        self.augment, self.channels_last = augment, channels_last
        self.count = max(1, -(-len(rows) // batch_size))
        self.kept = kept_on(self.device, dataset)
        patches = getattr(dataset, "patches", None)
        self.patches = None if patches is None else patches(rows)

    def __len__(self) -> int:
        return self.count

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[int, Batch]]:
        """``(number, batch)`` from batch `start` on."""
        order = np.random.default_rng([derive(self.seed, _ORDER), epoch]).permutation(self.rows)
        dealt = np.array_split(order, self.count)
        for number in range(start, self.count):
            yield number, self._changed(np.sort(dealt[number]), generator(self.seed, AUGMENT, epoch, number))

    def _changed(self, rows: np.ndarray, draws: torch.Generator) -> Batch:
        """A batch after its random changes; where processes share it, this one's part."""
        part = part_of(rows)
        if part is None:
            batch = self.gather(rows, draws)
            return batch if self.augment is None else self.augment(batch, draws)
        if getattr(self.augment, "mixes", False):
            assert self.augment is not None
            whole = self.augment(self.gather(rows, draws), draws)
            return {name: values[part.rows] for name, values in whole.items()} | {"part": part}
        batch = self.gather(rows, draws, part)
        return (batch if self.augment is None else self.augment(batch, draws, part)) | {"part": part}

    def plain(self) -> Iterator[Batch]:
        """All rows in order, as they are."""
        for part in np.array_split(self.rows, self.count):
            if len(part):
                yield self.gather(part)

    def gather(self, rows: np.ndarray, draws: torch.Generator | None = None, part: Part | None = None) -> Batch:
        """One batch of these rows, or of a part of them, on the device.

        From inputs of any size patches are drawn, where `draws` are given (``dataset.patches``): as in the whole batch.
        """
        if draws is not None and self.patches is not None:
            drawn = self.patches.draw(rows, draws, reach=getattr(self.augment, "reach", 1.0))
            inputs, target, index = drawn if part is None else (each[part.rows] for each in drawn)
            return {"inputs": self._moved(inputs), "target": self._moved(target), "index": index}
        rows = rows if part is None else rows[part.rows]
        inputs = self.dataset.take(rows) if self.kept is None else self.kept[torch.from_numpy(rows).to(self.device)]
        return {"inputs": self._moved(inputs), "target": self._moved(self.dataset.targets[rows]), "index": rows}

    def _moved(self, value: Any) -> Any:
        """Arrays as tensors on the device, in whatever dicts and lists hold them; words stay."""
        if isinstance(value, dict):
            return {name: self._moved(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
            return [self._moved(part) for part in value]
        if not isinstance(value, (np.ndarray, Tensor)):
            return value
        moved = torch.as_tensor(value).to(self.device)
        return channels_last(moved) if self.channels_last else moved


def kept_on(device: torch.device, dataset: Dataset) -> Tensor | None:
    """All pixels of a dataset on a GPU, copied there once, where they take at most a quarter of its free memory.

    Only pixels of the dataset's own: features of a frozen encoder stand for them and are small.
    """
    pixels = vars(dataset).get("pixels")
    if pixels is None or pixels.nbytes > free_memory(device) / 4:
        return None
    return torch.from_numpy(np.array(pixels)).to(device)


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that nobody uses; 0 of everything else, which needs no copy of what is mapped."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
