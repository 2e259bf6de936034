"""Tables in several files: rows are matched by the columns that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from suwen.core.errors import DataError
from suwen.data.table.cells import Cells, read_cells

SHOWN = 5


def joined(cells: Cells, others: Sequence[str]) -> Cells:
    """The table with the columns of further files beside its own.

    Args:
        cells: the table.
        others: files, relative to its folder. What a row is matched by is every column that both files have.

    Raises:
        DataError: no column in both, a key that occurs twice in a further file, or rows that have no match there.
    """
    for other in others:
        cells = _join(cells, read_cells(cells.file.parent / Path(other)))
    return cells


def _join(left: Cells, right: Cells) -> Cells:
    keys = [name for name in left.columns if name in right.columns]
    if not keys:
        raise DataError(
            f"{left.file.name} and {right.file.name} have no column of the same name",
            why="rows are matched by the columns that both have",
            fix="give the column that numbers or names the rows the same name in both files",
        )
    if (again := right.table.duplicated(keys)).any():
        first = right.rows[again.to_numpy()][0]
        raise DataError(
            f"{right.file}: row {first} has the same {', '.join(keys)} as a row above",
            why="one row of the table would match two of these",
            fix="one row a key; sum them up first",
        )
    merged = left.table.merge(right.table, on=keys, how="left", indicator="\0match")
    lacking = (merged.pop("\0match") == "left_only").to_numpy()
    if lacking.any():
        named = ", ".join(str(row) for row in left.rows[lacking][:SHOWN])
        raise DataError(
            f"{int(lacking.sum())} rows of {left.file.name} have no match in {right.file.name}: row {named}",
            why="a row without its match would lose what is to be predicted, or what it is predicted from",
            fix="remove these rows, or add them there",
        )
    return replace(left, table=merged)
