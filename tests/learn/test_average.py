from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from suwen.learn.average import Average


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def step(module: nn.Module) -> None:
    """Something that changes weights and batch statistics."""
    module(torch.randn(8, 1, 4, 4)).square().sum().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            assert parameter.grad is not None
            parameter -= 0.01 * parameter.grad
            parameter.grad = None


def test_a_constant_decay_gives_torchs_averaged_model(module: nn.Module) -> None:
    decay = 0.1  # the growing decay starts at 2/11, above it
    average = Average(module, decay)
    rival = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    rival.n_averaged += 1  # torch's first update copies; ours moves from the copy made at the start
    for _ in range(5):
        step(module)
        average.update()
        rival.update_parameters(module)
    expected = rival.module.state_dict()
    assert average.weights.keys() == expected.keys()
    for key, value in average.weights.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[key])


def test_the_decay_grows_so_that_the_start_is_soon_forgotten(module: nn.Module) -> None:
    average = Average(module, 0.99)
    expected = {key: value.clone() for key, value in module.state_dict().items()}
    for number in range(1, 6):
        step(module)
        average.update()
        decay = min(0.99, (1 + number) / (10 + number))
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                expected[key] = decay * expected[key] + (1 - decay) * value
    for key, value in average.weights.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[key])


def test_counts_are_copied_not_averaged(module: nn.Module) -> None:
    average = Average(module, 0.5)
    for _ in range(3):
        step(module)
        average.update()
    assert average.weights["1.num_batches_tracked"] == 3


def test_averages_are_copies_that_leave_the_module_alone(module: nn.Module) -> None:
    average = Average(module, 0.5)
    step(module)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    average.update()
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert not torch.equal(average.weights["0.weight"], module.state_dict()["0.weight"])
