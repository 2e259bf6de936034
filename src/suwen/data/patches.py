"""Patches of images of any size and of their masks: what a network learns from at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from suwen.data.case import DensePreprocess
from suwen.data.case_cache import CaseColumns
from suwen.data.codebook import IGNORED

if TYPE_CHECKING:
    import torch

FOREGROUND = 1 / 3
"""Share of patches that are centred on a label: the share of nnU-Net (Isensee et al., Nature Methods 2021,
doi:10.1038/s41592-020-01008-z)."""


class Cases(Protocol):
    """What patches are cut from: a `suwen.data.cases.CaseSet`."""

    @property
    def columns(self) -> CaseColumns:
        """Pixels and codes."""
        ...

    @property
    def preprocess(self) -> DensePreprocess:
        """Says how large a patch is."""
        ...

    def pixels_of(self, row: int) -> np.ndarray:
        """uint8 (C, *S)."""
        ...

    def codes_of(self, row: int) -> np.ndarray:
        """uint8 (*S)."""
        ...


class Patches:
    """Patches of some images of a set.

    One in three (`FOREGROUND`) is drawn around a place of a label: first the label, one that covers a hundredth of
    another's pixels ten times as often, since large ones are in the other patches anyway; then one of the images that
    show it. The others lie anywhere in the image that is asked for. The middle of what is drawn, a patch by itself,
    lies within the image; what reaches beyond it is continued by its edge, and not labelled there.

    Args:
        cases: the set.
        rows: the images that may be drawn from.
    """

    def __init__(self, cases: Cases, rows: np.ndarray) -> None:
        self.cases, self.inner = cases, np.array(cases.preprocess.patch)
        counts = cases.columns.counts[rows, 1:IGNORED]
        self.labels = np.flatnonzero(counts.any(0)) + 1
        self.rarity = np.cumsum(counts.sum(0)[self.labels - 1].astype(np.float64) ** -0.5)
        self.showing = [rows[counts[:, label - 1] > 0] for label in self.labels]

    def draw(
        self, index: np.ndarray, generator: torch.Generator, *, reach: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A patch for each of these rows.

        Args:
            index: rows of the set.
            generator: where chance comes from.
            reach: how much longer a side of what is returned is than a side of a patch.

        Returns:
            uint8 ``(B, C, *P)``, codes ``(B, *P)``, and the row that each was cut from.
        """
        import torch

        outer = np.ceil(self.inner * reach).astype(np.int64)
        drawn = torch.rand(len(index), 4 + len(self.inner), generator=generator, dtype=torch.float64).numpy()
        rows, found = [], []
        for row, (often, which, where, at, *within) in zip(index.tolist(), drawn, strict=True):
            if often < FOREGROUND and len(self.labels):
                place = min(int(np.searchsorted(self.rarity, which * self.rarity[-1], "right")), len(self.labels) - 1)
                row = int(_one_of(self.showing[place], where))
                start = self._around(row, int(self.labels[place]), at, np.array(within))
            else:
                start = self._anywhere(row, np.array(within))
            rows.append(row)
            found.append(self._cut(row, start, outer))
        return np.stack([pixels for pixels, _ in found]), np.stack([codes for _, codes in found]), np.array(rows)

    def _anywhere(self, row: int, within: np.ndarray) -> np.ndarray:
        room = np.maximum(self.cases.columns.shapes[row] - self.inner, 0)
        found: np.ndarray = np.minimum((within * (room + 1)).astype(np.int64), room)
        return found

    def _around(self, row: int, label: int, at: float, within: np.ndarray) -> np.ndarray:
        """A place of the label lies anywhere in the middle half of the patch, so that none is always at its centre."""
        columns = self.cases.columns
        place = _one_of(columns.points[slice(*columns.starts[row, label : label + 2])], at)
        room = np.maximum(columns.shapes[row] - self.inner, 0)
        found: np.ndarray = np.clip(place - (self.inner * (0.25 + within / 2)).astype(np.int64), 0, room)
        return found

    def _cut(self, row: int, start: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = self.cases.columns.shapes[row]
        # an image smaller than a patch lies in its middle
        start = start - np.maximum(self.inner - shape, 0) // 2 - (outer - self.inner) // 2
        low, high = np.maximum(start, 0), np.minimum(start + outer, shape)
        window = tuple(slice(int(first), int(last)) for first, last in zip(low, high, strict=True))
        pixels, codes = self.cases.pixels_of(row)[(slice(None), *window)], self.cases.codes_of(row)[window]
        lacking = [(int(before), int(after)) for before, after in zip(low - start, start + outer - high, strict=True)]
        if any(before or after for before, after in lacking):
            pixels = np.pad(pixels, [(0, 0), *lacking], mode="edge")
            codes = np.pad(codes, lacking, constant_values=IGNORED)
        return pixels, codes


def _one_of(values: np.ndarray, share: float) -> np.ndarray:
    """The element at a share, from 0 to 1, of the way."""
    found: np.ndarray = values[min(int(share * len(values)), len(values) - 1)]
    return found
