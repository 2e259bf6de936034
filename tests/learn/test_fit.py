"""The one loop trains whatever is a TaskModule: it knows batches and ``{"loss", "output"}``, nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from suwen.core.dataset import Batch
from suwen.core.errors import TrainingError
from suwen.core.recipe import TrainingSettings
from suwen.core.task import StepOutput
from suwen.learn.batches import Batches
from suwen.learn.fit import fit
from suwen.learn.optimizer import make_optimizer, make_rate
from suwen.learn.progress import Progress
from suwen.learn.watch import Watch

ROWS = 32


def dataset(targets: Any = None, inputs: Any = None) -> Any:
    """`ROWS` points on a plane, or whatever is given."""
    points = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)
    values = inputs if inputs is not None else (lambda rows: points[rows])
    return SimpleNamespace(targets=points.sum(1) if targets is None else targets, take=values)


def run_fit(module: nn.Module, data: Any, *, rows: int = ROWS, folder: Path | None = None, **settings: Any) -> Progress:
    """`fit` on the CPU in float32, SGD without momentum unless said otherwise."""
    plain = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "schedule": "constant", "warmup": 0, "clip": None}
    chosen = TrainingSettings(**({"batch_size": 8, "epochs": 5, "learning_rate": 0.1} | plain | settings))
    batches = Batches(data, np.arange(rows), batch_size=chosen.batch_size, seed=0)
    optimizer = make_optimizer(module, chosen)
    rate = make_rate(chosen, -(-len(batches) // chosen.accumulate))
    watch = Watch(module, optimizer, chosen, folder=folder, name_rows=lambda numbers: [f"row-{row}" for row in numbers])
    return fit(module, batches, optimizer, rate, chosen, fabric=Fabric(accelerator="cpu", devices=1), watch=watch)


class Regression(nn.Module):
    """One number, learned by least squares."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(2, 1)

    def forward(self, batch: Batch) -> StepOutput:
        output = self.linear(batch["inputs"])[:, 0]
        return {"loss": F.mse_loss(output, batch["target"]), "output": output}

    def after_step(self) -> None:
        pass


def test_a_regression_finds_its_coefficients() -> None:
    module = Regression()
    progress = run_fit(module, dataset(), epochs=30)
    torch.testing.assert_close(module.linear.weight, torch.ones(1, 2), atol=1e-3, rtol=0)
    assert progress.history[-1]["train_loss"] < 1e-6 < progress.history[0]["train_loss"]
    assert (progress.epoch, progress.step, progress.samples) == (30, 30 * 4, 30 * ROWS)


@pytest.mark.parametrize(("batch_size", "accumulate"), [(8, 4), (16, 2)])
def test_small_batches_that_share_a_step_equal_one_large_batch(batch_size: int, accumulate: int) -> None:
    large, small = Regression(), Regression()
    run_fit(large, dataset(), batch_size=32)
    run_fit(small, dataset(), batch_size=batch_size, accumulate=accumulate)
    torch.testing.assert_close(small.state_dict(), large.state_dict())


def test_fewer_batches_at_the_end_of_an_epoch_still_make_a_whole_step() -> None:
    """Of 24 rows in batches of 8, two share the first step and the third has one of its own."""
    module = Regression()
    twin = copy.deepcopy(module)
    run_fit(module, dataset(), rows=24, epochs=1, accumulate=2)
    batches = [batch for _, batch in Batches(dataset(), np.arange(24), batch_size=8, seed=0).epoch(0)]
    for together in (batches[:2], batches[2:]):
        loss = torch.stack([twin(batch)["loss"] for batch in together]).mean()
        for parameter, slope in zip(twin.parameters(), torch.autograd.grad(loss, list(twin.parameters())), strict=True):
            parameter.data -= 0.1 * slope
    torch.testing.assert_close(module.state_dict(), twin.state_dict())


def test_gradients_are_clipped_to_their_largest_norm() -> None:
    module = Regression()
    before = torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])
    run_fit(module, dataset(), batch_size=32, epochs=1, learning_rate=1.0, clip=0.01)
    after = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.01, rel=1e-4)


