from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from suwen.core.errors import ExtraMissing
from suwen.learn.log import ConsoleLog, JsonLog, TensorBoardLog, WandbLog
from suwen.learn.progress import Progress

ROWS = [
    {"epoch": 1, "train_loss": 0.5, "learning_rate": 1e-3, "val_auroc": float("nan"), "seconds": 1.5},
    {"epoch": 2, "train_loss": 0.25, "learning_rate": 5e-4, "val_auroc": 0.75, "seconds": 3.0},
]


def test_the_json_log_is_one_object_a_line_and_always_json(tmp_path: Path) -> None:
    log = JsonLog(tmp_path / "log.jsonl")
    log.begin(Progress(), 2, 4)
    for row in ROWS:
        log.row(row)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    found = [json.loads(line, parse_constant=refuse) for line in lines]
    assert found == [ROWS[0] | {"val_auroc": None}, ROWS[1]]


def test_a_resumed_json_log_forgets_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3}\n{"epo')
    log = JsonLog(path)
    log.begin(Progress(epoch=1, history=[ROWS[1]]), 2, 4)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [ROWS[1]]


def test_tensorboard_reads_back_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TensorBoardLog(tmp_path)
    log.begin(Progress(), 2, 4)
    for row in ROWS:
        log.row(row)
    log.end(Progress())
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train_loss")] == [(1, 0.5), (2, 0.25)]


def test_the_console_shows_a_line_an_epoch_and_takes_its_bar_away() -> None:
    out = io.StringIO()
    log = ConsoleLog(Console(file=out, width=120, force_terminal=False))
    log.begin(Progress(), 2, 4)
    log.step(Progress(step=1))
    for row in ROWS:
        log.row(row)
    log.end(Progress())
    head, first, second = [line for line in out.getvalue().splitlines() if line.strip()]
    assert head.split()[:2] == ["epoch", "train_loss"]
    assert first.split()[:2] == ["1", "0.5"] and second.split()[3] == "0.75"
    assert not log.bars.live.is_started


def test_a_pretraining_fits_a_console_of_80_columns() -> None:
    """With the widest numbers, and each under its name."""
    names = ("train_loss", "learning_rate", *(f"val_{name}" for name in ("effective_rank", "spread")))
    figures = dict.fromkeys((*names, "val_linear_auroc", "val_knn_auroc", "seconds"), 1.234e-05)
    out = io.StringIO()
    log = ConsoleLog(Console(file=out, width=80))
    log.row({"epoch": 100, **figures})
    head, line = out.getvalue().splitlines()
    assert head.split() == ["epoch", "train_loss", "rate", "rank", "spread", "linear_auroc", "knn_auroc", "seconds"]
    assert len(head) == len(line) and line.split() == ["100"] + 7 * ["1.234e-05"]


def test_the_console_says_where_a_training_goes_on() -> None:
    out = io.StringIO()
    log = ConsoleLog(Console(file=out, width=120))
    log.begin(Progress(epoch=2, batch=3, step=11), 5, 4)
    log.end(Progress())
    assert "going on from epoch 3, batch 4" in out.getvalue()


def test_weights_and_biases_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(ExtraMissing, match="wandb") as refused:
        WandbLog("chest", {})
    assert refused.value.fix == 'pip install "suwen[wandb]"'
