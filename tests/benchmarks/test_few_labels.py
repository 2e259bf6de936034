from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.few_labels import ARMS, CONTROLS, JUDGED, LABELS, POINTS, SCRATCH, few_labels, only, recipe_of, verdict
from benchmarks.images import generate_npz, read_npz
from benchmarks.results import read_result


def figures_of(**aurocs: float) -> dict[str, Any]:
    return {name: [{"auroc": aurocs.get(name, 0.8)}] for name in (*ARMS, *CONTROLS)}


def test_the_gain_is_judged_by_the_arm_that_was_named_however_the_others_fare() -> None:
    better = {**figures_of(), JUDGED: [{"auroc": 0.80}, {"auroc": 0.87}], SCRATCH: [{"auroc": 0.78}, {"auroc": 0.82}]}
    found = verdict(better)
    assert found.met is True and found.value.startswith("+3.5 points") and POINTS == 3.0
    others = {**figures_of(**{"pretrained, linear": 0.99}), JUDGED: [{"auroc": 0.82}]}
    assert verdict(others).met is False and "0.990" in verdict(others).beside


def test_an_arm_learns_only_from_the_rows_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = only(read_npz(generate_npz(tmp_path / "films.npz", 60, 28)), np.array([3, 5]))
    assert dataset.where("train").tolist() == [3, 5]
    assert not len(dataset.where("val")) and not len(dataset.where("test"))


def test_steps_are_those_asked_for_whether_or_not_there_are_unlabelled_films() -> None:
    start = {"task": "image-classification", "training": {"batch_size": 32}}
    for unlabelled, per_epoch in ((0, 4), (4608, 48)):  # batches of 32 labelled, or of 96 unlabelled films
        recipe = recipe_of(start, steps=240, rows=LABELS, unlabelled=unlabelled)
        assert recipe.training.epochs * per_epoch == 240


@pytest.mark.slow
def test_a_quick_run_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few_labels(data=generate_npz(tmp_path / "films.npz", 400, 28), on="test", quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "few-labels.json")
    assert [row[0] for row in written.rows] == ["(pretraining)", *ARMS, *CONTROLS]
    assert all(0 <= figures[0]["auroc"] <= 1 for name, figures in written.figures.items() if name in ARMS)
