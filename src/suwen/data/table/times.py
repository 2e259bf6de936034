"""The reader ``table-times``: as tables with labels, but what is to be predicted is when something happens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from suwen.core.errors import DataError, RecipeError
from suwen.data.columns import natural
from suwen.data.samples import Samples
from suwen.data.split import assign_splits
from suwen.data.table.cells import Cells, level_of, number_of
from suwen.data.table.preprocess import TablePreprocess
from suwen.data.table.reader import TableReader, as_columns, hashed
from suwen.data.table.roles import known

CENSORED = frozenset({"", "0", "no", "false", "censored"})
"""Cells of the event column where nothing happened until the time: the person was seen until then."""

Seen = tuple[float, str]
"""A time, and what happened then; nothing where it is empty."""


@dataclass(frozen=True)
class TimesReader(TableReader):
    """Tables with a time and what happened then (a `suwen.core.dataset.Reader`).

    ``dataset.targets`` is float64 (N, 2): a time of 0 or more, and the code of the event: 0 where nothing had happened
    until then (right censoring), k for the k-th of ``dataset.labels``, the names of the causes.
    """

    def split(self, samples: Any, *, seed: int, fractions: tuple[float, float, float]) -> Samples:
        """See `assign_splits`; every split has its share of each event."""
        columns = as_columns(samples)
        named = [None if target is None else target[1] or "censored" for target in columns.targets]
        cut = assign_splits(replace(hashed(columns), targets=named), seed=seed, fractions=fractions)
        return columns.with_splits(cut.splits)

    def _asked(self, cells: Cells) -> tuple[tuple[str, ...], str]:
        settings = self.settings
        if settings.signed_time is not None:
            known(cells.columns, [settings.signed_time], "inputs.signed_time")
            return (settings.signed_time,), (
                f"{settings.signed_time!r} is when an event happened, or minus the time until which there was none"
            )
        if settings.time is None or settings.event is None:
            raise RecipeError(
                "no inputs.time, or no inputs.event",
                why=f"which of the columns {', '.join(cells.columns)} hold when, and what happened?",
                fix="--set inputs.time=COLUMN --set inputs.event=COLUMN, or --set inputs.signed_time=COLUMN",
            )
        known(cells.columns, [settings.time, settings.event], "inputs")
        return (settings.time, settings.event), ""

    def _targets(self, cells: Cells, names: tuple[str, ...]) -> list[Any]:
        return [_seen(cells, row, names) for row in range(len(cells.table))]

    def _fitted(
        self, preprocess: TablePreprocess, columns: Samples, table: pd.DataFrame, splits: np.ndarray
    ) -> tuple[TablePreprocess, dict[str, str]]:
        fitted, dropped = super()._fitted(preprocess, columns, table, splits)
        happened = {target[1] for target in columns.targets if target is not None and target[1]}
        causes = tuple(sorted(happened, key=natural))
        return fitted.model_copy(update={"causes": causes, "target": None}), dropped

    def _truth(
        self, columns: Samples, preprocess: TablePreprocess, labels: tuple[str, ...] | None
    ) -> tuple[tuple[str, ...], bool, np.ndarray]:
        causes = preprocess.causes
        targets = np.full((len(columns), 2), math.nan)
        for row, target in enumerate(columns.targets):
            if target is None:
                continue
            time, cause = target
            if cause and cause not in causes:
                raise DataError(
                    f"{columns.ids[row]} has the event {cause!r}",
                    why=f"the known ones are {', '.join(causes) or 'none'}",
                    fix="correct the event column, or leave these rows out",
                )
            targets[row] = time, causes.index(cause) + 1 if cause else 0
        return labels or _names(causes, preprocess), False, targets


def _names(causes: tuple[str, ...], preprocess: TablePreprocess) -> tuple[str, ...]:
    """A single cause is called as its column, since its cells are mostly 1."""
    if len(causes) == 1:
        return (preprocess.event or "event",)
    return causes


def _seen(cells: Cells, row: int, names: tuple[str, ...]) -> Seen | None:
    """The time of a row, and what happened then; None where the time is not known.

    Raises:
        DataError: a time that is no number, or is negative where it must not be.
    """
    text = cells.table[names[0]].iloc[row]
    if not text:
        return None
    time = number_of(text)
    signed = len(names) == 1
    if time is None or (time < 0 and not signed):
        raise DataError(
            f"{cells.file}, column {names[0]!r}: row {cells.rows[row]} is {text!r}",
            why="a time is a number of 0 or more",
            fix="correct it; a column in which minus means censored is named by inputs.signed_time",
        )
    if signed:
        return abs(time), "1" if time > 0 else ""
    event = level_of(cells.table[names[1]].iloc[row])
    return time, "" if event.lower() in CENSORED else event


TABLE_TIMES = TimesReader()
"""A row of ``suwen.readers``."""
