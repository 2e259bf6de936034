"""The reader ``table``: a CSV or Parquet file → Samples → a `TableDataset`, and the data check."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from suwen.core.errors import DataError, RecipeError
from suwen.core.sample import Sample
from suwen.data.check import DataCheck
from suwen.data.columns import label_names, label_targets, metadata_of, texts_of
from suwen.data.readers.folders import SPLIT_FOLDERS
from suwen.data.samples import Digests, Samples, Table
from suwen.data.split import assign_splits
from suwen.data.table.cells import Cells, level_of, read_cells
from suwen.data.table.check import check_table
from suwen.data.table.dataset import TableDataset, digest_rows, fingerprint_of
from suwen.data.table.join import joined
from suwen.data.table.preprocess import TablePreprocess
from suwen.data.table.roles import Roles, find_roles, find_target

YES, NO = frozenset({"1", "yes", "true", "y", "t"}), frozenset({"0", "no", "false", "n", "f"})
MOST_CLASSES = 20
"""A target with more different values than this is no question of labels."""

DISTINCT = 0.95
"""Where this share of the rows differ from all others, equal rows are taken for the same person."""

PLACE = re.compile(r"(.+):(\d+)")
"""``FILE:ROW``, one row of a file."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TableSamples(Samples):
    """As `Samples`, with what is known of the columns they come from.

    Attributes:
        roles: which column is what; None where rows are only to be answered.
        cells: the table.
    """

    roles: Roles | None = None
    cells: Cells | None = None


@dataclass(frozen=True)
class TableReader:
    """How tables come in (a `suwen.core.dataset.Reader`).

    Attributes:
        settings: ``inputs`` of a recipe, or of a trained model: which column is what.
    """

    settings: TablePreprocess = field(default_factory=TablePreprocess)

    def bound(self, settings: Mapping[str, Any]) -> TableReader:
        """The same with settings that reading a file needs."""
        return replace(self, settings=settings_of(settings))

    def read(self, source: str | Path, *, labelled: bool = True) -> TableSamples:
        """The rows of ``FILE``, or the one of ``FILE:ROW``.

        Raises:
            DataError, RecipeError: see `read_cells`, `joined` and `find_roles`.
        """
        cells = _cells(str(source), self.settings, join=labelled)
        if not labelled and self.settings.columns:
            return self._unlabelled(cells)
        asked, why = self._asked(cells)
        roles = find_roles(cells, self.settings, asked, why)
        targets = self._targets(cells, roles.targets)
        subjects = None if roles.subject is None else _subjects(cells, roles.subject)
        return TableSamples(
            ids=_ids(cells),
            sources=_source(cells.table),
            targets=targets,
            splits=_splits(cells, roles.split),
            subjects=subjects,
            metadata=Table({name: [sys.intern(text) for text in cells.table[name]] for name in cells.columns}),
            digests=_digests(cells, [*roles.features, *roles.targets]),
            roles=roles,
            cells=cells,
        )

    def preprocess(self, samples: Sequence[Sample], settings: dict[str, Any]) -> TablePreprocess:
        """From settings. What training rows teach is left out where there are samples, and learnt by `build`."""
        found = settings_of(settings)
        return found if not samples else settings_of(found.settings())

    def split(self, samples: Sequence[Sample], *, seed: int, fractions: tuple[float, float, float]) -> Samples:
        """See `assign_splits`; equal rows stay together."""
        columns = as_columns(samples)
        return columns.with_splits(assign_splits(hashed(columns), seed=seed, fractions=fractions).splits)

    def build(
        self,
        samples: Sequence[Sample],
        preprocess: TablePreprocess,
        *,
        seed: int,
        labels: tuple[str, ...] | None = None,
        fractions: tuple[float, float, float] | None = (0.7, 0.15, 0.15),
        skip_bad: bool = False,
    ) -> TableDataset:
        """Split, unless `fractions` is None, and turn cells into numbers.

        A preprocessing that has learnt nothing yet learns from the training rows, or from all where there are none.
        """
        columns = self.split(samples, seed=seed, fractions=fractions) if fractions is not None else as_columns(samples)
        columns, skipped = _labelled_only(columns, skip_bad)
        table = _frame(columns)
        splits = np.array([split or "" for split in columns.splits], np.str_)
        dropped: dict[str, str] = {}
        if not preprocess.columns:
            preprocess, dropped = self._fitted(preprocess, columns, table, splits)
        names, multi_label, targets = self._truth(columns, preprocess, labels)
        ids = texts_of(columns.ids, np.arange(len(columns)))
        subjects = ids if columns.subjects is None else texts_of(columns.subjects, np.arange(len(columns)))
        values = preprocess.values(table)
        return TableDataset(
            ids=ids,
            subjects=subjects,
            splits=splits,
            labels=names,
            multi_label=multi_label,
            targets=targets,
            metadata=metadata_of(columns, np.arange(len(columns))),
            values=values,
            digests=_known_by(columns, preprocess, table),
            preprocess=preprocess,
            fingerprint=fingerprint_of(preprocess, names, values, targets, splits, subjects),
            skipped=skipped,
            said=roles.said if (roles := getattr(columns, "roles", None)) is not None else (),
            dropped=dropped,
        )

    def check(self, dataset: TableDataset, *, allow_leak: bool = False, labelled: bool = True) -> DataCheck:
        """See `suwen.data.table.check.check_table`."""
        return check_table(dataset, allow_leak=allow_leak, labelled=labelled)

    def _unlabelled(self, cells: Cells) -> TableSamples:
        """Rows to be answered."""
        self.settings.need(cells.columns)
        return TableSamples(
            ids=_ids(cells),
            sources=_source(cells.table),
            targets=[None] * len(cells.table),
            splits=[None] * len(cells.table),
            cells=cells,
        )

    def _asked(self, cells: Cells) -> tuple[tuple[str, ...], str]:
        """The columns that hold what is to be predicted, and why."""
        return find_target(cells, self.settings.target)

    def _targets(self, cells: Cells, names: tuple[str, ...]) -> list[Any]:
        """A label of each row, or a tuple of labels; None where it is not known."""
        if len(names) == 1:
            return _labels(cells, names[0])
        flags = np.stack([_flags(cells, name) for name in names], axis=1)
        return [tuple(name for name, flag in zip(names, row, strict=True) if flag) for row in flags]

    def _truth(
        self, columns: Samples, preprocess: TablePreprocess, labels: tuple[str, ...] | None
    ) -> tuple[tuple[str, ...], bool, np.ndarray]:
        """Label names, whether a row can have several, and the targets."""
        names, multi_label = label_names(columns, labels)
        return names, multi_label, label_targets(columns, np.arange(len(columns)), names, multi_label)

    def _fitted(
        self, preprocess: TablePreprocess, columns: Samples, table: pd.DataFrame, splits: np.ndarray
    ) -> tuple[TablePreprocess, dict[str, str]]:
        roles: Roles | None = getattr(columns, "roles", None)
        if roles is None:  # rows of several files
            cells = Cells(Path("these files"), table, np.arange(len(table)), header=True)
            roles = find_roles(cells, self.settings, *self._asked(cells))
        train = np.flatnonzero(splits == "train") if (splits == "train").any() else np.arange(len(table))
        fitted, dropped = preprocess.fitted(table.iloc[train], roles.features)
        different = len(np.unique(digest_rows(table.to_numpy().tolist()), axis=0))
        learnt = {"target": roles.targets, "distinct": different >= DISTINCT * len(table)}
        return fitted.model_copy(update=learnt), dropped


