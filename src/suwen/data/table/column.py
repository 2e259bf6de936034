"""A `Column`: what one column of a table holds, learnt from training rows, and how its cells become numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from suwen.data.table.cells import level_of, number_of

MOST_LEVELS = 50
"""Levels of one column; rarer ones beyond count as unknown."""

MOSTLY = 0.95
"""A column in which this share of the cells are numbers is one of numbers; the other cells are then missing."""

KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)
"""Quantiles where a curve may bend: five knots (Harrell, Regression Modeling Strategies, 2nd ed. 2015, table 2.3)."""

FAR = 10.0
"""Standard deviations from the mean at which a value is taken for a mistake and not for a patient."""


class Column(BaseModel):
    """One column.

    Attributes:
        name: of the column.
        kind: numbers, or levels (words, or numbers that stand for words).
        levels: in order; a level's code is its position.
        codes: values that stand for a missing one, as the user said.
        blanks: training rows without a value.
        mean, sd, median, low, high: of the training values.
        knots: quantiles `KNOTS` of the training values, each once.
        usual: the most frequent level's code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["number", "level"]
    levels: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    blanks: int = 0
    mean: float = 0.0
    sd: float = 1.0
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    knots: tuple[float, ...] = ()
    usual: int = 0

    @property
    def unknown(self) -> int:
        """The code of a level that training did not have."""
        return len(self.levels)

    def value(self, text: str) -> float:
        """The number of a cell: its value, or its level's code; NaN where it is missing."""
        if not text or (self.codes and level_of(text) in self.codes):
            return math.nan
        if self.kind == "number":
            found = number_of(text)
            return math.nan if found is None else found
        level = level_of(text)
        return float(self.levels.index(level)) if level in self.levels else float(self.unknown)

    def values(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (N,)."""
        each = {text: self.value(text) for text in set(texts)}
        return np.fromiter((each[text] for text in texts), np.float32, len(texts))

    def cell(self, value: float) -> str:
        """A number of `value` as a reader would write it."""
        if math.isnan(value):
            return "missing"
        if self.kind == "number":
            return f"{value:.6g}"
        return self.levels[int(value)] if int(value) < len(self.levels) else "unknown"

    @property
    def typical(self) -> float:
        """What stands for a missing value: the median, or the most frequent level's code."""
        return self.median if self.kind == "number" else float(self.usual)


def fit_column(
    name: str, texts: Sequence[str], *, codes: Iterable[str] = (), level: bool = False
) -> tuple[Column | None, str]:
    """The column, from its training cells; None where it says nothing, with the reason.

    Args:
        name: of the column.
        texts: its cells in the training rows.
        codes: values that stand for a missing one.
        level: its numbers stand for words.
    """
    codes = tuple(dict.fromkeys(level_of(code) for code in codes))
    filled = [text for text in texts if text and level_of(text) not in codes]
    blanks = len(texts) - len(filled)
    if not filled:
        return None, "all its training values are missing"
    numbers = [value for text in filled if (value := number_of(text)) is not None]
    numeric = not level and len(numbers) >= MOSTLY * len(filled)
    if numeric:
        return _of_numbers(name, np.array(numbers), codes, blanks + len(filled) - len(numbers))
    return _of_levels(name, filled, codes, blanks)


def _of_numbers(name: str, values: np.ndarray, codes: tuple[str, ...], blanks: int) -> tuple[Column | None, str]:
    low, high = float(values.min()), float(values.max())
    if low == high and not blanks:
        return None, f"all its training values are {low:g}"
    found = Column(
        name=name,
        kind="number",
        codes=codes,
        blanks=blanks,
        mean=float(values.mean()),
        sd=float(values.std()) or 1.0,
        median=float(np.median(values)),
        low=low,
        high=high,
        knots=tuple(dict.fromkeys(float(knot) for knot in np.quantile(values, KNOTS))),
    )
    return found, ""


def _of_levels(name: str, texts: Sequence[str], codes: tuple[str, ...], blanks: int) -> tuple[Column | None, str]:
    counts = Counter(map(level_of, texts))
    if len(counts) == 1 and not blanks:
        return None, f"all its training values are {next(iter(counts))!r}"
    if len(counts) > MOST_LEVELS and len(counts) > len(texts) / 2:
        return None, f"its {len(counts)} different texts name rows and are no levels"
    kept = sorted(counts, key=lambda level: (-counts[level], level))[:MOST_LEVELS]
    levels = tuple(sorted(kept))
    usual = levels.index(kept[0])
    return Column(name=name, kind="level", levels=levels, codes=codes, blanks=blanks, usual=usual), ""
