from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.results import read_result
from benchmarks.stays import StayFeatures
from benchmarks.yaib import SIGHTS, read_demo, yaib

from suwen.core.errors import DataError


def test_absent_data_is_refused_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="eicu_demo not found"):
        read_demo(tmp_path, tmp_path)


@pytest.mark.slow
def test_stays_and_labels_are_those_of_the_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "yaib_demo" / "mortality24" / "eicu_demo"
    stays = read_demo(shared_data / "yaib_demo", tmp_path)
    labels = pd.read_parquet(folder / "outc.parquet")
    assert len(stays) == len(labels) and stays.died.sum() == labels["label"].sum()
    features = StayFeatures(SIGHTS, ["hr"]).fit(stays)
    table = pd.DataFrame(features.transform(stays), columns=features.names)
    read = pd.read_parquet(folder / "dyn.parquet")
    # two rates of 0 are not possible in the living, and are left out
    raw = read.assign(hr=read["hr"].where(read["hr"] >= 10)).groupby("stay_id")["hr"]
    for name, wanted in (("mean", raw.mean()), ("max", raw.max())):
        np.testing.assert_allclose(np.sort(table[f"hr|{name}|all@24h"].dropna()), np.sort(wanted.dropna()), rtol=1e-5)


@pytest.mark.slow
def test_a_quick_run_judges_every_member(shared_data: Path, tmp_path: Path) -> None:
    yaib(data=shared_data / "yaib_demo", quick=True, results=tmp_path)
    figures = read_result(tmp_path / "quick" / "yaib.json").figures
    assert len(figures) == 4 and all(len(folds) == 2 for folds in figures.values())
    assert all(0.5 < auroc < 1 for folds in figures.values() for auroc, _ in folds)
