from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.images import generate_npz
from benchmarks.quality import RECIPE, quality
from benchmarks.results import read_result

from suwen.core.errors import RunError
from suwen.core.recipe import read_recipe
from suwen.verbs.finetune import full_recipe


def test_the_recipe_file_is_valid_and_chooses_nothing_on_test() -> None:
    recipe = full_recipe(read_recipe(RECIPE))
    assert recipe.encoder.weights is None and recipe.training.keep in ("best", "last")
    assert not recipe.data.allow_leak


@pytest.mark.slow
def test_a_finished_seed_is_read_and_other_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data, runs = generate_npz(tmp_path / "films.npz", 200, 28), tmp_path / "runs"
    quality(data=data, runs=runs, quick=True, results=tmp_path)
    first = read_result(tmp_path / "quick" / "quality.json").figures["seeds"]
    metrics = json.loads((runs / "quick" / "seed-0" / "metrics.json").read_text(encoding="utf-8"))
    assert first[0]["test"] == metrics["splits"]["test"]["metrics"]

    monkeypatch.setattr(
        "suwen.finetune", lambda *_, **__: pytest.fail("a finished seed was trained again"), raising=False
    )
    quality(data=data, runs=runs, quick=True, results=tmp_path)
    assert read_result(tmp_path / "quick" / "quality.json").figures["seeds"] == first

    with pytest.raises(RunError, match="other settings"):
        quality(data=data, runs=runs, quick=True, set=["training.batch_size=16"], results=tmp_path)


@pytest.mark.slow
def test_mean_and_spread_are_those_of_the_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = generate_npz(tmp_path / "films.npz", 200, 28)
    changes = ["training.epochs=1", "encoder.name=timm:test_resnet", "evaluation.resamples=20"]
    quality(data=data, runs=tmp_path / "runs", seeds=2, set=changes, results=tmp_path)
    written = read_result(tmp_path / "quality.json")
    auroc = [seed["test"]["auroc"]["value"] for seed in written.figures["seeds"]]
    assert written.verdicts[0].value == f"{np.mean(auroc):.3f} ± {np.std(auroc, ddof=1):.3f}"
