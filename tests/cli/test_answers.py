"""Predictions as JSON lines, CSV and exit codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import suwen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Run on 32 plain images, and two of these images."""
    root = tmp_path_factory.mktemp("answers")
    rng = np.random.default_rng(0)
    for label, grey in (("dark", 60), ("bright", 180)):
        (root / "set" / label).mkdir(parents=True)
        for number in range(24):
            image = np.clip(rng.normal(grey, 20, (32, 32)), 0, 255).astype(np.uint8)
            Image.fromarray(image).save(root / "set" / label / f"{number}.png")
    settings = ("training.epochs=2", "training.batch_size=8", "evaluation.resamples=10")
    suwen.finetune(
        "image-classification", root / "set", encoder="timm:test_resnet", set=settings, out=root / "run", quiet=True
    )
    return root


def predict(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suwen", "predict", "run", *words], cwd=folder, capture_output=True, text=True
    )


def test_json_lines_and_csv_hold_the_same_answers(folder: Path) -> None:
    said = predict(folder, "set/dark/0.png", "set/bright/0.png", "--json", "--csv", "answers.csv")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    with (folder / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert said.returncode == 0 and [row["input"] for row in rows] == [line["input"] for line in lines]
    assert [float(row["p_dark"]) for row in rows] == pytest.approx(
        [line["probabilities"]["dark"] for line in lines], abs=1e-5
    )


def test_an_unreadable_input_exits_with_an_error_code_either_way(folder: Path) -> None:
    (folder / "text.png").write_text("not an image")
    assert predict(folder, "text.png", "--json").returncode == 2
    said = predict(folder, "set/dark/0.png", "text.png", "--skip-bad", "--json")
    first, second = (json.loads(line) for line in said.stdout.splitlines())
    assert said.returncode == 1
    assert first["answer"] in ("dark", "bright") and second["answer"] is None and second["abstain"]
