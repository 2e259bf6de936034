"""Which column of a table is what: what is to be predicted, whose row it is, and what it is predicted from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from suwen.core.errors import DataError, RecipeError
from suwen.data.table.cells import Cells, number_of

TARGETS = ("target", "label", "outcome", "y")
SUBJECTS = ("subject_id", "subject", "patient_id", "patient", "patientid", "pat_id", "person_id", "pid", "mrn")
SPLIT = "split"


class Settings(Protocol):
    """What the user says of columns (`suwen.data.table.preprocess.TablePreprocess`)."""

    @property
    def ignore(self) -> tuple[str, ...]:
        """Columns to leave out."""
        ...

    @property
    def subject(self) -> str | None:
        """The column that names the person."""
        ...

    @property
    def split(self) -> str | None:
        """The column of splits."""
        ...


@dataclass(frozen=True)
class Roles:
    """What each column is.

    Attributes:
        targets: what is to be predicted.
        subject, split: None where there is none.
        features: what it is predicted from.
        said: sentences for the data check: what was taken for what, and why.
    """

    targets: tuple[str, ...]
    subject: str | None
    split: str | None
    features: tuple[str, ...]
    said: tuple[str, ...]


def find_roles(cells: Cells, settings: Settings, targets: Sequence[str], why: str) -> Roles:
    """The roles of all columns.

    Args:
        cells: the table.
        settings: what the user says.
        targets: as `find_target` gives them.
        why: how they were found.
    """
    names = cells.columns
    known(names, [*settings.ignore, *filter(None, (settings.subject, settings.split))], "inputs")
    lower = {name.lower(): name for name in reversed(names)}
    subject = settings.subject or next((lower[name] for name in SUBJECTS if name in lower), None)
    split = settings.split or lower.get(SPLIT)
    used = {*targets, *settings.ignore, *filter(None, (subject, split))}
    counting = [name for name in names if name not in used and counts_rows(cells.table[name])]
    said = [why] if why else []
    if subject is not None and subject not in targets:
        said.append(f"rows of one {subject!r} are of one person and stay in one split")
    if counting:
        said.append(f"left out, since they only number the rows: {', '.join(map(repr, counting))}")
    if not cells.header:
        said.append(f"{cells.file.name} names no columns: --set inputs.names=[…] does")
    features = tuple(name for name in names if name not in used and name not in counting)
    if not features:
        raise DataError(
            f"{cells.file} has no column to predict from",
            why=f"its columns are {', '.join(names)}, and all of them are targets, names of persons, or left out",
            fix="--set inputs.ignore=[…] with fewer names",
        )
    return Roles(tuple(targets), subject, split, features, tuple(said))


def find_target(cells: Cells, asked: Sequence[str] | None) -> tuple[tuple[str, ...], str]:
    """The column to predict, and a sentence on why: the one asked for, one of the usual names, or the last one.

    Raises:
        RecipeError: there is no such column.
    """
    names = cells.columns
    if asked:
        known(names, asked, "inputs.target")
        return tuple(asked), ""
    usual = [name for wanted in TARGETS for name in names if name.lower() == wanted]
    found = usual[0] if usual else names[-1]
    how = "by its name" if usual else "since it is the last column"
    return (found,), f"{found!r} is what is predicted, {how}: --set inputs.target=COLUMN names another"


def known(names: Sequence[str], asked: Iterable[str], place: str) -> None:
    """Refuse columns that are not there.

    Raises:
        RecipeError: the nearest names are offered.
    """
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
            offer = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(names)}"
            raise RecipeError(f"{place} names the column {name!r}, which is not there", why=offer, fix="correct it")


def counts_rows(column: Iterable[str]) -> bool:
    """Whether a column holds 0, 1, 2 … or 1, 2, 3 … and so only numbers the rows; of two rows it cannot be told."""
    values = [number_of(text) for text in column]
    if len(values) < 3 or values[0] not in (0.0, 1.0) or None in values:
        return False
    steps = np.diff(np.array(values, np.float64))
    return bool((steps == 1).all())
