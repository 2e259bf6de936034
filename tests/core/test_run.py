from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.domain import Domain
from suwen.core.errors import RunError, SuwenError
from suwen.core.model import Model
from suwen.core.run import FORMAT, Run, load

ASK = """
import sys, numpy as np, torch
from suwen.core.run import load
images = torch.from_numpy(np.load(sys.argv[1]))
with torch.inference_mode():
    np.savez(sys.argv[2], *[load(path).logits(images).numpy() for path in sys.argv[3:]])
"""


@pytest.fixture
def saved(make_model: Callable[..., Model], tmp_path: Path) -> Run:
    run = Run(tmp_path / "chest")
    run.save(make_model())
    return run


def edit(run: Run, **changes: Any) -> None:
    config = json.loads(run.config.read_text()) | changes
    run.config.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def test_another_process_gives_the_same_logits_bit_for_bit(make_model: Callable[..., Model], tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 32, 32), np.uint8)
    np.save(tmp_path / "images.npy", images)
    here = []
    for name in ("test_resnet", "test_vit", "test_convnext"):
        model = make_model(name)
        Run(tmp_path / name).save(model)
        with torch.inference_mode():
            here.append(model.logits(torch.from_numpy(images)).numpy())
    runs = [str(tmp_path / name) for name in ("test_resnet", "test_vit", "test_convnext")]
    files = [str(tmp_path / "images.npy"), str(tmp_path / "logits.npz")]
    subprocess.run([sys.executable, "-c", ASK, *files, *runs], check=True)
    with np.load(tmp_path / "logits.npz") as there:
        for name, logits in zip(there.files, here, strict=True):
            assert np.array_equal(there[name], logits)


def test_everything_but_the_weights_comes_back_too(make_model: Callable[..., Model], tmp_path: Path) -> None:
    model = make_model(views=("flip",))
    parts = {key: np.random.default_rng(0).random(3) for key in ("mean", "basis", "variance", "rest", "limit")}
    model.domain = Domain(**parts)
    Run(tmp_path / "chest").save(model)
    again = load(tmp_path / "chest")
    assert again.to_config() == json.loads(json.dumps(model.to_config()))
    assert (again.calibration, again.views, again.card) == (model.calibration, model.views, model.card)
    assert again.domain is not None
    assert all(np.array_equal(parts[key], value) for key, value in again.domain.to_arrays().items())
    assert again.preprocess == model.preprocess
    assert again.head.labels == model.head.labels
    assert not any(part.training for part in again.parts().values())


def test_a_model_is_named_by_its_run_and_its_weights(saved: Run, make_model: Callable[..., Model]) -> None:
    first = saved.load().name
    model = make_model()
    with torch.no_grad():
        model.head.linear.bias += 1  # type: ignore[attr-defined]
    saved.save(model)
    second = saved.load().name
    assert first.startswith("chest@") and second.startswith("chest@") and first != second
    assert model.name == second


def test_a_folder_that_is_no_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder") as refused:
        load(tmp_path / "nowhere")
    assert "suwen finetune" in refused.value.fix
    with pytest.raises(RunError, match=r"without model\.json"):
        load(tmp_path)


def test_missing_weights_are_said_to_be_missing(saved: Run) -> None:
    saved.weights.unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        load(saved.path)


@pytest.mark.parametrize("keep", [0, 7, 5000])
def test_truncated_weights_are_refused(saved: Run, keep: int) -> None:
    saved.weights.write_bytes(saved.weights.read_bytes()[:keep])
    with pytest.raises(RunError, match="is not the file that") as refused:
        load(saved.path)
    assert str(saved.weights) in refused.value.seen and "truncated" in refused.value.why


def test_weights_of_another_run_are_refused(saved: Run, make_model: Callable[..., Model], tmp_path: Path) -> None:
    other = Run(tmp_path / "other")
    other.save(make_model("test_vit"))
    saved.weights.write_bytes(other.weights.read_bytes())
    with pytest.raises(RunError, match="is not the file that"):
        load(saved.path)


@pytest.mark.parametrize("text", ["", '{"format": 1, "task": "ima', "\x00\x01", "[1, 2]", "null"])
def test_a_config_that_is_truncated_or_edited_is_refused(saved: Run, text: str) -> None:
    saved.config.write_text(text)
    with pytest.raises(RunError, match=r"is not JSON|lacks") as refused:
        load(saved.path)
    assert str(saved.config) in refused.value.seen


@pytest.mark.parametrize("lost", ["labels", "preprocess", "calibration", "weights_sha256"])
def test_a_config_without_a_part_names_the_part(saved: Run, lost: str) -> None:
    edit(saved, **{lost: None})
    with pytest.raises(RunError, match=f"lacks {lost}"):
        load(saved.path)


def test_a_run_of_a_newer_suwen_asks_for_an_upgrade(saved: Run) -> None:
    edit(saved, format=FORMAT + 1)
    with pytest.raises(RunError, match=f"format {FORMAT + 1}") as refused:
        load(saved.path)
    assert refused.value.fix == "pip install --upgrade suwen"


def test_an_architecture_that_the_weights_do_not_fit_is_refused(saved: Run) -> None:
    config = json.loads(saved.config.read_text())
    edit(saved, encoder=config["encoder"] | {"name": "timm:test_vit", "stem": "small"})
    with pytest.raises(RunError, match="does not fit the architecture"):
        load(saved.path)


def test_when_the_disk_fills_up_the_old_run_still_answers(
    saved: Run, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = saved.load().name
    model = make_model("test_vit")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SuwenError, match="disk is full"):
        saved.save(model)
    monkeypatch.undo()
    assert saved.load().name == name


def test_a_save_cut_off_between_its_two_files_is_refused_not_mixed(
    saved: Run, make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    model = make_model()
    with torch.no_grad():
        model.head.linear.bias += 1  # type: ignore[attr-defined]
    monkeypatch.setattr("suwen.core.run.write_json", cut)
    with pytest.raises(KeyboardInterrupt):
        saved.save(model)
    with pytest.raises(RunError, match="is not the file that"):
        load(saved.path)
