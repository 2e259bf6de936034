from __future__ import annotations

from typing import Any

import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import LimeBase
from torch import Tensor, nn

from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.model import Model
from suwen.explanation.coalitions import draw_evenly, proximity
from suwen.explanation.image_parts import grid
from suwen.explanation.lime import lime


def test_with_the_same_samples_it_is_captums(model: Model, asked: nn.Module, images: Tensor) -> None:
    x, cut, samples = images[0], grid(images[0], 16), 60
    kept = draw_evenly(samples, 16, torch.Generator().manual_seed(4))

    def perturb(_original: Tensor, **_: Any) -> Any:
        yield from (row[None].float() for row in kept)

    def similar(_original: Tensor, _perturbed: Tensor, interpretable: Tensor, **_: Any) -> Tensor:
        return proximity(interpretable.bool(), 0.25)[0]

    rival = LimeBase(
        asked,
        interpretable_model=SkLearnRidge(alpha=0.5),
        similarity_func=similar,
        perturb_func=perturb,
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda row, original, **_: original * row[0][cut],
        to_interp_rep_transform=None,
    )
    expected = rival.attribute(x[None], target=1, n_samples=samples).flatten()[cut]
    found = lime(
        model,
        x[None],
        torch.tensor([1]),
        samples=samples,
        segments="grid",
        count=16,
        ridge_strength=0.5,
        baseline="black",
        seed=4,
    )
    torch.testing.assert_close(found[0], expected.float(), atol=1e-4, rtol=1e-3)


def test_the_seed_decides_and_batches_do_not(model: Model, images: Tensor, labels: Tensor) -> None:
    settings: dict[str, Any] = {"samples": 80, "count": 16}
    first = lime(model, images, labels, **settings)
    assert torch.equal(first, lime(model, images, labels, **settings))
    assert not torch.equal(first, lime(model, images, labels, seed=1, **settings))
    torch.testing.assert_close(lime(model, images, labels, batch=1, **settings), first, atol=1e-4, rtol=1e-3)


def test_a_constant_image_has_nothing_to_explain(model: Model, labels: Tensor) -> None:
    assert lime(model, torch.full((3, 1, 32, 32), 0.5), labels, samples=70).abs().max() < 1e-5


def test_bad_settings_are_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(RecipeError, match="samples = 20 for"):
        lime(model, images, labels, samples=20)
    with pytest.raises(NameUnknown, match="slic"):
        lime(model, images, labels, segments="slick")
    with pytest.raises(RecipeError, match="width"):
        lime(model, images, labels, width=0)
