"""A Run judged on other data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import suwen
from suwen.core.errors import DataError, LeakError


def test_it_repeats_the_figures_of_the_runs_own_test_split(run: Path, films: Path, tmp_path: Path) -> None:
    found = suwen.evaluate(run, films, resamples=50, out=tmp_path / "report", quiet=True)
    own = json.loads((run / "metrics.json").read_text())["splits"]["test"]["metrics"]
    assert found["splits"]["test"]["metrics"] == own
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == found
    assert "<html" in (tmp_path / "report" / "report.html").read_text()


def test_a_class_folder_tree_without_splits_is_judged_whole(run: Path, films: Path) -> None:
    assert suwen.evaluate(run, films / "test", resamples=0, quiet=True)["splits"]["test"]["n"] == 40


def test_images_it_was_trained_on_are_refused(run: Path, films: Path) -> None:
    with pytest.raises(LeakError, match="80 of 80 images") as refused:
        suwen.evaluate(run, films / "train", quiet=True)
    assert "--allow-leak" in refused.value.fix
    assert suwen.evaluate(run, films / "train", allow_leak=True, resamples=0, quiet=True)["splits"]["test"]["n"] == 80


def test_labels_it_does_not_know_are_refused(run: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "nodule").mkdir()
    (tmp_path / "nodule" / "a.png").write_bytes((films / "test" / "disc" / "000.png").read_bytes())
    with pytest.raises(DataError, match="nodule"):
        suwen.evaluate(run, tmp_path, quiet=True)


def test_an_absent_split_is_refused(run: Path, films: Path) -> None:
    with pytest.raises(DataError, match="val"):
        suwen.evaluate(run, films / "test", split="val", quiet=True)
