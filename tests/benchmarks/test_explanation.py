from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.explanation import SIDE, STRIDE, WINDOW, contestants, explanation, make_model
from benchmarks.results import read_result

from suwen.explanation.image_parts import ImageParts


def test_occlusion_evaluates_about_as_many_samples_as_the_others() -> None:
    assert 500 <= len(ImageParts.windows(torch.zeros(1, SIDE, SIDE), WINDOW, STRIDE)) < 550


def test_every_method_is_timed_against_the_same_samples_one_by_one_and_against_captum() -> None:
    image = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    found = contestants(make_model(), image)
    assert set(found) == {"lime", "kernel-shap", "occlusion"}
    assert all(list(runners) == ["batched", "one by one", "captum"] for runners in found.values())


@pytest.mark.slow
def test_a_quick_run_measures_both_parts(tmp_path: Path) -> None:
    explanation(quick=True, results=tmp_path, runs=tmp_path / "runs")
    written = read_result(tmp_path / "quick" / "explanation.json")
    for found in written.figures["speed"].values():
        assert found["apart"] < 1e-3 * max(1.0, found["peak"])
    assert written.figures["speed"]["occlusion"]["apart_from_captum"] < 1e-4
    truth = written.figures["truth"]
    assert truth["best"] in truth["methods"] and "attention-rollout" in truth["skipped"]
    assert all(0 <= figures["test"]["hit"]["value"] <= 1 for figures in truth["methods"].values())
