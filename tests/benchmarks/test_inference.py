from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.inference import REACH, _answers_verdict, _rows, _speed_verdicts, best, inference
from benchmarks.results import read_result

from suwen.engines.timing import Latency


def timed(torch: float, onnx: float) -> dict[tuple[str, int], Latency]:
    """Torch is better with two threads, onnx with one."""
    return {
        ("torch", 1): Latency(2 * torch, 3.0),
        ("torch", 2): Latency(torch, 1.5),
        ("onnx", 1): Latency(onnx, 1.0),
        ("onnx", 2): Latency(2 * onnx, 2.0),
    }


def test_each_engine_stands_with_its_better_number_of_threads_the_fastest_first() -> None:
    assert list(best(timed(1.0, 0.5)).items()) == [("onnx", (1, Latency(0.5, 1.0))), ("torch", (2, Latency(1.0, 1.5)))]
    rows = _rows(28, {1: timed(1.0, 0.5)})
    assert [(row[2], row[3], row[-1]) for row in rows] == [("onnx", "1", "2.00"), ("torch", "2", "1.00")]


def test_the_fastest_engine_is_judged_against_torch_at_each_size_and_batch() -> None:
    found = {
        28: {"timing": {1: timed(1.0, 0.5), 64: timed(1.0, 2.0)}, "differences": {"onnx 1": 3e-7}},
        224: {"timing": {1: timed(1.0, 0.8), 64: timed(1.0, 0.7)}, "differences": {"onnx 1": 2e-4}},
    }
    verdicts = _speed_verdicts(found, "resnet18")
    assert [row.met for row in verdicts] == [True, None, False, True] and len(REACH) == 4
    assert verdicts[1].value == "1.00× (torch)" and verdicts[2].value == "1.25× (onnx)"
    answers = _answers_verdict(found)
    assert not answers.met and answers.value == "2.0e-04" and "224 px" in answers.beside


@pytest.mark.slow
def test_a_quick_run_goes_all_the_way(tmp_path: Path) -> None:
    inference(quick=True, seconds=0.0, encoder="test_resnet", results=tmp_path)
    written = read_result(tmp_path / "quick" / "inference.json")
    assert {row[2] for row in written.rows} >= {"torch", "frozen"}
    assert written.verdicts[-1].met
