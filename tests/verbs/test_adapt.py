"""Adapted Runs from files to answers: the verbs cannot tell them from others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import NameUnknown
from suwen.verbs.finetune import full_recipe

SHORT = ("training.epochs=2", "training.batch_size=16", "evaluation.resamples=20", "training.lora.rank=2")


@pytest.fixture(scope="module")
def lora(run: Path, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapted") / "lora"
    suwen.finetune("image-classification", films, encoder=f"run:{run}", adapt="lora", set=SHORT, out=out, quiet=True)
    return out


def test_predict_evaluate_and_explain_take_a_run_of_adapters(lora: Path, films: Path, tmp_path: Path) -> None:
    (answer,) = suwen.predict(lora, films / "test" / "disc" / "000.png")
    assert answer.model.startswith("lora@") and set(answer.probabilities) == {"clear", "disc"}
    figures = suwen.evaluate(lora, films, quiet=True, resamples=20)
    own = json.loads((lora / "metrics.json").read_text())["splits"]["test"]["metrics"]
    assert figures["splits"]["test"]["metrics"]["auroc"]["value"] == own["auroc"]["value"] > 0.9
    found = suwen.load(lora).explain(films / "test" / "disc" / "000.png", out=tmp_path / "why.png")
    assert found.attribution.shape == (32, 32) and (tmp_path / "why.png").is_file()


def test_the_run_is_small_and_names_its_base(lora: Path, run: Path) -> None:
    kept, whole = (load_file(folder / "model.safetensors") for folder in (lora, run))
    own = [key for key in kept if key.startswith("encoder.") and ".lora_" not in key]
    assert own and all(whole[key].ndim < 2 for key in own), "norm layers alone are kept whole"
    assert sum(value.size for value in kept.values()) < 0.1 * sum(value.size for value in whole.values())
    base = json.loads((lora / "model.json").read_text())["encoder"]["base"]
    assert (lora / base["path"]).resolve() == run.resolve()
    assert base["sha256"] == json.loads((run / "model.json").read_text())["weights_sha256"]


def test_merged_it_answers_alike(lora: Path, films: Path) -> None:
    model = suwen.load(lora)
    merged, film = model.merged(), films / "test" / "clear" / "000.png"
    first, second = model.predict(film)[0].probabilities, merged.predict(film)[0].probabilities
    np.testing.assert_allclose([first[key] for key in first], [second[key] for key in first], atol=1e-5)


def test_neighbours_answer_and_the_report_says_what_they_hold(run: Path, films: Path, tmp_path: Path) -> None:
    out = tmp_path / "knn"
    suwen.finetune(
        "image-classification", films, encoder=f"run:{run}", adapt="head", head="knn", set=SHORT, out=out, quiet=True
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["splits"]["test"]["metrics"]["auroc"]["value"] > 0.9
    assert "holds features and labels of its training images" in (out / "report.html").read_text()
    assert suwen.load(out).predict(films / "test" / "disc" / "000.png")[0].answer == "disc"


def test_options_of_the_tasks_own_head_do_not_reach_another() -> None:
    base = {"task": "image-classification"}
    assert full_recipe(base).head.options and full_recipe(base).head.name == "classify"
    assert full_recipe(base, {"head": {"name": "knn"}}).head.options == {}


def test_an_unknown_adaptation_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(NameUnknown, match="adaptation"):
        suwen.finetune("image-classification", tmp_path / "nowhere", adapt="lorra", out=tmp_path / "run")
