from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from torch import nn

from suwen.core.dataset import Batch
from suwen.core.recipe import TrainingSettings
from suwen.core.task import StepOutput
from suwen.learn.average import Average
from suwen.learn.batches import Batches
from suwen.learn.fit import fit
from suwen.learn.optimizer import make_optimizer, make_rate
from suwen.learn.progress import Progress
from suwen.learn.watch import Evaluate, Watch


class Counter(nn.Module):
    """Its one weight grows by 1 a step, so that a weight says after which step it was kept."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch) -> StepOutput:
        return {"loss": -self.weight.sum(), "output": None}

    def after_step(self) -> None:
        pass


class Said:
    """A Log that remembers."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def begin(self, progress: Progress, epochs: int, batches: int) -> None:
        self.words.append(f"begin {epochs}x{batches}")

    def step(self, progress: Progress) -> None:
        self.words.append(f"step {progress.step}")

    def row(self, row: dict[str, Any]) -> None:
        self.words.append(f"row {row['epoch']}")

    def end(self, progress: Progress) -> None:
        self.words.append("end")


def run(
    evaluate: Evaluate | None,
    *,
    steps: int = 2,
    logs: list[Any] | None = None,
    folder: Path | None = None,
    **settings: Any,
) -> tuple[Counter, Progress]:
    """`steps` optimizer steps an epoch."""
    plain = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "schedule": "constant", "warmup": 0, "clip": None}
    chosen = TrainingSettings(**({"batch_size": 1, "epochs": 5, "learning_rate": 1.0} | plain | settings))
    module = Counter()
    optimizer = make_optimizer(module, chosen)
    data: Any = SimpleNamespace(targets=np.zeros(steps), take=lambda rows: np.zeros((len(rows), 1), np.float32))
    batches = Batches(data, np.arange(steps), batch_size=1, seed=0)
    average = Average(module, chosen.average) if chosen.average else None
    rate = make_rate(chosen, steps)
    watch = Watch(
        module,
        optimizer,
        chosen,
        evaluate=evaluate,
        average=average,
        logs=logs or (),
        folder=folder,
        rate=rate,
        batches=steps,
    )
    return module, fit(
        module, batches, optimizer, rate, chosen, fabric=Fabric(accelerator="cpu", devices=1), watch=watch
    )


def scores(*values: float, losses: tuple[float, ...] = ()) -> Evaluate:
    """An evaluation that gives these scores, one an epoch."""
    given: Iterator[float] = iter(values)
    others: Iterator[float] = iter(losses or [0.0] * len(values))
    return lambda module: {"score": next(given), "loss": next(others)}


def test_the_best_epochs_weights_are_kept_as_copies() -> None:
    module, progress = run(scores(0.1, 0.9, 0.5, 0.6, 0.7))
    assert module.weight.item() == 4  # two epochs of two steps; what came later did not change the copy
    assert (progress.best_epoch, progress.best, progress.epoch) == (2, [0.9, 0.0], 5)


def test_of_equal_scores_the_lower_loss_is_better() -> None:
    module, progress = run(scores(0.5, 0.5, 0.5, 0.5, 0.5, losses=(3, 2, 1, 2, 3)))
    assert progress.best_epoch == 3 and module.weight.item() == 6


def test_a_score_that_is_not_defined_never_beats_one_that_is() -> None:
    nan = float("nan")
    _, progress = run(scores(nan, 0.2, nan, 0.1, nan))
    assert progress.best_epoch == 2


def test_the_last_weights_can_be_kept_instead() -> None:
    module, _ = run(scores(0.1, 0.9, 0.5, 0.6, 0.7), keep="last")
    assert module.weight.item() == 10


def test_without_evaluation_the_last_weights_are_kept() -> None:
    module, progress = run(None)
    assert module.weight.item() == 10 and progress.best is None


