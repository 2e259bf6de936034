"""Batches of labelled inputs with unlabelled ones beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch import Generator

from suwen.core.dataset import Batch, Dataset
from suwen.learn.batches import AUGMENT, Batches
from suwen.learn.randomness import derive, generator

Views = Callable[[Any, Generator], dict[str, Any]]
"""Inputs, and where to draw from → views of each, by name."""

_LABELLED, _UNLABELLED, _VIEWS = 50, 51, 52  # streams of randomness


class Deck:
    """Rows dealt without end: shuffled anew each time all were dealt.

    What is dealt at a place follows from the place alone, so that a training that was killed goes on as it would have.
    """

    def __init__(self, rows: np.ndarray, hand: int, *place: int) -> None:
        self.rows, self.hand, self.place = rows, min(hand, len(rows)), place

    def deal(self, number: int) -> np.ndarray:
        """Hand `number`, ascending."""
        places = np.arange(number * self.hand, (number + 1) * self.hand)
        rounds, within = np.divmod(places, len(self.rows))
        orders = {each: np.random.default_rng([derive(*self.place), each]) for each in np.unique(rounds).tolist()}
        shuffled = {each: order.permutation(self.rows) for each, order in orders.items()}
        return np.sort([shuffled[each][place] for each, place in zip(rounds.tolist(), within.tolist(), strict=True)])


class WithUnlabelled(Batches):
    """Batches with ``views`` of unlabelled inputs; ``index`` and ``target`` are those of the labelled ones.

    An epoch goes once through the labelled or the unlabelled rows, whichever take more batches; of the others it goes
    on dealing.

    Args:
        unlabelled: its split ``train`` is dealt from.
        ratio: μ, unlabelled inputs for each labelled one.
        views: of the unlabelled inputs.
        dataset, rows, batch_size, and further keywords: as of `Batches`; the labelled ones.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: np.ndarray,
        *,
        batch_size: int,
        unlabelled: Dataset,
        ratio: int,
        views: Views,
        **keywords: Any,
    ) -> None:
        super().__init__(dataset, rows, batch_size=batch_size, **keywords)
        self.unlabelled, self.views = unlabelled, views
        pool = unlabelled.where("train")
        self.labelled = Deck(rows, batch_size, self.seed, _LABELLED)
        self.pool = Deck(pool, ratio * batch_size, self.seed, _UNLABELLED)
        self.count = max(self.count, -(-len(pool) // (ratio * batch_size)))

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[int, Batch]]:
        """``(number, batch)`` from batch `start` on."""
        for number in range(start, self.count):
            place = epoch * self.count + number
            batch = self.gather(self.labelled.deal(place))
            if self.augment is not None:
                batch = self.augment(batch, generator(self.seed, AUGMENT, epoch, number))
            inputs = self._moved(self.unlabelled.take(self.pool.deal(place)))
            yield number, batch | self.views(inputs, generator(self.seed, _VIEWS, epoch, number))
