"""A `Design`: from the values of a row to the numbers of a linear model, each linear in what it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suwen.data.table.column import Column

VALUE, MISSING, LEVEL, HINGE = 0, 1, 2, 3
"""Kinds of a number: a value in standard deviations, whether it is missing, whether it is this level, how far above."""


@dataclass(frozen=True, eq=False)
class Design:
    """D numbers of C columns.

    | kind | number |
    |---|---|
    | value | (x - mean) / sd, of the typical value where x is missing |
    | missing | 1 where x is missing, in columns in which training rows lack some |
    | level | 1 where x is this level; all 0 where it is unknown |
    | hinge | max(0, x - knot) / sd: a line that may bend at the knot (linear spline, truncated power basis) |

    Source: Harrell, Regression Modeling Strategies (2nd ed. 2015), sections 2.4.2 (linear splines) and 3.7.

    Attributes:
        source: int64 (D,) the column each comes from.
        kind: int64 (D,).
        shift, scale: float32 (D,): what is taken off a value, or a level's code; and what it is divided by.
        typical: float32 (C,) what stands for a missing value.
        gaps: bool (C,) whether training rows lack values of this column.
    """

    source: np.ndarray
    kind: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    typical: np.ndarray
    gaps: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """float32 (N, C) with NaN where missing → float32 (N, D)."""
        missing = np.isnan(values)
        filled = np.where(missing, self.typical, values)[:, self.source]
        moved = (filled - self.shift) / self.scale
        found = np.where(self.kind == HINGE, np.maximum(moved, 0), moved)
        absent = missing[:, self.source]
        found = np.where(self.kind == MISSING, absent, found)
        found = np.where(self.kind == LEVEL, (filled == self.shift) & ~absent, found)
        return np.asarray(found, np.float32)

    def names(self, columns: Sequence[Column]) -> list[str]:
        """What each number stands for."""
        said = []
        for source, kind, shift in zip(self.source.tolist(), self.kind.tolist(), self.shift.tolist(), strict=True):
            name = columns[source].name
            ends = {
                VALUE: name,
                MISSING: f"{name} is missing",
                LEVEL: f"{name} = {columns[source].cell(shift)}" if kind == LEVEL else "",
                HINGE: f"{name} above {shift:.6g}",
            }
            said.append(ends[kind])
        return said


def design_of(columns: Sequence[Column], *, splines: bool = True) -> Design:
    """The numbers that these columns give.

    Args:
        columns: as learnt from training rows.
        splines: let lines bend at the columns' inner knots, in columns with three knots or more.
    """
    rows: list[tuple[int, int, float, float]] = []
    for place, column in enumerate(columns):
        if column.kind == "level":
            rows += [(place, LEVEL, float(code), 1.0) for code in range(len(column.levels))]
        else:
            rows.append((place, VALUE, column.mean, column.sd))
            if splines and len(column.knots) > 2:
                rows += [(place, HINGE, knot, column.sd) for knot in column.knots if column.low < knot < column.high]
        if column.blanks:
            rows.append((place, MISSING, 0.0, 1.0))
    source, kind, shift, scale = (np.array(part) for part in zip(*rows, strict=True))
    return Design(
        source=source.astype(np.int64),
        kind=kind.astype(np.int64),
        shift=shift.astype(np.float32),
        scale=scale.astype(np.float32),
        typical=np.array([column.typical for column in columns], np.float32),
        gaps=np.array([column.blanks > 0 for column in columns]),
    )
