"""Tables: elements are columns; one is taken away by leaving its cell blank."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from suwen.core.errors import DataError


class TableParts:
    """Rows ``(C,)`` of values, NaN where missing (a `suwen.explanation.parts.Parts`).

    What stands where a column is removed is a missing value, whatever baseline is asked for: the model then takes the
    typical value of the training rows, or sends the row down its trees as one without the value.
    """

    REMOVED: ClassVar[str] = "missing"
    WINDOW: ClassVar[int] = 16

    @staticmethod
    def read(inputs: Tensor) -> Tensor:
        """Float rows; NaN is a missing value, infinity is refused.

        Raises:
            DataError: an infinite value.
        """
        if inputs.isinf().any():
            raise DataError("an infinite value in a row", why="no model can weigh it", fix="leave the cell blank")
        return inputs.float()

    @staticmethod
    def shape(x: Tensor) -> tuple[int, ...]:
        """``(C,)``."""
        return tuple(x.shape)

    @staticmethod
    def baseline(x: Tensor, kind: str) -> Tensor:
        """The row with every cell blank."""
        return torch.full_like(x, torch.nan)

    @staticmethod
    def mix(x: Tensor, baseline: Tensor, keep: Tensor) -> Tensor:
        """``(N, C)`` bool → N rows: the cells that are kept, the others blank."""
        return torch.where(keep, x, baseline)

    @staticmethod
    def segments(x: Tensor, kind: str, count: int) -> Tensor:
        """int64 ``(C,)``: each column is a segment of its own."""
        return torch.arange(len(x))

    @staticmethod
    def smooth(attribution: Tensor, share: float) -> Tensor:
        """Unchanged: columns have no neighbours."""
        return attribution

    @staticmethod
    def windows(x: Tensor, size: int, stride: int) -> Tensor:
        """bool ``(C, C)``: each column alone."""
        return torch.eye(len(x), dtype=torch.bool)
