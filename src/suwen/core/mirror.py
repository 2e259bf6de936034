"""Test-time views that can be undone, for answers that lie where their input does: mirror images and turns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suwen.core.errors import NameUnknown

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Mirror:
    """One view of inputs ``(B, C, *S)``.

    Attributes:
        axes: along which they are mirrored, counted from the last, -1.
        quarters: quarter turns in the plane of the last two axes, after that.
    """

    axes: tuple[int, ...] = ()
    quarters: int = 0

    def change(self, inputs: Tensor) -> Tensor:
        """The inputs as this view sees them."""
        return (inputs.flip(self.axes) if self.axes else inputs).rot90(self.quarters, (-2, -1))

    def undo(self, answers: Tensor) -> Tensor:
        """Answers ``(B, K, *S)`` where the plain inputs are."""
        turned = answers.rot90(-self.quarters, (-2, -1))
        return turned.flip(self.axes) if self.axes else turned


def _flips(dims: int) -> Iterator[Mirror]:
    for count in range(dims + 1):
        yield from (Mirror(axes) for axes in itertools.combinations(range(-dims, 0), count))


def _turns(_: int) -> Iterator[Mirror]:
    """All eight positions of a square: each quarter turn, plain and mirrored."""
    yield from (Mirror(axes, quarters) for axes in ((), (-1,)) for quarters in range(4))


MIRRORS: dict[str, Callable[[int], Iterator[Mirror]]] = {"flip": _flips, "turn": _turns}
"""Name → number of dimensions → views, the plain one first. ``turn`` needs square windows."""


def mirrored(names: Sequence[str], dims: int) -> list[Mirror]:
    """The views that `names` ask for, the plain one first, each once.

    Raises:
        NameUnknown: a view that cannot be undone, or does not exist.
    """
    for name in names:
        if name not in MIRRORS:
            raise NameUnknown("view", name, MIRRORS, fix="--set evaluation.views=[flip]")
    if "turn" in names:  # holds every mirror image of a plane already
        names = ("turn",) if dims == 2 else names
    return list(dict.fromkeys(view for name in names for view in MIRRORS[name](dims))) or [Mirror()]
