from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from suwen.core.errors import RunError, SuwenError
from suwen.learn.checkpoint import load_checkpoint, save_checkpoint

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    return (drawn * 5).to(draw(st.sampled_from(DTYPES)))


plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.integers(0, 9)
values = st.recursive(
    plain | tensors(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def same(first: Any, second: Any) -> bool:
    """Equal in type and to the last bit, NaN included."""
    if type(first) is not type(second):
        return False
    if isinstance(first, torch.Tensor):
        bits, others = (tensor.reshape(-1).view(torch.uint8) for tensor in (first, second))
        return first.dtype == second.dtype and first.shape == second.shape and torch.equal(bits, others)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second) or (first != first and second != second)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(keys, values, max_size=4))
def test_what_is_saved_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, state: dict[Any, Any]
) -> None:
    path = tmp_path_factory.mktemp("checkpoints") / "last.safetensors"
    save_checkpoint(path, state)
    assert same(load_checkpoint(path), state)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_the_state_of_an_optimizer_comes_back(tmp_path: Path, optimizer: Any) -> None:
    module = nn.Linear(3, 2)
    options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    made = optimizer(module.parameters(), lr=0.1, **options)
    module(torch.randn(4, 3)).sum().backward()
    made.step()
    save_checkpoint(tmp_path / "last.safetensors", made.state_dict())
    assert same(load_checkpoint(tmp_path / "last.safetensors"), made.state_dict())


def test_the_saved_tensors_are_copies(tmp_path: Path) -> None:
    weight = torch.zeros(3)
    save_checkpoint(tmp_path / "last.safetensors", {"first": weight, "same": weight, "part": weight[1:]})
    weight += 1
    assert same(load_checkpoint(tmp_path / "last.safetensors")["part"], torch.zeros(2))


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"weights": torch.randn(20), "step": 3})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match="not a whole checkpoint") as refused:
        load_checkpoint(path)
    assert str(path) in refused.value.seen and f"rm {path}" in refused.value.fix


def test_other_tensors_are_no_checkpoint(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(RunError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "model.safetensors")


def test_what_a_checkpoint_cannot_hold_is_refused_when_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        save_checkpoint(tmp_path / "last.safetensors", {"a": {1, 2}})
    assert not list(tmp_path.iterdir())


def test_when_the_disk_is_full_the_last_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "last.safetensors"
    save_checkpoint(path, {"step": 3})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SuwenError, match="disk is full"):
        save_checkpoint(path, {"step": 4})
    assert load_checkpoint(path) == {"step": 3}
