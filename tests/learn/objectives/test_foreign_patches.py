from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.core.recipe import make_recipe
from suwen.data.preprocess import ImagePreprocess
from suwen.heads.embed import Embed
from suwen.learn.objectives.foreign_patches import ForeignPatches, Patches, blend, soft_ellipses


def patches(*, alpha: float = 1.0, there: bool = True, axes: tuple[float, float] = (0.5, 0.5)) -> Patches:
    """One ellipse in the middle of each of two images, filled from the other."""
    return Patches(
        partner=torch.tensor([1, 0]),
        centre=torch.zeros(2, 1, 2),
        axes=torch.tensor(axes).expand(2, 1, 2),
        angle=torch.zeros(2, 1),
        alpha=torch.full((2, 1), alpha),
        there=torch.full((2, 1), there),
    )


def module_of(name: str = "timm:test_resnet", size: int = 32, **objective: Any) -> ForeignPatches:
    recipe = make_recipe({"task": "image-foreign-patches", "objective": objective})
    encoder = build_encoder(name, ImagePreprocess(size=size, channels=1))
    return ForeignPatches(encoder, Embed(encoder.width), recipe)


def test_inside_lies_the_other_image_outside_its_own() -> None:
    images = torch.stack([torch.zeros(1, 33, 33), torch.ones(1, 33, 33)])
    changed, share = blend(images, patches())
    assert changed[0, 0, 16, 16] == 1 and changed[1, 0, 16, 16] == 0
    assert torch.equal(changed[:, :, 0], images[:, :, 0])
    assert share[0, 0, 16, 16] == 1 and share[0, 0, 0, 0] == 0


def test_alpha_is_how_much_of_it_is_foreign() -> None:
    images = torch.stack([torch.zeros(1, 33, 33), torch.ones(1, 33, 33)])
    changed, share = blend(images, patches(alpha=0.4))
    assert changed[0, 0, 16, 16] == pytest.approx(0.4) and share[0, 0, 16, 16] == pytest.approx(0.4)


def test_what_looks_the_same_is_not_foreign() -> None:
    images = torch.full((2, 1, 33, 33), 0.5)
    images[1] += 0.01
    assert not blend(images, patches())[1].any()
    assert not blend(torch.rand(2, 1, 33, 33), patches(there=False))[1].any()


def test_an_ellipse_has_the_axes_and_the_angle_drawn() -> None:
    """Half of the weight is reached at three quarters of each half-axis; turned by 90°, the axes change places."""
    flat = soft_ellipses(patches(axes=(0.8, 0.4)), (101, 101))[0, 0]
    columns, rows = flat[50] > 0, flat[:, 50] > 0
    assert columns.sum() == pytest.approx(80, abs=2) and rows.sum() == pytest.approx(40, abs=2)
    assert flat[50, 80] == pytest.approx(0.5, abs=0.01)
    drawn = patches(axes=(0.8, 0.4))
    drawn.angle[:] = torch.pi / 2
    assert torch.allclose(soft_ellipses(drawn, (101, 101))[0, 0], flat.T, atol=1e-4)


def test_the_loss_is_that_of_the_shares_on_the_answers_grid() -> None:
    module = module_of(detail=4).eval()
    batch = {"inputs": torch.rand(6, 1, 32, 32), "index": np.arange(6)}
    torch.manual_seed(0)
    found = module(batch)
    torch.manual_seed(0)
    changed, share = blend(batch["inputs"], module._draw(batch["inputs"], batch))
    expected = module.read(module.encoder(changed).maps[-1])
    assert torch.allclose(found["output"], expected, atol=1e-5)
    probability = expected.sigmoid()
    target = F.adaptive_avg_pool2d(share, expected.shape[-2:])
    cross_entropy = -(target * probability.log() + (1 - target) * (1 - probability).log()).mean()
    assert float(found["loss"].detach()) == pytest.approx(float(cross_entropy.detach()), abs=1e-5)
    assert share.any() and len(set(module._draw(batch["inputs"], batch).partner.tolist())) == 6


def test_uint8_images_are_read_as_shares_of_white() -> None:
    module = module_of().eval()
    images = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    losses = []
    for inputs in (images, images.float() / 255):
        torch.manual_seed(1)
        losses.append(float(module({"inputs": inputs, "index": np.arange(4)})["loss"]))
    assert losses[0] == losses[1]


def test_it_learns_to_find_them() -> None:
    """Noise with a step from film to film: a foreign part is told from its own, above the entropy of guessing."""
    module = module_of("suwen:resnet18-narrow", size=32)
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    torch.manual_seed(0)
    images = torch.rand(32, 1, 1, 1) * 0.8 + torch.rand(32, 1, 32, 32) * 0.2
    losses = []
    for _ in range(40):
        loss = module({"inputs": images, "index": np.arange(32)})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_an_encoder_without_maps_is_refused() -> None:
    module = module_of()
    module.encoder.map_widths = ()
    with pytest.raises(RecipeError, match="gives no maps"):
        ForeignPatches(module.encoder, module.head, make_recipe({"task": "image-foreign-patches"}))