def settings_of(settings: Mapping[str, Any]) -> TablePreprocess:
    """Settings, checked.

    Raises:
        RecipeError: an unknown one, or an impossible value.
    """
    if unknown := sorted(set(settings) - set(TablePreprocess.model_fields)):
        raise RecipeError(
            f"unknown setting inputs.{unknown[0]}",
            why=f"known here: {', '.join(TablePreprocess.model_fields)}",
            fix="rename or drop it",
        )
    try:
        return TablePreprocess(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["inputs", *map(str, first["loc"])])
        raise RecipeError(f"{place} = {first['input']!r}", why=first["msg"], fix=f"--set {place}=VALUE") from error


def _cells(source: str, settings: TablePreprocess, *, join: bool) -> Cells:
    """The table, with further files if it is to be learnt from or lacks columns; of ``FILE:ROW`` that row alone."""
    place = None if Path(source).exists() else PLACE.fullmatch(source)
    file = Path(place[1]) if place else Path(source)
    cells = read_cells(file, names=settings.names)
    if join or any(column.name not in cells.columns for column in settings.columns):
        cells = joined(cells, settings.join)
    return cells if place is None else cells.only(int(place[2]))


def _frame(columns: Samples) -> pd.DataFrame:
    """The cells of all rows: the table as it was read, where no row was left out and none came in."""
    cells: Cells | None = getattr(columns, "cells", None)
    if cells is not None and len(cells.table) == len(columns):
        return cells.table
    return pd.DataFrame([columns.sources(row) for row in range(len(columns))])


def _ids(cells: Cells) -> list[str]:
    return [f"{cells.file.name}:{row}" for row in cells.rows.tolist()]


def _source(table: pd.DataFrame) -> Any:
    """Row → its cells by column."""
    columns = {name: table[name].tolist() for name in table.columns}
    return lambda row: {name: column[row] for name, column in columns.items()}


