from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from suwen.core.recipe import TrainingSettings
from suwen.learn.optimizer import make_optimizer, make_rate, restore_optimizer, set_rate


class Net(nn.Module):
    """A stem, two blocks and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = nn.Conv2d(1, 2, 3), nn.Linear(2, 2), nn.Linear(2, 2)
        self.norm, self.head = nn.LayerNorm(2), nn.Linear(2, 2)


DEPTHS = {
    f"{part}.{kind}": depth for depth, part in enumerate(("stem", "first", "second")) for kind in ("weight", "bias")
}


def settings_of(**values: Any) -> TrainingSettings:
    return TrainingSettings(**values)


def found_in(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float, float]]:
    """Parameter → (learning rate, its scale, weight decay)."""
    groups = [(group, id(p)) for group in optimizer.param_groups for p in group["params"]]
    rows = {number: (group["lr"], group["scale"], group["weight_decay"]) for group, number in groups}
    return {name: rows[id(parameter)] for name, parameter in module.named_parameters() if id(parameter) in rows}


def test_each_layer_nearer_the_input_learns_slower() -> None:
    module = Net()
    found = found_in(module, make_optimizer(module, settings_of(learning_rate=0.1, layer_decay=0.5), DEPTHS))
    scales = {name: scale for name, (_, scale, _) in found.items()}
    assert scales["head.weight"] == scales["head.bias"] == scales["norm.weight"] == 1
    assert scales["second.weight"] == 0.5 and scales["first.bias"] == 0.25 and scales["stem.weight"] == 0.125
    assert all(rate == pytest.approx(0.1 * scale) for rate, scale, _ in found.values())


def test_adapters_learn_faster() -> None:
    module = nn.ModuleDict({"lora_A": nn.Linear(2, 1, bias=False), "plain": nn.Linear(2, 2)})
    whole = nn.ModuleDict({"layer": module})
    found = found_in(whole, make_optimizer(whole, settings_of(learning_rate=0.1, lora={"rate": 4.0})))
    assert found["layer.lora_A.weight"][:2] == (pytest.approx(0.4), 4.0)
    assert found["layer.plain.weight"][:2] == (0.1, 1.0)


def test_biases_and_norms_do_not_decay() -> None:
    module = Net()
    found = found_in(module, make_optimizer(module, settings_of(weight_decay=0.3), DEPTHS))
    assert {name: decay for name, (_, _, decay) in found.items()} == {
        name: 0.3 if parameter.ndim > 1 else 0.0 for name, parameter in module.named_parameters()
    }


def test_every_weight_that_learns_is_in_exactly_one_group_and_frozen_ones_in_none() -> None:
    module = Net()
    module.stem.requires_grad_(False)
    optimizer = make_optimizer(module, settings_of(layer_decay=0.9), DEPTHS)
    numbers = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(numbers) == sorted(id(p) for name, p in module.named_parameters() if not name.startswith("stem"))


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_the_optimizer_is_the_one_named_with_its_momentum(name: str, kind: type) -> None:
    optimizer = make_optimizer(Net(), settings_of(optimizer=name, momentum=0.8))
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert group["betas"][0] == 0.8 if name == "adamw" else (group["momentum"], group["nesterov"]) == (0.8, True)


def test_sgd_without_momentum_is_plain() -> None:
    group = make_optimizer(Net(), settings_of(optimizer="sgd", momentum=0.0)).param_groups[0]
    assert group["momentum"] == 0 and not group["nesterov"]


def test_the_rate_warms_up_peaks_and_falls_as_half_a_cosine() -> None:
    rate = make_rate(settings_of(epochs=10, warmup=2, learning_rate=0.1), 5)
    rates = [rate(step) for step in range(50)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) / 11 for step in range(10)])
    assert rates[10] == 0.1 == max(rates)
    assert rates[10:] == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 40)) for step in range(40)])
    assert rate(50) == pytest.approx(0) and rates[-1] > 0


def test_the_cosine_is_torchs() -> None:
    rate = make_rate(settings_of(epochs=4, warmup=0, learning_rate=0.1), 5)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    rival = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for step in range(20):
        assert rate(step) == pytest.approx(rival.get_last_lr()[0])
        optimizer.step()
        rival.step()


def test_a_constant_rate_stays_after_warm_up() -> None:
    rate = make_rate(settings_of(epochs=4, warmup=1, learning_rate=0.1, schedule="constant"), 5)
    assert [rate(step) for step in (5, 10, 19)] == [0.1] * 3


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 7), (2, 1)])
def test_a_short_training_still_reaches_its_rate_once(epochs: int, steps: int) -> None:
    rate = make_rate(settings_of(epochs=epochs, warmup=10, learning_rate=0.1), steps)
    rates = [rate(step) for step in range(epochs * steps)]
    assert rates[-1] == pytest.approx(0.1) and rates == sorted(rates)


def test_setting_the_rate_keeps_the_scales() -> None:
    module = Net()
    optimizer = make_optimizer(module, settings_of(learning_rate=0.1, layer_decay=0.5), DEPTHS)
    set_rate(optimizer, 0.01)
    assert found_in(module, optimizer)["stem.weight"][0] == pytest.approx(0.01 * 0.125)
    assert found_in(module, optimizer)["head.weight"][0] == pytest.approx(0.01)


def test_a_restored_optimizer_goes_on_as_the_first_one_also_channels_last() -> None:
    """A checkpoint holds plain layouts; the fused kernel takes layouts as they are."""

    def layer() -> nn.Conv2d:
        torch.manual_seed(0)
        return nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)

    def step(module: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        inputs = torch.rand(2, 4, 6, 6, generator=torch.Generator().manual_seed(seed))
        module(inputs).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    first, second = layer(), layer()
    optimizer, other = (make_optimizer(module, TrainingSettings()) for module in (first, second))
    step(first, optimizer, 1)
    second.load_state_dict(first.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    for values in state["state"].values():
        values |= {name: value.clone(memory_format=torch.contiguous_format) for name, value in values.items()}
    restore_optimizer(other, state)
    for module, its in ((first, optimizer), (second, other)):
        step(module, its, 2)
    assert torch.equal(first.weight, second.weight)
