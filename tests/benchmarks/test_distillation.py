from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.distillation import GRID, _auroc_verdict, _speed_verdicts, best, distillation
from benchmarks.images import PNEUMONIA
from benchmarks.results import read_result


def test_the_setting_is_chosen_on_validation() -> None:
    tried = [
        {"temperature": 2.0, "alpha": 0.5, "val": 0.97, "test": 0.99},
        {"temperature": 4.0, "alpha": 0.9, "val": 0.98, "test": 0.90},
    ]
    assert best(tried) == (4.0, 0.9) and len(set(GRID)) == len(GRID)


def test_the_distance_to_the_teacher_is_a_mean_over_seeds() -> None:
    found = [
        {"teacher": {"test": 0.98}, "taught": {"test": 0.975}, "alone": {"test": 0.95}},
        {"teacher": {"test": 0.96}, "taught": {"test": 0.946}, "alone": {"test": 0.95}},
    ]
    verdict = _auroc_verdict(found)
    assert verdict.met and verdict.value == "+0.95 points" and verdict.beside.endswith("+2.00 points")
    found[0]["taught"]["test"] = 0.97
    assert not _auroc_verdict(found).met


def test_both_batch_sizes_are_judged_with_the_same_engine_on_both_sides() -> None:
    speed = {
        "torch": {("teacher", 1): 4.0, ("taught", 1): 1.0, ("teacher", 64): 30.0, ("taught", 64): 10.0},
        "onnx": {("teacher", 1): 3.0, ("taught", 1): 0.5, ("teacher", 64): 30.0, ("taught", 64): 5.0},
    }
    one, many = _speed_verdicts(speed)
    assert one.met and one.value == "4.0×" and one.beside == "both in onnx 6.0×"
    assert not many.met and many.value == "3.0×"


@pytest.mark.slow
@pytest.mark.skipif(not PNEUMONIA.is_file(), reason=f"PneumoniaMNIST is not at {PNEUMONIA}")
def test_a_quick_run_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    distillation(data=PNEUMONIA, seeds=1, runs=tmp_path / "runs", seconds=0.0, quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "distillation.json")
    assert [row[0] for row in written.rows] == ["teacher", "student, taught", "student, alone"]
    assert len(written.figures["tried"]) == 2
