"""PhysioNet/CinC 2012 through suwen's own path: the raw zip → a store → derived variables → features at 48 hours."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.results import ROOT
from suwen.core.errors import DataError
from suwen.data.records.columns import Columns, build_columns
from suwen.data.records.derived.derive import PREFIX, derive
from suwen.data.records.derived.formulas import FORMULAS
from suwen.data.records.derived.meanings import meanings_of
from suwen.data.records.features import Features
from suwen.data.records.kernels import DAY
from suwen.verbs.records import import_

PHYSIONET = ROOT.parent / "shared" / "data" / "physionet2012"
BEGAN = int(np.datetime64("2000-01-01", "us").astype(np.int64))
"""When every stay begins in the store, see ``mappings/physionet2012.yaml``."""

HOUR = DAY // 24
EVERY = slice(None)
DIED = "IN_HOSPITAL_DEATH//1"
SCORES = ("SAPS-I", "SOFA")

MEASURED = (
    "Age", "Height", "Weight", "GENDER//F", "GENDER//M", "ICU_TYPE//1", "ICU_TYPE//2", "ICU_TYPE//3", "ICU_TYPE//4",
    "Albumin", "ALP", "ALT", "AST", "Bilirubin", "BUN", "Cholesterol", "Creatinine", "DiasABP", "FiO2", "GCS",
    "Glucose", "HCO3", "HCT", "HR", "K", "Lactate", "Mg", "MAP", "MechVent", "Na", "NIDiasABP", "NIMAP", "NISysABP",
    "PaCO2", "PaO2", "pH", "Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI", "TroponinT", "Urine", "WBC",
)  # fmt: skip
"""What may be looked at: the descriptors and the 37 variables of the challenge. Scores, length of stay and survival are
no part of it, wherever they stand in time."""

WARDS = {"1": "coronary care", "2": "cardiac surgery", "3": "medical", "4": "surgical"}


class Sight(NamedTuple):
    """One look at a stay: when, how far back, and what of it."""

    hours: int
    windows: tuple[str, ...]
    aggregates: tuple[str, ...]


SIGHTS = (
    Sight(48, ("all",), ("count", "last", "first", "mean", "min", "max", "std", "slope", "since", "held")),
    Sight(48, ("6h", "24h"), ("count", "mean", "min", "max")),
    Sight(24, ("all",), ("last", "mean", "min", "max")),
)
"""The whole stay, its last hours, and its first day as it looked then."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stays:
    """The stays of one set.

    Attributes:
        columns: the events, the derived ones among them.
        died: bool (N,), in hospital.
        about: N rows: ``sex``, ``age``, ``ward``, and the published scores, which are no features.
        labels: int64 (N, 2), subject and the end of the first 48 hours.
        notes: what was counted on the way.
    """

    columns: Columns
    died: np.ndarray
    about: pd.DataFrame
    labels: np.ndarray
    notes: dict[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.died)


def read_stays(folder: Path, name: str, work: Path, *, some: slice = EVERY) -> Stays:
    """One set, from its zip.

    Args:
        folder: has ``set-NAME.zip`` and ``Outcomes-NAME.txt``.
        name: ``a``, ``b`` or ``c``.
        work: where its store is put, and found again.
        some: which of its stays, by their order.

    Raises:
        DataError: the files are not there.
    """
    columns = build_columns(_store(folder, name, work))
    derived = derive(columns, meanings_of(columns, "physionet2012"))
    value = {code: of_each(columns, code) for code in ("Age", "GENDER//F", "GENDER//M", *SCORES)}
    wards = {ward: ~np.isnan(of_each(columns, f"ICU_TYPE//{ward}", present=True)) for ward in WARDS}
    female = ~np.isnan(of_each(columns, "GENDER//F", present=True))
    about = pd.DataFrame({"age": value["Age"], **{score: value[score] for score in SCORES}})
    about["sex"] = np.where(female, "F", "M")
    about["ward"] = np.select(list(wards.values()), [WARDS[ward] for ward in wards], "")
    about["age"] = pd.cut(about["age"], [0, 50, 65, 80, 200], right=False, labels=["<50", "50-64", "65-79", "80+"])
    about["age"] = about["age"].astype(str)
    died = ~np.isnan(of_each(columns, DIED, present=True))
    labels = np.stack([columns.subjects, np.full(len(died), BEGAN + 48 * HOUR)], axis=1)
    return Stays(
        columns=derived.columns,
        died=died[some],
        about=about[some].reset_index(drop=True),
        labels=labels[some],
        notes={"events": len(columns), "derived": derived.events, "impossible": derived.impossible},
    )


