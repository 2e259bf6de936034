"""Answers for files, folders, globs and arrays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import suwen
from suwen.core.errors import DataError, FileUnreadable, RunError


def test_answers_name_input_task_and_model(run: Path, films: Path) -> None:
    file = films / "test" / "disc" / "000.png"
    (answer,) = suwen.load(run).predict(file)
    line = answer.to_json()
    assert list(line)[:8] == ["input", "task", "answer", "probabilities", "set", "abstain", "model", "seconds"]
    assert line["input"].endswith("disc/000.png") and line["task"] == "image-classification"
    assert line["model"].startswith("tiny@") and sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_the_same_file_gets_the_same_number_in_another_process(run: Path, films: Path) -> None:
    file = str(films / "test" / "disc" / "001.png")
    code = f"import suwen; print(repr(suwen.load({str(run)!r}).predict({file!r})[0].probabilities['disc']))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert float(there) == suwen.load(run).predict(file)[0].probabilities["disc"]


def test_files_folders_globs_and_arrays_agree(run: Path, films: Path) -> None:
    model, folder = suwen.load(run), films / "test" / "disc"
    by_glob = model.predict(f"{folder}/*.png")
    by_file = model.predict(*sorted(folder.glob("*.png")))
    by_array = model.predict(*(np.asarray(Image.open(file)) for file in sorted(folder.glob("*.png"))))
    expected = [answer.probabilities for answer in by_glob]
    assert len(expected) == 20
    assert [answer.probabilities for answer in by_file] == expected == [answer.probabilities for answer in by_array]


def test_a_bad_file_is_an_error_or_an_abstention_never_an_answer(run: Path, films: Path, tmp_path: Path) -> None:
    good = films / "test" / "disc" / "000.png"
    bad = tmp_path / "cut.png"
    bad.write_bytes(good.read_bytes()[:200])
    with pytest.raises(FileUnreadable, match=r"cut\.png"):
        suwen.predict(run, good, bad)
    first, second = suwen.predict(run, good, bad, skip_bad=True)
    assert first.answer is not None
    assert second.answer is None and second.abstain and "unreadable" in second.reason and "cut.png" in second.reason


def test_nothing_to_answer_is_an_error(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image|no such"):
        suwen.predict(run, tmp_path)
    with pytest.raises(DataError, match="no such file"):
        suwen.predict(run, tmp_path / "absent.png")


@pytest.mark.parametrize("damage", ["weights missing", "weights cut", "config cut", "newer"])
def test_a_damaged_run_does_not_answer(run: Path, films: Path, tmp_path: Path, damage: str) -> None:
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    weights, config = tmp_path / "model.safetensors", tmp_path / "model.json"
    if damage == "weights missing":
        weights.unlink()
    elif damage == "weights cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "config cut":
        config.write_text(config.read_text()[:100])
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | {"format": 99}))
    with pytest.raises(RunError) as refused:
        suwen.predict(tmp_path, films / "test" / "disc" / "000.png")
    assert refused.value.why and refused.value.fix