def test_it_stops_after_so_many_evaluations_without_a_better_one() -> None:
    _, progress = run(scores(0.5, 0.6, 0.1, 0.1, 0.1, 0.1), epochs=10, patience=3)
    assert (progress.epoch, progress.since_best, len(progress.history)) == (5, 3, 5)


def test_patience_counts_anew_after_a_better_one() -> None:
    _, progress = run(scores(0.5, 0.1, 0.6, 0.1, 0.7, 0.1, 0.1), epochs=10, patience=2)
    assert progress.epoch == 7


def test_evaluation_comes_every_so_many_epochs_and_at_the_end() -> None:
    _, progress = run(scores(0.1, 0.2, 0.3), evaluate_every=2)
    assert [row["epoch"] for row in progress.history if "val_loss" in row] == [2, 4, 5]


def test_the_average_is_evaluated_and_kept_while_training_goes_on_from_its_own_weights() -> None:
    seen: list[float] = []

    def evaluate(module: nn.Module) -> dict[str, float]:
        seen.append(module.weight.item())  # type: ignore[operator]
        return {"score": len(seen), "loss": 0.0}

    module, _ = run(evaluate, average=0.5, epochs=3, steps=1)
    expected, average = [], 0.0
    for step in (1, 2, 3):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * step
        expected.append(average)
    assert seen == pytest.approx(expected) and module.weight.item() == pytest.approx(expected[-1])


def test_logs_are_told_everything_in_order() -> None:
    said = Said()
    run(scores(0.1, 0.2), logs=[said], epochs=2)
    assert said.words == ["begin 2x2", "step 1", "step 2", "row 1", "step 3", "step 4", "row 2", "end"]


def test_logs_are_closed_whatever_happens() -> None:
    def fail(module: nn.Module) -> dict[str, float]:
        raise KeyboardInterrupt

    said = Said()
    with pytest.raises(KeyboardInterrupt):
        run(fail, logs=[said])
    assert said.words == ["begin 5x2", "step 1", "step 2", "end"]


def test_rows_hold_what_the_log_promises() -> None:
    _, progress = run(lambda module: {"score": 0.5, "loss": 0.25, "auroc": 0.5}, epochs=2)
    assert [list(row) for row in progress.history] == [
        ["epoch", "train_loss", "learning_rate", "val_loss", "val_auroc", "seconds"]
    ] * 2
    assert [row["train_loss"] for row in progress.history] == [-0.5, -2.5]


def test_a_checkpoint_is_written_no_more_often_than_asked(tmp_path: Path) -> None:
    run(None, folder=tmp_path / "often", checkpoint_seconds=0)
    run(None, folder=tmp_path / "seldom", checkpoint_seconds=3600)
    assert (tmp_path / "often" / "last.safetensors").is_file() and not (tmp_path / "seldom").exists()


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    run(None, folder=tmp_path, checkpoint_seconds=0)
    module, progress = run(None, folder=tmp_path, checkpoint_seconds=0)
    assert module.weight.item() == 10 and progress.step == 10 and len(progress.history) == 5


def test_the_loss_scale_of_fp16_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def watched() -> tuple[Watch, MixedPrecision, torch.optim.Optimizer]:
        module = Counter()
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2)
        precision = MixedPrecision("16-mixed", "cpu", scaler)
        optimizer = torch.optim.SGD(module.parameters(), 0.1)
        return Watch(module, optimizer, TrainingSettings(), precision=precision, folder=tmp_path), precision, optimizer

    watch, precision, optimizer = watched()
    for _ in range(3):
        precision.backward(watch.module({})["loss"], None)
        precision.optimizer_step(optimizer)  # type: ignore[arg-type]
    assert precision.state_dict()["scale"] == 8.0 and precision.state_dict()["_growth_tracker"] == 1
    watch.save(Progress())
    again, resumed, _ = watched()
    assert resumed.state_dict() != precision.state_dict()
    again.begin()
    assert resumed.state_dict() == precision.state_dict()
