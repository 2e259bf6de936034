"""Batches and encoders small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from suwen.core.features import Features
from suwen.core.recipe import Recipe, make_recipe
from suwen.heads.embed import Embed


class Flat(nn.Module):
    """The smallest encoder: one linear layer on 16 numbers."""

    grid = None

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"name": "tests:flat"}
        self.width, self.map_widths, self.licence = width, (), None
        self.linear = nn.Linear(16, width)

    def forward(self, inputs: Tensor) -> Features:
        return Features(pooled=self.linear(inputs.flatten(1)))


def batch_of(inputs: Tensor) -> dict[str, Any]:
    return {"inputs": inputs, "target": torch.zeros(inputs.shape[1]), "index": np.arange(inputs.shape[1])}


@pytest.fixture
def flat() -> Flat:
    torch.manual_seed(0)
    return Flat()


@pytest.fixture
def embed() -> Embed:
    return Embed(6)


@pytest.fixture
def recipe() -> Callable[..., Recipe]:
    def made(task: str = "image-contrastive", **objective: Any) -> Recipe:
        return make_recipe({"task": task, "objective": objective})

    return made


@pytest.fixture
def batch() -> Callable[[Tensor], dict[str, Any]]:
    return batch_of
