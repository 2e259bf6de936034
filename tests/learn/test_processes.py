"""What two processes find together is what one finds alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.dataset import Batch
from suwen.core.errors import RecipeError
from suwen.learn import processes
from suwen.learn.augment import TRANSFORMS, ImageAugment
from suwen.learn.batches import Batches
from suwen.learn.device import free_port
from suwen.learn.views import TwoViews

NAMES = sorted(TRANSFORMS)


@pytest.fixture
def films() -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (23, 1, 12, 12), np.uint8)
    return SimpleNamespace(targets=np.arange(23) % 3, take=lambda rows: pixels[rows])


def batches_of(films: Any, augment: Any, monkeypatch: pytest.MonkeyPatch, *, rank: int, count: int) -> list[Batch]:
    monkeypatch.setattr(processes, "count", lambda: count)
    monkeypatch.setattr(processes, "rank", lambda: rank)
    made = Batches(films, np.arange(23), batch_size=8, seed=1, augment=augment)
    return [batch for _, batch in made.epoch(2)]


@pytest.mark.parametrize("kind", [ImageAugment, TwoViews])
def test_the_parts_of_a_batch_are_the_batch(films: Any, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images with the same changes, mixed ones included; 8 rows for 3 processes are 3, 3 and 2."""
    augment = kind({name: {} for name in NAMES}, 3)
    alone = batches_of(films, augment, monkeypatch, rank=0, count=1)
    parts = [batches_of(films, augment, monkeypatch, rank=rank, count=3) for rank in range(3)]
    for whole, *shared in zip(alone, *parts, strict=True):
        for name, dim in (("inputs", 1 if kind is TwoViews else 0), ("target", 0)):
            assert torch.equal(torch.cat([part[name] for part in shared], dim), whole[name])
        assert np.concatenate([part["index"] for part in shared]).tolist() == whole["index"].tolist()
        assert all(part["part"].whole.tolist() == whole["index"].tolist() for part in shared)


def test_means_of_unequal_parts_weigh_what_their_rows_do(films: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [batches_of(films, None, monkeypatch, rank=rank, count=3)[0] for rank in range(3)]
    means = [part["inputs"].float().mean() * processes.weight(part) for part in parts]
    whole = torch.cat([part["inputs"] for part in parts]).float().mean()
    torch.testing.assert_close(torch.stack(means).mean(), whole)
    assert {len(part["index"]) for part in parts} == {2, 3}


def test_more_processes_than_rows_are_refused(films: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="a batch of 8 for 9 processes"):
        batches_of(films, None, monkeypatch, rank=0, count=9)


TOGETHER = """
import json, sys
import numpy as np, torch, torch.distributed as dist
from torch import nn
from timm.layers import BatchNormAct2d
from suwen.learn import processes
from suwen.learn.norm import over_whole_batches
from suwen.learn.objectives.contrastive import nt_xent

rank, count = int(sys.argv[1]), int(sys.argv[2])
if count > 1:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{sys.argv[3]}", rank=rank, world_size=count)
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), BatchNormAct2d(4), nn.Flatten(), nn.Linear(64, 5),
                       nn.BatchNorm1d(5))
views = torch.randn(2, 7, 2, 6, 6) * 3 + 100
part = processes.part_of(np.arange(7))
batch = {"index": np.arange(7)} if part is None else {"index": part.whole[part.rows], "part": part}
own = views if part is None else views[:, part.rows]
with over_whole_batches():
    said = layers(own.flatten(0, 1)).unflatten(0, own.shape[:2])
    loss = nt_xent(processes.gathered(said, batch, dim=1), 0.2) + said.square().mean()
    (loss * processes.weight(batch)).backward()
found = {name: processes.total(value.grad) / count if count > 1 else value.grad
         for name, value in layers.named_parameters()}
found |= dict(layers.named_buffers()) | {"loss": processes.mean(loss, batch)}
torch.manual_seed(3 + rank)
drawn = processes.gathered(processes.uniform(len(batch["index"]), 3, batch), batch)
found |= {"drawn": drawn, "told": torch.tensor(processes.told(rank))}
print(json.dumps({name: value.tolist() for name, value in found.items()}))
"""


@pytest.mark.slow
def test_statistics_negatives_gradients_and_draws_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """Seven rows for two processes; convolution, three kinds of batch normalisation, NT-Xent."""

    def start(rank: int, count: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TOGETHER, str(rank), str(count), str(port)]
        return subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, text=True)

    port = free_port()
    started = [start(0, 1), start(0, 2), start(1, 2)]
    alone, first, second = (json.loads(process.communicate(timeout=120)[0]) for process in started)
    assert alone.keys() == first.keys() == second.keys()
    for name in alone:
        for found in (first, second):
            np.testing.assert_allclose(found[name], alone[name], atol=1e-9, rtol=1e-6, err_msg=name)
