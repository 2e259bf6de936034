from __future__ import annotations

from typing import Any

import pytest
import torch
from captum.attr import KernelShap, ShapleyValues
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.explanation.coalitions import shapley
from suwen.explanation.image_parts import grid
from suwen.explanation.kernel_shap import kernel_shap
from suwen.explanation.parts import Game, parts_of


def test_few_segments_give_the_exact_shapley_values(
    model: Model, asked: nn.Module, images: Tensor, labels: Tensor
) -> None:
    cut = grid(images[0], 4)
    rival = ShapleyValues(asked).attribute(images, baselines=0.0, target=labels, feature_mask=cut[None, None])
    found = kernel_shap(model, images, labels, samples=14, segments="grid", count=4, baseline="black")
    torch.testing.assert_close(found, rival[:, 0].float(), atol=1e-4, rtol=1e-3)


def test_with_the_same_coalitions_it_is_captums(model: Model, asked: nn.Module, images: Tensor) -> None:
    x, label, cut = images[0], torch.tensor(2), grid(images[0], 16)
    rival, drawn = KernelShap(asked), []
    draw = rival.perturb_func

    def record(*arguments: Any, **keywords: Any) -> Any:
        for row in draw(*arguments, **keywords):
            drawn.append(row)
            yield row

    rival.perturb_func = record  # type: ignore[method-assign]
    torch.manual_seed(0)
    expected = rival.attribute(x[None], baselines=0.0, target=2, feature_mask=cut[None, None], n_samples=120)
    kept = torch.cat(drawn).bool()
    kept = kept[(kept.sum(1) > 0) & (kept.sum(1) < 16)]
    ends = torch.tensor([False, True])[:, None].expand(2, 16)
    values = Game(model, parts_of(model), x, label, torch.zeros_like(x)).of_segments(torch.cat([ends, kept]), cut)
    found = shapley(kept, values[2:], torch.ones(len(kept)), values[0], values[1])[cut]
    # captum enforces the sum by a weight of a million, suwen exactly
    torch.testing.assert_close(found.float(), expected[0, 0].float(), atol=5e-3, rtol=1e-2)


def test_the_segments_add_up_to_the_whole(model: Model, images: Tensor, labels: Tensor) -> None:
    found = kernel_shap(model, images, labels, samples=100, segments="grid", count=16, baseline="black")
    with torch.no_grad():
        gap = (model.logits(images) - model.logits(torch.zeros_like(images))).gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(found.sum((1, 2)) / 64, gap, atol=1e-3, rtol=1e-3)  # 64 pixels a square


def test_fewer_samples_than_segments_are_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(RecipeError, match="each sample one equation"):
        kernel_shap(model, images, labels, samples=10)
