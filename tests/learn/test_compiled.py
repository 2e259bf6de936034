from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from suwen.core.dataset import Batch
from suwen.core.errors import RecipeError
from suwen.core.recipe import TrainingSettings, make_recipe, parse_set
from suwen.core.task import StepOutput
from suwen.learn import compiled
from suwen.learn.average import Average
from suwen.learn.batches import Batches
from suwen.learn.compiled import compile_steps, compiles
from suwen.learn.fit import fit
from suwen.learn.optimizer import make_optimizer, make_rate
from suwen.learn.progress import Progress
from suwen.learn.watch import Watch

CPU = torch.device("cpu")


def test_a_cpu_compiles_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_has_cpp", lambda: True)
    asked = [compiles(TrainingSettings(compile=value), CPU) for value in ("auto", "false", "true")]
    assert asked == [False, False, True]


def test_a_gpu_compiles_where_kernels_can_be_written_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for able in (True, False):
        monkeypatch.setattr(compiled, "_has_triton", lambda device, able=able: able)
        assert compiles(TrainingSettings(), torch.device("cuda")) is able


def test_without_a_compiler_it_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RecipeError, match=r"without a C\+\+ compiler") as refused:
        compiles(TrainingSettings(compile="true"), CPU)
    assert "--compile false" in refused.value.fix


def test_several_devices_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="several devices"):
        compiles(TrainingSettings(compile="true", devices=2), CPU)
    assert not compiles(TrainingSettings(devices=2), torch.device("cuda"))


def test_the_words_of_the_command_line_are_understood() -> None:
    """YAML makes a bool of two of them."""
    for word in ("auto", "true", "false"):
        read = make_recipe({"task": "any"}, parse_set([f"training.compile={word}"])).training.compile
        assert read == make_recipe({"task": "any", "training": {"compile": word}}).training.compile == word
    with pytest.raises(RecipeError, match=r"training.compile = 'perhaps'") as refused:
        make_recipe({"task": "any", "training": {"compile": "perhaps"}})
    assert "'auto', 'true' or 'false'" in refused.value.why


class Line(nn.Module):
    """The smallest Task: compiling it takes seconds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.head = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, batch: Batch) -> StepOutput:
        output = self.head(self.encoder(batch["inputs"]).relu())[:, 0]
        return {"loss": (output - batch["target"]).square().mean(), "output": output}

    def after_step(self) -> None:
        pass


def train_line(folder: Path, *, fast: bool, epochs: int = 6) -> tuple[Line, Progress]:
    """`fit` with a checkpoint after every step."""
    points = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
    module, settings = Line(), TrainingSettings(epochs=epochs, batch_size=8, warmup=0, checkpoint_seconds=0)
    if fast:
        compile_steps(module)
    data: Any = SimpleNamespace(targets=points.sum(1), take=lambda rows: points[rows])
    batches = Batches(data, np.arange(32), batch_size=8, seed=0)
    optimizer, rate = make_optimizer(module, settings), make_rate(settings, len(batches))
    watch = Watch(module, optimizer, settings, folder=folder, average=Average(module, 0.5))
    fabric = Fabric(accelerator="cpu", devices=1)
    return module, fit(module, batches, optimizer, rate, settings, fabric=fabric, watch=watch)


@pytest.mark.slow
@pytest.mark.skipif(not compiled._has_cpp(), reason="torch.compile needs a C++ compiler on a CPU, and there is none")
def test_compiled_steps_learn_the_same_under_the_same_names(tmp_path: Path) -> None:
    """Also from a checkpoint that was written without, and compiled for certain: the graph is counted."""
    torch._dynamo.utils.counters.clear()
    plain, progress = train_line(tmp_path / "plain", fast=False)
    assert not torch._dynamo.utils.counters["stats"]["unique_graphs"]
    fast, same = train_line(tmp_path / "fast", fast=True)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), atol=1e-5, rtol=1e-4)
    assert list(fast.state_dict()) == ["encoder.weight", "encoder.bias", "head.weight", "head.bias"]
    np.testing.assert_allclose(
        [row["train_loss"] for row in same.history], [row["train_loss"] for row in progress.history], atol=1e-5
    )
    more, _ = train_line(tmp_path / "plain", fast=True, epochs=7)
    assert list(more.state_dict()) == list(plain.state_dict())