def as_columns(samples: Sequence[Sample]) -> Samples:
    """Any Samples as columns, their roles kept where they have some."""
    return samples if isinstance(samples, Samples) else Samples.of(samples)


def hashed(columns: Samples) -> Samples:
    """With the digest of each row's cells, by which rows of nobody in particular are split."""
    if columns.digests is not None:
        return columns
    rows = [[*map(str, columns.sources(row).values())] for row in range(len(columns))]  # type: ignore[union-attr]
    return replace(columns, digests=Digests(digest_rows(rows).copy(), np.ones(len(columns), bool)))


def _digests(cells: Cells, names: Sequence[str]) -> Digests:
    values = digest_rows(cells.table[list(names)].to_numpy().tolist()).copy()
    return Digests(values, np.ones(len(values), bool))


def _known_by(columns: Samples, preprocess: TablePreprocess, table: pd.DataFrame) -> np.ndarray:
    """uint8 (N, 16) by which a row is known again: its person, or its cells; its place where cells tell nothing."""
    if columns.subjects is not None:
        return digest_rows([["subject", name] for name in columns.subjects])
    if not preprocess.distinct:
        return digest_rows([["row", id] for id in columns.ids])
    names = [column.name for column in preprocess.columns]
    return digest_rows(table[names].map(level_of).to_numpy().tolist())


def _subjects(cells: Cells, name: str) -> list[str]:
    """Who each row is of; a row without a name is of nobody else."""
    ids = _ids(cells)
    return [level_of(text) or ids[row] for row, text in enumerate(cells.table[name])]


def _splits(cells: Cells, name: str | None) -> list[Any]:
    if name is None or not (cells.table[name] != "").any():
        return [None] * len(cells.table)
    found = [SPLIT_FOLDERS.get(text.lower()) for text in cells.table[name]]
    if None in found:
        row = found.index(None)
        raise DataError(
            f"{cells.file}, column {name!r}: row {cells.rows[row]} ({cells.table[name].iloc[row]!r})",
            why="that is not a split, or it is blank while other rows have one",
            fix="train, val or test in every row; or leave the column out, and suwen splits by person",
        )
    return found


def _labels(cells: Cells, name: str) -> list[str | None]:
    """One label a row.

    Raises:
        DataError: there are too many different ones.
    """
    found = [level_of(text) or None for text in cells.table[name]]
    different = len(set(found) - {None})
    if different > MOST_CLASSES:
        raise DataError(
            f"{cells.file}: the target {name!r} has {different} different values",
            why=f"a question of labels has up to {MOST_CLASSES}; is another column meant?",
            fix=f"--set inputs.target=COLUMN, one of {', '.join(cells.columns)}",
        )
    return found


def _flags(cells: Cells, name: str) -> np.ndarray:
    """bool (N,) of a column of yes and no.

    Raises:
        DataError: another cell.
    """
    texts = [level_of(text).lower() for text in cells.table[name]]
    if bad := [row for row, text in enumerate(texts) if text not in YES and text not in NO]:
        raise DataError(
            f"{cells.file}, column {name!r}: row {cells.rows[bad[0]]} is {cells.table[name].iloc[bad[0]]!r}",
            why="several targets are columns of yes and no",
            fix="1 or 0 in every row, or one target column",
        )
    return np.array([text in YES for text in texts])


def _labelled_only(columns: Samples, skip_bad: bool) -> tuple[Samples, list[tuple[str, str]]]:
    """Without rows whose target is blank, if they may be left out; in a set without any target all stay."""
    missing = [row for row, target in enumerate(columns.targets) if target is None]
    if not skip_bad or not missing or len(missing) == len(columns):
        return columns, []
    kept = np.setdiff1d(np.arange(len(columns)), missing)
    skipped = [(columns.ids[row], "it has no target") for row in missing]
    return _rows_of(columns, kept), skipped


def _rows_of(columns: Samples, rows: np.ndarray) -> Samples:
    """Some of the samples."""
    each, sources, digests = rows.tolist(), columns.sources, columns.digests
    metadata = columns.metadata
    return replace(
        columns,
        ids=[columns.ids[row] for row in each],
        sources=lambda row: sources(each[row]),
        targets=[columns.targets[row] for row in each],
        splits=[columns.splits[row] for row in each],
        subjects=None if columns.subjects is None else [columns.subjects[row] for row in each],
        metadata={place: metadata[row] for place, row in enumerate(each) if row in metadata},
        digests=None if digests is None else Digests(digests.values[rows], digests.known[rows]),
    )


TABLE = TableReader()
"""A row of ``suwen.readers``."""
