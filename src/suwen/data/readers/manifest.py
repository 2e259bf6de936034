"""A CSV manifest: one row an image, ``path,label,subject,split`` and any further columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from suwen.core.errors import DataError
from suwen.data.readers.folders import SPLIT_FOLDERS
from suwen.data.readers.headers import read_headers
from suwen.data.samples import Samples, Table, Texts, files_in

KNOWN = ("path", "subject", "split")
BLANK = frozenset({"", "nan", "na", "n/a", "null"})
"""Spellings of a missing value in `label`, `subject` and `split`, in any case."""

SHOWN = 10


def read_manifest(csv: Path, *, labelled: bool = True, cache: Path | None = None) -> Samples:
    """The rows of a manifest as Samples.

    Columns: ``path`` relative to the CSV; ``label``, several as ``a|b`` and none of them as ``|``; ``subject``
    and ``split`` where known; all others are metadata. A file with one ``|`` in it is a multi-label set, and the
    target of every row is a tuple.

    Args:
        csv: the manifest, in UTF-8.
        labelled: refuse a manifest without labels; False takes rows without one as unlabelled. (In a multi-label set
            none of the labels is always written ``|``: a blank there could mean either.)

    Raises:
        DataError: columns are missing; files are absent or listed twice; labels or splits are blank or unknown.
            The message names the rows as a spreadsheet numbers them (the header is row 1).
    """
    rows = read_rows(csv, cache=cache, needed=("path", "label") if labelled else ("path",))
    return Samples(
        ids=rows.ids,
        sources=files_in(csv.parent, rows.ids),
        targets=_targets(rows.table, csv, labelled),
        splits=rows.splits,
        subjects=rows.subjects,
        metadata=rows.metadata(("label",)),
    )


@dataclass(frozen=True)
class Rows:
    """The rows of a manifest whatever they are labelled with.

    Attributes:
        csv: the file.
        table: every column, as stripped text.
        ids: the column ``path``; each is there.
        headers: row → what the DICOM header of its file says.
    """

    csv: Path
    table: pd.DataFrame
    ids: Texts
    headers: dict[int, dict[str, Any]]

    @property
    def columns(self) -> Sequence[str]:
        """Names of all columns."""
        return list(self.table.columns)

    @property
    def splits(self) -> list[Any]:
        """Of each row, None throughout where the manifest has none.

        Raises:
            DataError: blank or unknown ones.
        """
        return _splits(self.table, self.csv)

    @property
    def subjects(self) -> list[str] | None:
        """What the manifest says comes before what the DICOM header says; None where each is its own."""
        if "subject" not in self.table.columns and not self.headers:
            return None
        named = self.table["subject"] if "subject" in self.table.columns else [""] * len(self.table)
        return [
            self.headers.get(row, {}).get("subject", self.ids[row]) if _blank(name) else name
            for row, name in enumerate(named)
        ]

    def metadata(self, used: Collection[str]) -> Mapping[int, Mapping[str, Any]]:
        """The further columns besides `used`, over what the DICOM headers say. Equal cells share their text."""
        named = {*KNOWN, *used}
        own = Table(
            {name: [sys.intern(text) for text in self.table[name]] for name in self.columns if name not in named}
        )
        if not self.headers:
            return own
        return {
            row: {name: value for name, value in self.headers.get(row, {}).items() if name != "subject"}
            | dict(own.get(row, {}))
            for row in range(len(self.table))
        }

    def files(self, column: str) -> list[Path | None]:
        """The files that a column names relative to the manifest, None where it is blank.

        Raises:
            DataError: one of them is not there.
        """
        cells = self.table[column]
        _refuse(
            self.table,
            pd.Series([not _blank(text) and not (self.csv.parent / text).exists() for text in cells]),
            self.csv,
            column,
            "there is no such file",
            f"paths are relative to {self.csv.parent}",
        )
        return [None if _blank(text) else self.csv.parent / text for text in cells]


def read_rows(csv: Path, *, needed: Sequence[str] = ("path",), cache: Path | None = None) -> Rows:
    """The rows of a manifest, each with a file (or a folder: a series) of its own.

    Raises:
        DataError: columns are missing; files are absent, or listed twice.
    """
    table = _read_table(csv)
    _need_columns(table, csv, needed)
    _refuse(table, table["path"].map(_blank), csv, "path", "an image is found by its path", "fill them in")
    _refuse(
        table,
        table["path"].duplicated(),
        csv,
        "path",
        "an image is listed twice",
        "keep one row an image; several labels are written a|b",
    )
    absent = pd.Series([not os.path.exists(csv.parent / text) for text in table["path"]])  # noqa: PTH110
    _refuse(table, absent, csv, "path", "there is no such file", f"paths are relative to {csv.parent}")
    ids = Texts(table["path"])
    return Rows(csv, table, ids, read_headers(ids, csv.parent, cache=cache))


def _read_table(csv: Path) -> pd.DataFrame:
    """All cells as stripped text; nothing is taken for a number or for missing."""
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{csv}: {error}", why="a manifest is read as UTF-8", fix="save it as CSV UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        raise DataError(f"{csv}: {error}", why="it cannot be read as CSV", fix="path,label,subject,split") from error
    table.columns = [str(column).strip() for column in table.columns]
    if table.empty:
        raise DataError(f"{csv} has no rows", why="there is nothing to learn from", fix="one row an image")
    return pd.DataFrame({column: table[column].str.strip() for column in table.columns})


def _need_columns(table: pd.DataFrame, csv: Path, needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise DataError(
            f"{csv} has the columns {', '.join(table.columns)}",
            why=f"the column {' and '.join(missing)} is missing",
            fix=f"name a column {missing[0]!r}; a manifest is path,label,subject,split and any further columns",
        )


def _refuse(table: pd.DataFrame, bad: pd.Series, csv: Path, column: str, why: str, fix: str) -> None:
    """Raise if any row is marked, naming the first ones by row number and value."""
    marked = [int(position) for position, flag in enumerate(bad) if flag]
    if not marked:
        return
    rows = ", ".join(f"row {position + 2} ({table[column].iloc[position]!r})" for position in marked[:SHOWN])
    more = f" and {len(marked) - SHOWN} more" if len(marked) > SHOWN else ""
    raise DataError(f"{csv}, column {column!r}: {rows}{more}", why=why, fix=fix)


def _targets(table: pd.DataFrame, csv: Path, labelled: bool) -> list[Any]:
    if "label" not in table.columns:
        return [None] * len(table)
    labels, blank = table["label"], table["label"].map(_blank)
    several = labels.str.contains("|", regex=False).any()
    if not labelled and not several:
        return [None if missing else label for label, missing in zip(labels, blank, strict=True)]
    _refuse(
        table,
        blank,
        csv,
        "label",
        "the label is missing",
        "fill them in or remove the rows; in a multi-label set none of the labels is written |",
    )
    if not several:
        return [sys.intern(text) for text in labels]
    shared = {text: tuple(part.strip() for part in text.split("|") if part.strip()) for text in labels.unique()}
    return [shared[text] for text in labels]


def _splits(table: pd.DataFrame, csv: Path) -> list[Any]:
    if "split" not in table.columns or table["split"].map(_blank).all():
        return [None] * len(table)
    splits = table["split"].str.lower().map(SPLIT_FOLDERS)
    _refuse(
        table,
        splits.isna(),
        csv,
        "split",
        "that is not a split, or it is blank while other rows have one",
        "train, val or test in every row; or leave the column out, and suwen splits by subject",
    )
    return splits.tolist()


def _blank(text: str) -> bool:
    return text.lower() in BLANK
