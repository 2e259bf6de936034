from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.loops import BareLoop, Setting, SuwenLoop, bare_resnet18, compare, speed_recipe
from benchmarks.results import read_result
from benchmarks.speed import make_dataset, overheads, speed
from torch import nn


def modules(root: nn.Module) -> list[str]:
    """Type and settings of every layer that has weights, in order."""
    return [str(layer) for layer in root.modules() if next(layer.parameters(recurse=False), None) is not None]


@pytest.mark.parametrize("side", [28, 64])
def test_both_loops_train_the_same_network(side: int, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, side, count=20)
    ours = SuwenLoop(dataset, speed_recipe(Setting("fp32", True), 8), tmp_path).module
    bare = bare_resnet18(1, side, labels=2)
    assert modules(bare) == modules(ours)
    for layer, other in zip(bare.parameters(), ours.parameters(), strict=True):
        layer.data.copy_(other.data)
    pixels = torch.from_numpy(dataset.take(np.arange(4)))
    with torch.inference_mode():
        answer = bare.eval()((pixels.float() / 255 - 0.5) / 0.25)
        output = ours.eval()({"inputs": pixels, "target": torch.zeros(4, dtype=torch.long)})["output"]
    assert torch.allclose(answer, output, atol=1e-5)


@pytest.mark.parametrize("loop", ["bare", "suwen"])
def test_a_round_trains_on_the_images_asked_for(loop: str, tmp_path: Path) -> None:
    """More images than there are: both go round again. Each step is seen by the optimizer."""
    dataset = make_dataset(tmp_path, 28, count=20)
    setting = Setting("fp32", True)
    made = BareLoop(dataset, setting, 4) if loop == "bare" else SuwenLoop(dataset, speed_recipe(setting, 4), tmp_path)
    made.train(24)
    steps = {int(state["step"]) for state in made.optimizer.state.values()}
    assert steps == {6}


def test_the_loops_take_turns_there_and_back() -> None:
    order: list[str] = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def train(self, images: int) -> None:
            order.append(self.name)

    found = compare({"a": Fake("a"), "b": Fake("b")}, 1, 2, lambda line: None)
    assert order == ["a", "b", "b", "a"]
    assert [len(values) for values in found.values()] == [2, 2]


def test_overhead_is_a_share_of_the_bare_loops_time() -> None:
    assert overheads([100.0], [80.0]) == [pytest.approx(0.25)]  # 10 ms an image become 12.5


@pytest.mark.slow
def test_a_quick_run_writes_every_loop(tmp_path: Path) -> None:
    speed(quick=True, results=tmp_path)
    written = read_result(tmp_path / "quick" / "speed.json")
    speeds = written.figures["28"]["speeds"]
    assert {"bare fp32 NCHW", "bare fp32 channels-last", "suwen fp32 channels-last"} <= set(speeds)
    assert all(value > 0 for values in speeds.values() for value in values)
