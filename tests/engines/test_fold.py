"""Folding changes the work, never the answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from suwen.core.model import Model
from suwen.engines.eager import frozen, plain
from suwen.engines.fold import fold_batch_norms
from suwen.engines.network import Network, probes
from suwen.engines.parity import differences


def norms(module: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in module.modules())


@pytest.mark.parametrize("encoder", ["test_resnet", "test_efficientnet", "test_vit"])
def test_a_folded_network_has_no_batch_norm_left_and_the_same_answers(make: Callable[..., Model], encoder: str) -> None:
    model = make(encoder)
    network, inputs = Network(model), probes(model, 6)
    folded = fold_batch_norms(network, inputs)
    assert norms(folded) == 0
    with torch.inference_mode():
        for ours, theirs in zip(folded(inputs), network(inputs), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_folding_leaves_the_model_itself_as_it_was(make: Callable[..., Model]) -> None:
    model = make()
    before = {key: value.clone() for key, value in Network(model).state_dict().items()}
    strides = {key: value.stride() for key, value in before.items()}
    frozen(model, 1)
    after = Network(model).state_dict()
    assert all(torch.equal(before[key], value) for key, value in after.items())
    assert {key: value.stride() for key, value in after.items()} == strides


class Shared(nn.Module):
    """A convolution whose output two normalisations read, then one that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2)
        self.again, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
        for norm in (self.one, self.two, self.norm):
            norm.running_mean.uniform_()  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        seen = self.conv(x)
        both: Tensor = self.one(seen) + self.two(seen)
        return self.norm(self.again(self.norm(self.again(both))))


def test_what_is_shared_is_not_folded() -> None:
    network, inputs = Shared().eval(), torch.rand(2, 1, 8, 8)
    folded = fold_batch_norms(network, inputs)
    assert norms(folded) == 3
    torch.testing.assert_close(folded(inputs), network(inputs))


class Aside(nn.Module):
    """A convolution whose output is also read by something that is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.norm.running_mean += 1  # type: ignore[operator]
        self.width, self.config = 2, {}

    def forward(self, x: Tensor) -> Tensor:
        seen = self.conv(x.float())
        total: Tensor = self.norm(seen) + seen
        return total


def test_where_folding_would_change_the_answers_nothing_is_folded(
    make: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, inputs = Aside().eval(), torch.rand(2, 1, 8, 8)
    changed = fold_batch_norms(network, inputs)
    assert not torch.allclose(changed(inputs), network(inputs), atol=0.1)
    model = make()

    def spoil(network: nn.Module, inputs: Tensor) -> nn.Module:
        folded = fold_batch_norms(network, inputs)
        folded.head.linear.bias.data += 1  # type: ignore[union-attr]
        return folded

    monkeypatch.setattr("suwen.engines.eager.fold_batch_norms", spoil)
    found = differences(frozen(model, 1), plain(model, 1), [probes(model, 3)])
    assert max(found.values()) < 1e-5
