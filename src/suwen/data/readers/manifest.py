"""A CSV manifest: one row an image, ``path,label,subject,split`` and any further columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from suwen.core.errors import DataError
from suwen.core.sample import Sample
from suwen.data.readers.folders import SPLIT_FOLDERS
from suwen.data.readers.headers import read_headers

KNOWN = ("path", "label", "subject", "split")
BLANK = frozenset({"", "nan", "na", "n/a", "null"})
"""Spellings of a missing value in `label`, `subject` and `split`, in any case."""

SHOWN = 10


def read_manifest(csv: Path, *, labelled: bool = True, cache: Path | None = None) -> list[Sample]:
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
    table = _read_table(csv)
    _need_columns(table, csv, ("path", "label") if labelled else ("path",))
    files = [csv.parent / text for text in table["path"]]
    _refuse(table, table["path"].map(_blank), csv, "path", "an image is found by its path", "fill them in")
    _refuse(
        table,
        table["path"].duplicated(),
        csv,
        "path",
        "an image is listed twice",
        "keep one row an image; several labels are written a|b",
    )
    absent = pd.Series([not file.is_file() for file in files])
    _refuse(table, absent, csv, "path", "there is no such file", f"paths are relative to {csv.parent}")
    targets, splits = _targets(table, csv, labelled), _splits(table, csv)
    headers = read_headers(files, cache=cache)
    return [_sample(*parts) for parts in zip(files, headers, table.to_dict("records"), targets, splits, strict=True)]


def _sample(file: Path, header: dict[str, Any], row: dict[Any, str], target: Any, split: Any) -> Sample:
    """What the manifest says comes before what the DICOM header says."""
    named = header.get("subject", row["path"]) if _blank(row.get("subject", "")) else row["subject"]
    metadata = {name: value for name, value in header.items() if name != "subject"}
    metadata |= {column: value for column, value in row.items() if column not in KNOWN}
    return Sample(id=row["path"], source=file, target=target, subject=named, split=split, metadata=metadata)


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
        return labels.tolist()
    return [tuple(part.strip() for part in text.split("|") if part.strip()) for text in labels]


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
