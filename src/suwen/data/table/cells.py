"""A CSV or Parquet file as cells: stripped text, blank where nothing was written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError

BLANK = frozenset({"", "na", "n/a", "nan", "null", "?", "."})
"""Spellings of a missing value in any case: "?" is that of the UCI repository, "." that of SAS. "None" is not among
them: in a column of habits or past illnesses it is an answer."""

SEPARATORS = (",", ";", "\t", "|")
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a table.

    Attributes:
        file: where they were read.
        table: every column as stripped text; missing cells are blank.
        rows: int64 (N,) the number of each row in the file, as a spreadsheet shows it.
        header: whether the file names its columns.
    """

    file: Path
    table: pd.DataFrame
    rows: np.ndarray
    header: bool

    @property
    def columns(self) -> list[str]:
        """Names, in the file's order."""
        return list(self.table.columns)

    def only(self, row: int) -> Cells:
        """The one row of this number.

        Raises:
            DataError: there is none.
        """
        place = np.flatnonzero(self.rows == row)
        if not len(place):
            raise DataError(
                f"{self.file} has no row {row}",
                why=f"its rows are numbered {self.rows[0]} to {self.rows[-1]}, as a spreadsheet shows them",
                fix=f"{self.file}:{self.rows[0]}",
            )
        return Cells(self.file, self.table.iloc[place].reset_index(drop=True), self.rows[place], self.header)


def read_cells(file: Path, *, names: Sequence[str] | None = None) -> Cells:
    """The cells of a file.

    A CSV without a header (half of its first line or more are numbers) has the columns ``column 1``, ``column 2`` …,
    unless `names` are given. Rows without any cell are no rows.

    Args:
        file: ``.csv``, ``.tsv``, ``.txt`` (comma, semicolon, tab or bar between cells; UTF-8) or ``.parquet``.
        names: of the columns of a file without a header.

    Raises:
        DataError: the file is not there, not UTF-8, not a table, has no rows, or two columns of one name.
    """
    if not file.is_file():
        raise DataError(f"there is no file {file}", why="a table is one CSV or Parquet file", fix="check the path")
    rows, first = _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file)
    header = first is not None and (not _numbers(first) if names is None else first == list(names))
    if first is not None and not header:
        rows = pd.concat([pd.DataFrame([first], index=[-1]), rows])
    columns = list(rows.columns) if first is None else first if header else list(names or _numbered(len(first)))
    rows.columns = pd.Index(_named(columns, rows.shape[1], file))
    filled = (rows != "").any(axis=1).to_numpy()
    numbers = rows.index.to_numpy(dtype=np.int64) + 2
    rows, numbers = rows.loc[filled].reset_index(drop=True), numbers[filled]
    if rows.empty:
        raise DataError(
            f"{file} has no rows", why="there is nothing to look at", fix="one row a person below the names"
        )
    return Cells(file, rows, numbers, header or first is None)


def text_of(value: Any) -> str:
    """Any value as the text of a cell: blank where it is missing."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    text = str(value).strip()
    return "" if text.lower() in BLANK else text


def number_of(text: str) -> float | None:
    """The finite number that a cell holds, None where it holds none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def level_of(text: str) -> str:
    """The text of a level: ``"1.0"`` and ``"1"`` are one and the same."""
    value = number_of(text)
    return text if value is None or not value.is_integer() or abs(value) > 2**53 else str(int(value))


def row_of(source: Mapping[str, Any]) -> dict[str, str]:
    """One row given as column → value, as cells."""
    return {str(name).strip(): text_of(value) for name, value in source.items()}


def _read_csv(file: Path) -> tuple[pd.DataFrame, list[str]]:
    """The rows below the first line, and that line."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: {error}", why="a table is read as UTF-8", fix="save it as CSV UTF-8 in the spreadsheet"
        ) from error
    if not text.strip():
        raise DataError(f"{file} is empty", why="there is nothing to look at", fix="a CSV with a line of names")
    line = text.lstrip("\r\n").partition("\n")[0]
    separator = max(SEPARATORS, key=line.count)
    try:
        read = pd.read_csv(
            file, sep=separator, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig",
            skipinitialspace=True, skip_blank_lines=False,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"{file}: {error}", why="its lines have different numbers of cells", fix="one cell a column in every line"
        ) from error
    cells = read.map(text_of)
    while not (cells.iloc[0] != "").any():
        cells = cells.iloc[1:]
    first = [str(name) for name in cells.iloc[0]]
    rows = cells.iloc[1:]
    rows.index = rows.index - 1
    return rows, first


def _read_parquet(file: Path) -> tuple[pd.DataFrame, None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file}: {error}", why="it cannot be read as Parquet", fix="write it again, or CSV") from error
    columns = {
        f"{position}": [text_of(value) for value in column.to_pylist()] for position, column in enumerate(read.columns)
    }
    rows = pd.DataFrame(columns, dtype=object, index=range(read.num_rows))
    rows.columns = pd.Index([str(name) for name in read.column_names])
    return rows, None


def _numbers(first: Sequence[str]) -> bool:
    """Whether a first line is of values, and not of names."""
    filled = [cell for cell in first if cell]
    return bool(filled) and sum(number_of(cell) is not None for cell in filled) * 2 >= len(filled)


def _numbered(count: int) -> list[str]:
    return [f"column {position + 1}" for position in range(count)]


def _named(columns: Sequence[str], width: int, file: Path) -> list[str]:
    """The names stripped; nameless columns are called by their position.

    Raises:
        DataError: two columns of one name, or more or fewer names than columns.
    """
    if len(columns) != width:
        raise DataError(
            f"{len(columns)} names for the {width} columns of {file}",
            why="each column needs one",
            fix=f"--set 'inputs.names=[{', '.join(_numbered(width))}]'",
        )
    names = [name.strip() or f"column {position + 1}" for position, name in enumerate(columns)]
    if twice := [name for position, name in enumerate(names) if name in names[:position]]:
        raise DataError(
            f"{file} has two columns called {', '.join(map(repr, twice[:SHOWN]))}",
            why="nobody could say which of them is meant",
            fix="rename one of them in the first line of the file",
        )
    return names
