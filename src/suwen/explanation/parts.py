"""What an input is made of, and how a part of it is taken away: the only thing a method must know of a modality.

A method that perturbs never touches pixels, events or words. It asks the `Parts` of the reader (a row of
``suwen.parts`` under the reader's name) for segments, windows and a baseline, and plays a `Game`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.core.registry import PARTS
from suwen.explanation.ask import batch_of, scores


class Parts(Protocol):
    """One kind of input. *Elements* are the smallest things an attribution speaks of: pixels, events, tokens.

    One input ``x`` has elements of some shape ``S`` (``(H, W)`` for an image ``(C, H, W)``).

    Attributes:
        REMOVED: the kind of baseline that leaves nothing to find, against which faithfulness is measured.
        WINDOW: windows to a side of the input, unless a size is given.
    """

    REMOVED: ClassVar[str]
    WINDOW: ClassVar[int]

    @staticmethod
    def read(inputs: Any) -> Any:
        """A batch as encoders take it while it is perturbed: floats, finite."""
        ...

    @staticmethod
    def shape(x: Any) -> tuple[int, ...]:
        """S of one input."""
        ...

    @staticmethod
    def baseline(x: Any, kind: str) -> Any:
        """The input with everything taken away."""
        ...

    @staticmethod
    def mix(x: Any, baseline: Any, keep: Tensor) -> Any:
        """``(N, *S)`` bool → N inputs: the elements that are kept, the others as in the baseline."""
        ...

    @staticmethod
    def segments(x: Any, kind: str, count: int) -> Tensor:
        """int64 ``S``: the number of the segment, from 0, that each element belongs to; about `count` of them."""
        ...

    @staticmethod
    def smooth(attribution: Tensor, share: float) -> Tensor:
        """Maps ``(B, *S)`` in which neighbours share what they say; unchanged where elements have no neighbours."""
        ...

    @staticmethod
    def windows(x: Any, size: int, stride: int) -> Tensor:
        """bool ``(N, *S)``: windows that cover every element at least once."""
        ...


def parts_of(model: Model) -> type[Parts]:
    """The Parts of what this model reads.

    Raises:
        RecipeError: its inputs cannot be taken apart.
    """
    reader = model.task.reader
    if reader not in PARTS:
        raise RecipeError(
            f"inputs read by {reader!r} have no parts",
            why="this method takes inputs apart, and nothing is registered that knows how",
            fix=f"name the parts under {reader!r} in the entry-point group suwen.parts, or use a method of gradients",
        )
    found: type[Parts] = PARTS[reader]
    return found


class Game:
    """The logit of one label, as a function of which elements of one input are kept.

    Named as in cooperative game theory: v(S) is what the coalition S of elements achieves.

    Args:
        model, parts: who answers, and how inputs are taken apart.
        x: one input, as `Parts.read` gives it.
        label: its number.
        baseline: one input: what stands where an element is removed.
        batch: perturbed inputs evaluated at once.
    """

    def __init__(
        self, model: Model, parts: type[Parts], x: Any, label: Tensor, baseline: Any, batch: int | None = None
    ) -> None:
        self.model, self.parts, self.x, self.label, self.baseline = model, parts, x, label, baseline
        self.shape = parts.shape(x)
        self.batch = batch or batch_of(self.shape)

    def __call__(self, keep: Tensor) -> Tensor:
        """``(N, *S)`` bool → float32 ``(N,)``."""
        found = []
        for some in torch.split(keep, self.batch):
            inputs = self.parts.mix(self.x, self.baseline, some)
            found.append(scores(self.model, inputs, self.label.expand(len(some)), batch=self.batch))
        return torch.cat(found)

    def of_segments(self, kept: Tensor, segments: Tensor) -> Tensor:
        """Coalitions of segments ``(N, d)`` bool → ``(N,)``; expanded a batch at a time."""
        return torch.cat([self(some[:, segments]) for some in torch.split(kept, self.batch)])
