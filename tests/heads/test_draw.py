from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from suwen.data.codebook import Codebook
from suwen.heads.draw import entropy, network_of, on_grid
from suwen.heads.unet import enlarged


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 20),
    st.lists(st.integers(1, 9), min_size=1, max_size=2),
    st.integers(1, 40),
    st.lists(st.integers(1, 14), min_size=2, max_size=2),
    st.integers(1, 7),
)
def test_layers_come_on_another_grid_as_if_the_whole_were_there(
    depth: int, rest: list[int], count: int, wanted: list[int], at_a_time: int
) -> None:
    whole = torch.randn(2, depth, *rest)
    shape = [count, *wanted[: len(rest)]]
    parts = [
        (start, min(start + at_a_time, depth), whole[:, start : start + at_a_time])
        for start in range(0, depth, at_a_time)
    ]
    found = list(on_grid(parts, depth, shape))
    assert [first for first, _, _ in found] == [0, *(stop for _, stop, _ in found[:-1])] and found[-1][1] == count
    together = torch.cat([part for _, _, part in found], 1)
    assert torch.allclose(together, enlarged(whole[None], shape)[0], atol=1e-5)


def test_a_grid_that_is_much_larger_comes_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suwen.heads.draw.PIECE", 2 * 60)
    parts = list(on_grid([(0, 8, torch.randn(3, 8, 4, 5))], 8, (32, 6, 10)))
    assert [stop - start for start, stop, _ in parts] == [2] * 16 and parts[0][2].shape == (3, 2, 6, 10)


def test_the_same_grid_is_handed_on_as_it_is() -> None:
    whole = torch.randn(3, 8, 4, 5)
    ((start, stop, part),) = on_grid([(0, 8, whole)], 8, (8, 4, 5))
    assert (start, stop) == (0, 8) and torch.equal(part, whole)


@pytest.mark.parametrize("count", [3, 17])
def test_no_more_layers_are_held_than_are_needed(count: int) -> None:
    held = []

    def parts() -> object:
        for start in range(0, 10, 2):
            held.append(start)
            yield start, start + 2, torch.zeros(1, 2, 3, 3)

    for first, stop, _ in on_grid(parts(), 10, (count, 3, 3)):  # type: ignore[arg-type]
        # nothing is handed on that lies after the centre of the last layer that was seen
        assert (stop - 0.5) * 10 / count - 0.5 <= held[-1] + 1 + 1e-9 or held[-1] == 8
        assert first < stop
    assert np.array_equal(held, [0, 2, 4, 6, 8])


def test_entropy_runs_from_sure_to_all_alike() -> None:
    sure = torch.tensor([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
    found = entropy(sure[..., None])[:, 0]
    assert torch.allclose(found, torch.tensor([0.0, 1.0, float(np.log(2) / np.log(3))]), atol=1e-6)


def test_with_dropout_the_mean_of_the_samples_is_what_is_said_and_all_else_stays_as_it_is() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout2d(0.5), nn.Conv2d(8, 2, 1)
    ).eval()

    class Fake:
        views = ()
        head = SimpleNamespace(codebook=Codebook(("background", "vessel")))

        def parts(self) -> dict[str, nn.Module]:
            return {"all": layer}

        def see(self, inputs: torch.Tensor, views: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
            return layer(inputs), inputs.flatten(2).mean(2)

    x = torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        plain, _ = network_of(Fake())(x)  # type: ignore[arg-type]
        many, _ = network_of(Fake(), samples=400)(x)  # type: ignore[arg-type]
        again, _ = network_of(Fake())(x)  # type: ignore[arg-type]
    assert torch.equal(plain, again) and not layer.training and not layer[2].training
    assert torch.allclose(many.exp().sum(1), torch.ones(2, 8, 8), atol=1e-5)
    assert entropy(many.softmax(1)).mean() > entropy(plain.softmax(1)).mean() - 0.02
