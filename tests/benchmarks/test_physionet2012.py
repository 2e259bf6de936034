from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.physionet2012 import best_threshold, event_one, physionet2012
from benchmarks.results import read_result
from benchmarks.stay_models import Ranked, Stack, out_of_fold
from benchmarks.stays import BEGAN, HOUR, MEASURED, SCORES, StayFeatures, read_stays
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import precision_score, recall_score

from benchmarks import stay_models

cases = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])), min_size=2, max_size=30)


@settings(max_examples=80, deadline=None)
@given(cases)
def test_event_one_is_the_smaller_of_recall_and_precision(rows: list[tuple[bool, float]]) -> None:
    died, chance = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    said = chance >= 0.5
    wanted = min(recall_score(died, said, zero_division=0), precision_score(died, said, zero_division=0))
    assert event_one(died, said)[0] == pytest.approx(wanted)
    twice = np.random.default_rng(0).integers(0, 3, len(rows))
    drawn = np.repeat(np.arange(len(rows)), twice)
    again = event_one(died, said, twice[None].astype(float))[0]
    assert again == pytest.approx(event_one(died[drawn], said[drawn])[0])


@settings(max_examples=80, deadline=None)
@given(cases)
def test_no_other_threshold_is_better(rows: list[tuple[bool, float]]) -> None:
    died, chance = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    best = max(event_one(died, chance >= cut)[0] for cut in np.unique(chance))
    assert event_one(died, chance >= best_threshold(died, chance))[0] == pytest.approx(best)


def test_the_stack_finds_the_odds_and_gives_nobody_a_negative_vote() -> None:
    rng = np.random.default_rng(0)
    said = rng.normal(size=(40_000, 3))
    died = rng.random(40_000) < expit(0.8 * said[:, 0] + 0.4 * said[:, 1] - 0.3 * said[:, 2] - 1)
    stack = Stack().fit(said, died)
    assert stack.weights[2] == 0 and stack.weights[:2] == pytest.approx([0.8, 0.4], abs=0.05)
    assert stack.probabilities(said).mean() == pytest.approx(died.mean(), abs=1e-3)


def test_holes_are_in_the_middle_and_told_once() -> None:
    table = np.arange(30.0).reshape(10, 3)
    table[:4, 0] = table[:4, 1] = np.nan
    ranked = Ranked().fit(table)
    found = ranked.transform(table)
    assert found.shape == (10, 4) and found[:, 3].tolist() == [1.0] * 4 + [0.0] * 6
    assert (found[:4, :2] == 0).all() and (np.diff(found[:, 2]) > 0).all()


def test_nobody_is_answered_by_a_model_that_saw_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that knows those it saw by heart, and says so."""

    def heart(train: np.ndarray, died: np.ndarray, other: np.ndarray, seed: int) -> np.ndarray:
        return np.isin(other[:, 0], train[:, 0]).astype(float)

    monkeypatch.setitem(stay_models.MEMBERS, "heart", heart)
    table = np.arange(40.0)[:, None]
    found = out_of_fold("heart", table, np.arange(40) % 4 == 0, folds=4, repeats=2, seeds=1)
    assert found.shape == (2, 40) and not found.any()


def test_no_outcome_is_looked_at() -> None:
    outcomes = {"LENGTH_OF_STAY", "MEDS_DEATH", "IN_HOSPITAL_DEATH//0", "IN_HOSPITAL_DEATH//1", *SCORES}
    assert not outcomes & set(MEASURED)


@pytest.mark.slow
def test_features_of_real_stays_end_at_48_hours(shared_data: Path, tmp_path: Path) -> None:
    stays = read_stays(shared_data / "physionet2012", "a", tmp_path, some=slice(0, 300))
    assert (stays.labels[:, 1] == BEGAN + 48 * HOUR).all() and 20 < stays.died.sum() < 70
    features = StayFeatures().fit(stays)
    table = features.transform(stays)
    assert table.shape == (300, len(features.names))
    assert not any(name.startswith(("SAPS", "SOFA", "LENGTH", "IN_HOSP", "MEDS")) for name in features.names)
    archive = zipfile.ZipFile(shared_data / "physionet2012" / "set-a.zip")
    for row in range(5):
        raw = pd.read_csv(archive.open(f"set-a/{stays.labels[row, 0]}.txt"))
        rate = raw.loc[(raw["Parameter"] == "HR") & raw["Value"].between(10, 300), "Value"]
        found = dict(zip(features.names, table[row], strict=True))
        for what, wanted in (
            ("first", rate.iloc[0]),
            ("last", rate.iloc[-1]),
            ("max", rate.max()),
        ):
            assert found[f"HR|{what}|all@48h"] == wanted


@pytest.mark.slow
def test_a_quick_run_does_not_look_at_the_test_set(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("set-a.zip", "Outcomes-a.txt"):
        (folder / name).symlink_to(shared_data / "physionet2012" / name)
    physionet2012(data=folder, quick=True, results=tmp_path)
    result = read_result(tmp_path / "quick" / "physionet2012.json")
    assert result.settings["test"] == "a" and result.figures["test"]["ensemble"]["auroc"]["value"] > 0.6
