"""The tables of ``python -m benchmarks survival``: NHANES I and FLCHAIN, as rows of numbers with times."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.results import ROOT
from suwen.core.errors import DataError
from suwen.data.arrays import ArrayDataset

TABLES = ROOT.parent / "shared" / "data" / "tables"


@dataclass(frozen=True)
class Question:
    """One table: its rows, and the horizons asked about, in its own unit of time."""

    name: str
    data: ArrayDataset
    horizons: tuple[float, ...]
    unit: str


def nhanes(folder: Path) -> Question:
    """NHANES I, mortality: 18 columns; the sign of y carries the event (positive: death at that time, in years)."""
    inputs = pd.read_csv(_find(folder, "nhanes1_X.csv"), index_col=0)
    times = pd.read_csv(_find(folder, "nhanes1_y.csv"), index_col=0)["y"].reindex(inputs.index)
    targets = np.stack([times.abs(), times > 0], axis=1).astype(np.float64)
    return Question("NHANES I", _dataset(_one_hot(inputs, "Race"), targets), (5.0, 10.0, 15.0), "years")


def flchain(folder: Path) -> Question:
    """FLCHAIN, mortality: `chapter` (the cause of death) leaks the outcome and is left out; 1,350 creatinines are
    blank; three people died on day 0. Light chains and creatinine span orders of magnitude: their logarithms are
    added."""
    table = pd.read_csv(_find(folder, "flchain.csv"))
    inputs = table[["age", "sample.yr", "kappa", "lambda", "flc.grp", "creatinine", "mgus"]].assign(
        male=(table["sex"] == "M").astype(float),
        log_kappa=np.log(table["kappa"]),
        log_lambda=np.log(table["lambda"]),
        log_creatinine=np.log(table["creatinine"]),
    )
    targets = table[["futime", "death"]].to_numpy(np.float64)
    return Question("FLCHAIN", _dataset(inputs, targets), (1826.0, 3652.0), "days")


def fold_of(data: ArrayDataset, folds: int, seed: int) -> np.ndarray:
    """(N,) number of each row's fold, people together."""
    subjects, member = np.unique(data.subjects, return_inverse=True)
    found: np.ndarray = (np.random.default_rng(seed).permutation(len(subjects)) % folds)[member]
    return found


def _dataset(inputs: pd.DataFrame, targets: np.ndarray) -> ArrayDataset:
    splits = np.full(len(inputs), "")
    columns = [str(name) for name in inputs.columns]
    return ArrayDataset(
        inputs=inputs.to_numpy(np.float32), targets=targets, splits=splits, labels=("death",), columns=columns
    )


def _one_hot(inputs: pd.DataFrame, column: str) -> pd.DataFrame:
    levels = {f"{column}={level:g}": (inputs[column] == level).astype(float) for level in inputs[column].unique()}
    return inputs.drop(columns=column).assign(**levels)


def _find(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise DataError(f"no {folder / name}", why="the benchmark reads it", fix="--tables FOLDER")
    return folder / name