class SelfDistillation(nn.Module):
    """Pretraining without labels: a student predicts what its own moving average says of another view."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.student = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.steps = 0

    def forward(self, batch: Batch) -> StepOutput:
        first, second = (batch["inputs"] + 0.1 * torch.randn_like(batch["inputs"]) for _ in range(2))
        output = self.student(first)
        return {"loss": F.mse_loss(output, self.teacher(second)), "output": output}

    @torch.no_grad()
    def after_step(self) -> None:
        self.steps += 1
        for slow, fast in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            slow.lerp_(fast, 0.1)


def test_pretraining_with_a_teacher_that_follows_its_student() -> None:
    module = SelfDistillation()
    start = copy.deepcopy(module.teacher.state_dict())
    progress = run_fit(module, dataset(targets=np.full(ROWS, -1)), epochs=20)
    assert module.steps == progress.step == 20 * 4
    assert not torch.equal(start["0.weight"], module.teacher.state_dict()["0.weight"])
    assert progress.history[-1]["train_loss"] < progress.history[0]["train_loss"]


def test_an_interrupted_pretraining_keeps_its_teacher(tmp_path: Path) -> None:
    whole, resumed = SelfDistillation(), SelfDistillation()
    run_fit(whole, dataset(), epochs=4)
    run_fit(resumed, dataset(), epochs=2, folder=tmp_path, checkpoint_seconds=0)
    resumed = SelfDistillation()
    run_fit(resumed, dataset(), epochs=4, folder=tmp_path)
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value)


class Detection(nn.Module):
    """Boxes: each target is a dict of its own length."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(2, 4)

    def forward(self, batch: Batch) -> StepOutput:
        output = self.linear(batch["inputs"])
        targets: list[dict[str, Tensor]] = batch["target"]
        losses = [
            F.l1_loss(box.expand_as(target["boxes"]), target["boxes"])
            for box, target in zip(output, targets, strict=True)
            if len(target["boxes"])
        ]
        return {"loss": torch.stack(losses).mean(), "output": output}

    def after_step(self) -> None:
        pass


def test_boxes_as_a_list_of_dicts() -> None:
    targets = np.empty(ROWS, object)
    for row in range(ROWS):
        targets[row] = {"boxes": np.full((row % 3, 4), 0.5, np.float32), "labels": np.zeros(row % 3, np.int64)}
    history = run_fit(Detection(), dataset(targets=targets), epochs=20, learning_rate=0.05).history
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]


class Fusion(nn.Module):
    """Two modalities and a censored time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.film, self.age = nn.Linear(16, 1), nn.Linear(1, 1)

    def forward(self, batch: Batch) -> StepOutput:
        film, age = batch["inputs"]["film"], batch["inputs"]["age"]
        log_rate = (self.film(film.float().flatten(1) / 255) + self.age(age))[:, 0]
        time, event = batch["target"].unbind(1)
        # an exponential time to event: a censored one only says that nothing happened until then
        return {"loss": (log_rate.exp() * time - event * log_rate).mean(), "output": log_rate}

    def after_step(self) -> None:
        pass


def test_several_modalities_with_censored_times() -> None:
    rng = np.random.default_rng(0)
    films, ages = rng.integers(0, 256, (ROWS, 1, 4, 4), np.uint8), rng.random((ROWS, 1)).astype(np.float32)
    times = np.stack([rng.exponential(0.1, ROWS), np.arange(ROWS) % 4 > 0], 1).astype(np.float32)
    data = dataset(targets=times, inputs=lambda rows: {"film": films[rows], "age": ages[rows]})
    history = run_fit(Fusion(), data, epochs=20).history
    assert history[-1]["train_loss"] < history[0]["train_loss"] - 0.5


class Breaks(Regression):
    """The loss is not a number as soon as row 13 is in a batch."""

    def forward(self, batch: Batch) -> StepOutput:
        found = super().forward(batch)
        return found | {"loss": found["loss"] * (float("nan") if 13 in batch["index"] else 1.0)}  # type: ignore[return-value]


def test_a_loss_that_is_not_a_number_stops_and_names_the_samples(tmp_path: Path) -> None:
    module = Breaks()
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1, step \d") as stopped:
        run_fit(module, dataset(), folder=tmp_path, checkpoint_seconds=0)
    named = stopped.value.seen.partition("batch: ")[2].split(", ")
    assert len(named) == 8 and "row-13" in named
    assert "learning-rate" in stopped.value.fix
    assert all(value.isfinite().all() for value in module.state_dict().values())


def test_randomness_inside_a_module_follows_from_the_seed() -> None:
    first, second = SelfDistillation(), SelfDistillation()
    run_fit(first, dataset())
    torch.rand(17)  # what was drawn before does not matter
    run_fit(second, dataset())
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def test_the_loop_can_be_taken_in_at_a_glance() -> None:
    import inspect

    source = inspect.getsource(fit)
    assert len(source.partition('"""')[2].partition('"""')[2].splitlines()) <= 40
