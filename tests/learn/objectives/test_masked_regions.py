from __future__ import annotations

from typing import Any

import pytest
import torch

from suwen.core.errors import RecipeError
from suwen.core.recipe import Recipe
from suwen.data.whole_volume import WholeVolume
from suwen.encoders.pyramid import MEAN, UNetEncoder
from suwen.heads.embed import Embed
from suwen.learn.objectives.masked_regions import MaskedRegions

BOX = WholeVolume(spacing=(2, 2, 2), box=(20, 16, 12))


def bound(**objective: float) -> MaskedRegions:
    torch.manual_seed(0)
    encoder = UNetEncoder(BOX, widths=(4, 8))
    recipe = Recipe(task="volume-masked", inputs=BOX.model_dump(), objective=objective)
    return MaskedRegions(encoder, Embed(8), recipe)


def volumes(count: int = 3) -> Any:
    return torch.rand(count, 1, 20, 16, 12)


@pytest.mark.parametrize("masked", [0.05, 0.5, 0.75, 0.95])
def test_whole_cells_are_hidden_at_the_share_that_is_asked(masked: float) -> None:
    hidden = bound(masked=masked, cell=4).hide(volumes(), {})
    cells = hidden.reshape(3, 5, 4, 4, 4, 3, 4)
    assert (cells.float().mean((2, 4, 6)) % 1 == 0).all()
    assert (hidden.flatten(1).float().mean(1) == round(60 * masked) / 60).all()
    assert not (hidden[0] == hidden[1]).all()


def test_sides_that_no_cell_divides_are_covered() -> None:
    assert bound(cell=7).hide(volumes(), {}).shape == (3, 1, 20, 16, 12)


def test_only_what_is_hidden_counts_and_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    task = bound()
    task.eval()
    hidden = torch.zeros(3, 1, 20, 16, 12, dtype=torch.bool)
    hidden[..., :8] = True
    monkeypatch.setattr(task, "hide", lambda *_: hidden)
    inputs = volumes()
    found = task({"inputs": inputs})
    other = torch.where(hidden, torch.rand_like(inputs), inputs)
    assert torch.equal(task({"inputs": other})["output"], found["output"])  # hidden voxels are not seen
    wrong = (found["output"] - inputs)[hidden.expand_as(inputs)].square().mean()
    assert torch.isclose(found["loss"], wrong)
    blank = torch.where(hidden, MEAN, inputs)
    assert torch.equal(task({"inputs": blank})["output"], found["output"])


def test_smooth_volumes_are_learned() -> None:
    task = bound(cell=4)
    places = torch.linspace(0, 1, 20)[:, None, None] * torch.ones(1, 16, 12)
    inputs = places.expand(4, 1, 20, 16, 12).contiguous()
    optimizer = torch.optim.Adam(task.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = task({"inputs": inputs})["loss"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 < losses[0]


def test_an_encoder_without_maps_is_refused() -> None:
    encoder = UNetEncoder(BOX, widths=(4, 8))
    encoder.map_widths = ()
    with pytest.raises(RecipeError, match="does not give"):
        MaskedRegions(encoder, Embed(8), Recipe(task="volume-masked", inputs=BOX.model_dump()))