class StayFeatures:
    """The features of every `Sight`, of these codes and of what is derived; what is kept is learned when fitting."""

    def __init__(self, sights: Sequence[Sight] = SIGHTS, codes: Sequence[str] = MEASURED) -> None:
        self.sights, self.codes = sights, codes

    def fit(self, stays: Stays) -> StayFeatures:
        """Learn which codes and columns to keep: those that 20 stays have, and that are not all the same."""
        codes = [
            code for code in (*self.codes, *(PREFIX + each.name for each in FORMULAS)) if code in stays.columns.numbers
        ]
        self._made = [
            Features(
                stays.columns, windows=sight.windows, aggregates=sight.aggregates, codes=codes, min_subjects=20,
                output="dense",
            ).fit(_at(stays, sight))
            for sight in self.sights
        ]  # fmt: skip
        self._kept = np.ones(sum(len(made.get_feature_names_out()) for made in self._made), bool)
        found = self.transform(stays)
        low, high = (np.where(np.isnan(found), fill, found) for fill in (np.inf, -np.inf))
        self._kept = low.min(axis=0) < high.max(axis=0)
        return self

    def transform(self, stays: Stays) -> np.ndarray:
        """float32 (N, features), NaN where nothing is known."""
        parts = [
            made.set_params(store=stays.columns).transform(_at(stays, sight))
            for made, sight in zip(self._made, self.sights, strict=True)
        ]
        return np.concatenate(parts, axis=1)[:, self._kept]

    @property
    def names(self) -> list[str]:
        """``CODE|AGGREGATE|WINDOW@HOUR`` of each column."""
        every = [
            f"{name}@{sight.hours}h"
            for made, sight in zip(self._made, self.sights, strict=True)
            for name in made.get_feature_names_out()
        ]
        return [name for name, kept in zip(every, self._kept, strict=True) if kept]


def _at(stays: Stays, sight: Sight) -> np.ndarray:
    labels = stays.labels.copy()
    labels[:, 1] = BEGAN + sight.hours * HOUR
    return labels


def _store(folder: Path, name: str, work: Path) -> Path:
    """The store of a set; imported unless it is there."""
    files = [folder / f"set-{name}.zip", folder / f"Outcomes-{name}.txt"]
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise DataError(
            f"{' and '.join(absent)} not found",
            why="the challenge's files are not part of suwen",
            fix="--data FOLDER, with those of https://physionet.org/content/challenge-2012/1.0.0/",
        )
    store = work / f"store-{name}"
    with tempfile.TemporaryDirectory(dir=work) as source:
        for file in files:  # of one set only: the other is not to be looked at
            (Path(source) / file.name).symlink_to(file.resolve())
        import_(source, "physionet2012", out=store, quiet=True)
    return store


def of_each(columns: Columns, code: str, *, present: bool = False) -> np.ndarray:
    """float64 (S,): the value of each subject's last event of a code (1 if `present` is asked for), NaN without one."""
    found = np.full(len(columns.subjects), np.nan)
    if code in columns.numbers:
        events = np.flatnonzero(columns.codes == columns.numbers[code])
        owners = np.searchsorted(columns.offsets, events, side="right") - 1
        found[owners] = 1.0 if present else columns.values[events]
    return found
