"""What is done to the cells of a row before an encoder sees them. Travels with the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, field_validator

from suwen.core.errors import DataError
from suwen.data.table.cells import level_of, row_of
from suwen.data.table.column import FAR, Column, fit_column
from suwen.data.table.roles import known

EVERY = "*"
"""In `TablePreprocess.missing`: a code of every column."""


def _several(value: Any) -> Any:
    """One name, or several."""
    return (value,) if isinstance(value, str | int | float) else value


class TablePreprocess(BaseModel):
    """A row of cells → float32 (C,): numbers as they are, levels as codes, NaN where a value is missing.

    Nothing is imputed or scaled here: what was learnt from the training rows (`columns`) is for the encoder, so that
    trees can see what is missing. The first settings are the user's, ``inputs.NAME`` of a recipe.

    Args:
        target: the column to predict; several columns of yes and no are a multi-label question.
        ignore: columns to leave out.
        subject: the column that names the person; ``patient_id`` and the like are found without.
        split: the column of train, val and test; found by its name without.
        names: of the columns of a file that has none.
        missing: column → values that stand for a missing one, such as 0 of a blood pressure; ``*`` for all columns.
        categorical: columns whose numbers stand for words.
        join: further files, whose rows are matched by the columns that both have.
        time, event: columns of a time and of what happened then (reader ``table-times``).
        signed_time: one column in place of both: an event's time, or minus the time until which there was none.
        columns: what was learnt from the training rows; nothing before.
        causes: cells of `event` in the order of their codes 1, 2 …, learnt too.
        distinct: whether a row's cells tell it from others, so that the same cells twice are the same person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    subject: str | None = None
    split: str | None = None
    names: tuple[str, ...] | None = None
    missing: dict[str, tuple[str, ...]] = {}
    categorical: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    time: str | None = None
    event: str | None = None
    signed_time: str | None = None
    columns: tuple[Column, ...] = ()
    causes: tuple[str, ...] = ()
    distinct: bool = True

    @field_validator("target", "ignore", "names", "categorical", "join", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        value = _several(value)
        return value if value is None else tuple(str(name) for name in value)

    @field_validator("missing", mode="before")
    @classmethod
    def _codes(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("a column and its codes, such as {Insulin: [0]}")
        return {str(name): tuple(level_of(str(code)) for code in _several(codes)) for name, codes in value.items()}

    def __call__(self, source: Mapping[str, Any]) -> np.ndarray:
        """One row, column → cell or value.

        Raises:
            DataError: it lacks columns that the model was trained on, or every value of it is missing.
        """
        row = row_of(source)
        self.need(row)
        return np.array([column.value(row[column.name]) for column in self.columns], np.float32)

    def values(self, table: pd.DataFrame) -> np.ndarray:
        """float32 (N, C) of many rows of cells.

        Raises:
            DataError: columns are missing.
        """
        self.need(list(table.columns))
        found = [column.values(table[column.name].tolist()) for column in self.columns]
        return np.stack(found, axis=1) if found else np.zeros((len(table), 0), np.float32)

    def need(self, names: Any) -> None:
        """Refuse rows that lack columns."""
        if lacking := [column.name for column in self.columns if column.name not in names]:
            raise DataError(
                f"these rows have no column {', '.join(map(repr, lacking))}",
                why="the model was trained on it, and leaving it out unseen would change the answer",
                fix="add it; where its values are not known, with blank cells",
            )

    def fitted(self, table: pd.DataFrame, features: Sequence[str]) -> tuple[TablePreprocess, dict[str, str]]:
        """The same with its `columns` learnt from training rows; and column → why it was left out.

        Raises:
            DataError: none of the columns says anything.
            RecipeError: a setting names a column that is not there.
        """
        known(list(table.columns), [name for name in self.missing if name != EVERY], "inputs.missing")
        known(list(table.columns), self.categorical, "inputs.categorical")
        columns: list[Column] = []
        dropped: dict[str, str] = {}
        for name in features:
            codes = (*self.missing.get(name, ()), *self.missing.get(EVERY, ()))
            found, why = fit_column(name, table[name].tolist(), codes=codes, level=name in self.categorical)
            if found is None:
                dropped[name] = why
            else:
                columns.append(found)
        if not columns:
            raise DataError(
                "none of the columns says anything",
                why="; ".join(f"{name}: {why}" for name, why in list(dropped.items())[:5]),
                fix="check the file, and inputs.missing",
            )
        return self.model_copy(update={"columns": tuple(columns)}), dropped

    def settings(self) -> dict[str, Any]:
        """What the user said, without what was learnt: another split learns it anew."""
        learnt = {"columns", "causes", "distinct"}
        return self.model_dump(mode="json", exclude=learnt, exclude_defaults=True)

    def refused(self, values: np.ndarray) -> str:
        """Why a row ``(C,)`` gets no confident answer; empty where it may have one."""
        if np.isnan(values).all():
            return "every value is missing"
        said = []
        for column, value in zip(self.columns, values.tolist(), strict=True):
            if column.kind == "number" and not math.isnan(value):
                apart = abs(value - column.mean) / column.sd
                if apart > FAR and not column.low <= value <= column.high:
                    said.append(
                        f"{column.name} = {column.cell(value)} lies {apart:.0f} standard deviations from the mean of "
                        f"the training rows ({column.mean:.4g}; they go from {column.low:.4g} to {column.high:.4g})"
                    )
        return "; ".join(said)

    def unknown_levels(self, values: np.ndarray) -> list[str]:
        """The columns in which a row ``(C,)`` has a level that training did not have."""
        pairs = zip(self.columns, values.tolist(), strict=True)
        return [column.name for column, value in pairs if column.kind == "level" and value == column.unknown]
