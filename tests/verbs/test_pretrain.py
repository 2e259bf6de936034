"""A pretraining from unlabelled files to a Run that a fine-tuning starts from."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import DataError, LeakError, RecipeError, TrainingError

TINY = ("training.epochs=2", "training.batch_size=16", "evaluation.resamples=20")
OBJECTIVES = {
    "image-contrastive": "timm:test_resnet",
    "image-self-distillation": "timm:test_resnet",
    "image-foreign-patches": "timm:test_resnet",
    "image-masked": "suwen:vit-narrow",
}


def pretrain(objective: str, data: Path, out: Path, *more: str, **keywords: Any) -> Any:
    return suwen.pretrain(
        objective, data, encoder=OBJECTIVES[objective], set=(*TINY, *more), out=out, quiet=True, **keywords
    )


def metrics_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


@pytest.fixture(scope="module")
def loose(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training films without their labels."""
    folder = tmp_path_factory.mktemp("loose")
    for number, file in enumerate(sorted((films / "train").rglob("*.png"))):
        shutil.copy(file, folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def base(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "base"
    pretrain("image-contrastive", films, out)
    return out


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_goes_from_unlabelled_files_to_a_run(objective: str, loose: Path, tmp_path: Path) -> None:
    model = pretrain(objective, loose, tmp_path / "run")
    found = metrics_of(tmp_path / "run")
    assert found["splits"] == {} and found["pretraining"]["effective_rank"] > 1.5
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(row["val_effective_rank"] > 1.5 and row["val_spread"] > 0 for row in rows)
    answer = suwen.predict(tmp_path / "run", loose / "0.png")[0]
    assert len(answer.answer) == model.encoder.width and answer.task == objective


def test_labels_are_only_looked_at_and_test_is_not(base: Path, films: Path) -> None:
    found = metrics_of(base)
    assert set(found["splits"]) == {"val"}
    assert {"knn", "untrained, linear", "untrained, knn", "majority", "logistic-pixels"} == set(found["baselines"])
    rows = [json.loads(line) for line in (base / "log.jsonl").read_text().splitlines()]
    assert all(0 <= row["val_linear_auroc"] <= 1 and 0 <= row["val_knn_auroc"] <= 1 for row in rows)
    counts = found["data"]["counts"]
    assert counts["test"] == {"clear": 20, "disc": 20}
    seen = load_file(base / "seen.safetensors")["digests"]
    assert len(seen) == sum(counts["train"].values()) + sum(counts["val"].values())


def test_the_report_says_what_the_figures_are(base: Path) -> None:
    page = (base / "report.html").read_text()
    assert "pretrained without labels" in page and "untrained, linear" in page


def test_a_task_starts_from_the_pretrained_weights(base: Path, films: Path, tmp_path: Path) -> None:
    model = suwen.finetune(
        "image-classification", films, encoder=f"run:{base}", adapt="head", set=TINY, out=tmp_path / "run", quiet=True
    )
    theirs = load_file(base / "model.safetensors")
    ours = model.encoder.state_dict()
    assert all(np.array_equal(theirs[f"encoder.{key}"], value.numpy()) for key, value in ours.items())


def test_what_was_pretrained_on_is_no_test_data_afterwards(base: Path, films: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned"
    shutil.copytree(films, turned)
    (turned / "train").rename(turned / "other")
    (turned / "test").rename(turned / "train")
    (turned / "other").rename(turned / "test")
    with pytest.raises(LeakError, match="were used to train or choose"):
        suwen.finetune(
            "image-classification", turned, encoder=f"run:{base}", set=TINY, out=tmp_path / "run", quiet=True
        )


def test_labels_can_come_from_elsewhere(loose: Path, films: Path, tmp_path: Path) -> None:
    pretrain("image-contrastive", loose, tmp_path / "run", probe=films)
    assert metrics_of(tmp_path / "run")["splits"]["val"]["n"] == 40


def test_the_same_seed_gives_the_same_weights(base: Path, films: Path, tmp_path: Path) -> None:
    pretrain("image-contrastive", films, tmp_path / "again")
    first, second = load_file(base / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "image-foreign-patches"])
def test_a_killed_pretraining_goes_on_to_the_same_weights(objective: str, loose: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "suwen", "pretrain", objective, str(loose), "--encoder", OBJECTIVES[objective]]
    words += ["--batch-size", "16", "--epochs", "12", "--set", "training.checkpoint_seconds=0", "--quiet", "--out"]
    process = subprocess.Popen([*words, str(tmp_path / "killed")])
    checkpoint = tmp_path / "killed" / "checkpoints" / "last.safetensors"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.is_file()
    for name in ("killed", "whole"):
        subprocess.run([*words, str(tmp_path / name)], check=True)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("killed", "whole"))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_one_image_repeated_is_refused(tmp_path: Path) -> None:
    (tmp_path / "same").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8)
    for number in range(20):
        Image.fromarray(pixels).save(tmp_path / "same" / f"{number}.png")
    with pytest.raises(DataError, match="all 20 pictures in train are the same"):
        pretrain("image-contrastive", tmp_path / "same", tmp_path / "run")


def test_black_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "black").mkdir()
    for number in range(20):
        Image.new("L", (32, 32), number % 2).save(tmp_path / "black" / f"{number}.png")
    with pytest.raises(DataError, match="all 20 pictures in train are of one shade"):
        pretrain("image-contrastive", tmp_path / "black", tmp_path / "run")


def test_fewer_images_than_a_batch_are_refused(loose: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="80 images to learn from, in batches of 128") as refused:
        suwen.pretrain("image-contrastive", loose, out=tmp_path / "run", quiet=True)
    assert "--batch-size 20" in refused.value.fix


def test_a_collapse_stops_the_training(loose: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"collapsed|the loss became"):
        pretrain("image-self-distillation", loose, tmp_path / "run", "training.learning_rate=100", "training.epochs=20")
    assert not (tmp_path / "run" / "model.json").exists()


def test_objectives_and_questions_are_told_apart(films: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is a pretraining objective") as refused:
        suwen.finetune("image-contrastive", films, out=tmp_path / "run", quiet=True)
    assert "suwen pretrain image-contrastive" in refused.value.fix
    with pytest.raises(RecipeError, match="learns from labels"):
        suwen.pretrain("image-classification", films, out=tmp_path / "run", quiet=True)
