"""Weights as they lie on a user's disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

WriteWeights = Callable[..., tuple[Path, dict[str, Tensor]]]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test speaks to the hub, as with ``HF_HUB_OFFLINE=1``."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def write_weights(tmp_path: Path) -> WriteWeights:
    """`write_weights(name)`: a file as timm publishes it, three channels and a classifier, and what it holds."""

    def write(
        name: str = "test_resnet", *, file: str = "weights/model.safetensors", rename: Callable[[str], str] = str
    ) -> tuple[Path, dict[str, Tensor]]:
        torch.manual_seed(7)
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {key: value.contiguous() for key, value in timm.create_model(name).state_dict().items()}
        save_file({rename(key): value for key, value in tensors.items()}, path)
        return path, tensors

    return write
