"""Two processes on one machine end where one ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import suwen
from suwen.core.errors import RecipeError
from suwen.learn.device import available_devices

TWO = pytest.mark.skipif(available_devices()[0] < 2, reason="two processes need two processor cores or two GPUs")
SETTINGS = (
    "training.epochs=3",
    "training.batch_size=40",
    "training.optimizer=sgd",
    "training.learning_rate=0.02",
    "training.precision=fp32",
    "evaluation.resamples=10",
    "explanation.examples=0",
)
"""80 training images in batches of 40. SGD, since AdamW makes a whole step of what rounding leaves of a zero gradient.
`tests/learn/test_processes.py` holds single gradients to 1e-5."""


def losses(run: Path) -> list[float]:
    return [json.loads(line)["train_loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def run_both(verb: Any, task: str, films: Path, folder: Path, *more: str, **keywords: Any) -> list[Path]:
    """The same training by one process and by two."""
    for devices in (1, 2):
        verb(task, films, devices=devices, set=(*SETTINGS, *more), out=folder / str(devices), quiet=True, **keywords)
    return [folder / "1", folder / "2"]


def assert_alike(one: Path, two: Path) -> None:
    """The first epoch to 1e-5. Later ones drift as much as if one process had added a batch's rows in another order."""
    np.testing.assert_allclose(losses(one)[0], losses(two)[0], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(losses(one), losses(two), atol=1e-3, rtol=0)
    first, second = (load_file(run / "model.safetensors") for run in (one, two))
    assert first.keys() == second.keys() and any(name.startswith("encoder.") for name in first)
    for name, values in first.items():
        if name.startswith(("encoder.", "head.")):
            np.testing.assert_allclose(values, second[name], atol=1e-2, rtol=1e-2, err_msg=name)


@TWO
@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_fine_tuning_by_two_processes_ends_like_one(strategy: str, films: Path, tmp_path: Path) -> None:
    """With batch normalisation, augmentation, mixing, accumulation, a moving average and parts of unequal size."""
    one, two = run_both(
        suwen.finetune,
        "image-classification",
        films,
        tmp_path,
        "training.batch_size=27",
        "training.accumulate=2",
        "training.average=0.9",
        "augment={affine: {}, noise: {}, mixup: {}}",
        encoder="timm:test_resnet",
        strategy=strategy,
    )
    assert_alike(one, two)
    figures = [json.loads((run / "metrics.json").read_text()) for run in (one, two)]
    assert figures[0]["splits"]["val"]["metrics"].keys() == figures[1]["splits"]["val"]["metrics"].keys()
    assert {path.name.partition(".")[0] for path in one.iterdir()} == {
        path.name.partition(".")[0] for path in two.iterdir()
    }


@TWO
@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "encoder", "strategy"),
    [
        ("image-contrastive", "timm:test_resnet", "ddp"),
        ("image-masked", "suwen:vit-narrow", "fsdp"),
        ("image-self-distillation", "timm:test_vit", "ddp"),
        ("image-self-distillation", "timm:test_vit", "fsdp"),
    ],
)
def test_a_pretraining_by_two_processes_ends_like_one(
    objective: str, encoder: str, strategy: str, films: Path, tmp_path: Path
) -> None:
    """Negatives, masks, centre and batch statistics are those of the whole batch."""
    slowly = "training.learning_rate=0.004"  # NT-Xent of an untrained network is steep: rounding would soon be seen
    assert_alike(*run_both(suwen.pretrain, objective, films, tmp_path, slowly, encoder=encoder, strategy=strategy))


@TWO
@pytest.mark.slow
def test_two_machines_train_together(films: Path, tmp_path: Path) -> None:
    """Both here, as two nodes that meet at one address; only the first writes."""
    command = [sys.executable, "-m", "suwen", "finetune", "image-classification", str(films), "--nodes", "2"]
    command += ["--encoder", "timm:test_resnet", *(word for text in SETTINGS for word in ("--set", text))]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}
    started = [
        subprocess.Popen([*command, "--out", str(tmp_path / node)], env=os.environ | meeting | {"NODE_RANK": node})
        for node in ("0", "1")
    ]
    assert [process.wait(timeout=200) for process in started] == [0, 0]
    assert (tmp_path / "0" / "report.html").is_file() and not (tmp_path / "1").exists()
    suwen.finetune(
        "image-classification", films, encoder="timm:test_resnet", set=SETTINGS, out=tmp_path / "alone", quiet=True
    )
    assert_alike(tmp_path / "alone", tmp_path / "0")


@TWO
@pytest.mark.slow
def test_a_killed_sharded_training_goes_on_to_the_same_weights(films: Path, tmp_path: Path) -> None:
    """A checkpoint holds whole tensors, of which each process takes its shards again: moments and averages too."""
    more = ("training.epochs=12", "training.optimizer=adamw", "training.average=0.9", "training.checkpoint_seconds=0")
    words = [sys.executable, "-m", "suwen", "finetune", "image-classification", str(films), "--quiet"]
    words += ["--encoder", "timm:test_resnet", "--devices", "2", "--strategy", "fsdp"]
    words += [word for text in (*SETTINGS, *more) for word in ("--set", text)]
    process = subprocess.Popen([*words, "--out", str(tmp_path / "killed")])
    checkpoint = tmp_path / "killed" / "checkpoints" / "last.safetensors"
    while not checkpoint.is_file() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.is_file()
    for name in ("killed", "whole"):
        subprocess.run([*words, "--out", str(tmp_path / name)], check=True)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("killed", "whole"))
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_more_devices_than_there_are_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    found, kind = available_devices()
    with pytest.raises(RecipeError, match=f"--devices {found + 1}") as refused:
        suwen.finetune("image-classification", tmp_path / "nowhere", devices=found + 1, out=tmp_path / "run")
    assert f"has {found} {kind}" in refused.value.why and f"--devices {found}" in refused.value.fix


def test_several_machines_must_know_where_they_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(RecipeError, match="--nodes 2 without MASTER_ADDR") as refused:
        suwen.pretrain("image-contrastive", tmp_path, nodes=2, out=tmp_path / "run")
    assert "NODE_RANK=0" in refused.value.fix


def test_a_frozen_encoder_is_not_sharded(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--strategy fsdp with --adapt lora") as refused:
        suwen.finetune("image-classification", tmp_path, strategy="fsdp", adapt="lora", out=tmp_path / "run")
    assert "--strategy ddp" in refused.value.fix
