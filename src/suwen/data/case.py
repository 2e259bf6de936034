"""Images and volumes of any size, opened: what preprocessing turns into pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from suwen.data.codebook import Codebook
from suwen.data.grid import Grid


@dataclass(frozen=True, eq=False)
class Opened:
    """One input as it was read.

    Attributes:
        content: a `suwen.data.picture.Picture` or a `suwen.data.volume.Volume`.
        grid: where its pixels lie.
        mode: how it is stored.
        digest: gives 16 bytes, equal for equal inputs.
    """

    content: Any
    grid: Grid
    mode: str
    digest: Callable[[], bytes]

    def without_pixels(self) -> Opened:
        """The same without what takes memory; it cannot be prepared any longer."""
        light = getattr(self.content, "without_voxels", None)
        return self if light is None else replace(self, content=light())


class DensePreprocess(Protocol):
    """The preprocessing of inputs whose answers lie where their pixels do (`suwen.core.preprocess.Preprocess`)."""

    @property
    def patch(self) -> tuple[int, ...]:
        """Sides of what the network learns from at a time."""
        ...

    @property
    def channels(self) -> int:
        """C."""
        ...

    @property
    def classes(self) -> dict[str, int]:
        """Label → its value in mask files, in the order of their codes."""
        ...

    @property
    def codebook(self) -> Codebook:
        """What the codes of masks mean."""
        ...

    @property
    def instances(self) -> bool:
        """Whether each value of a mask is an object of its own."""
        ...

    def plan(self, shapes: np.ndarray) -> list[tuple[str, str, str]]:
        """(setting, value, why) of what was chosen, for inputs of these shapes (N, S) after preprocessing."""
        ...

    @property
    def window(self) -> tuple[int, ...]:
        """Sides of what the network sees at a time when it is asked."""
        ...

    @property
    def overlap(self) -> float:
        """Of neighbouring windows, as a share of their sides."""
        ...

    def open(self, source: Any) -> Opened:
        """A file, a folder or an array, read."""
        ...

    def prepare(self, opened: Opened) -> np.ndarray:
        """uint8 ``(C, *S)`` along the axes of the body, at one spacing."""
        ...

    def shape(self, grid: Grid) -> tuple[int, ...]:
        """S for an input that lies so."""
        ...

    def model_dump(self) -> dict[str, Any]:
        """All settings, JSON-able."""
        ...

    def model_dump_json(self, *, exclude: Any = None) -> str:
        """The same as text, without some of them."""
        ...
