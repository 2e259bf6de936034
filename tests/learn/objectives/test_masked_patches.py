from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.core.recipe import make_recipe
from suwen.data.preprocess import ImagePreprocess
from suwen.heads.embed import Embed
from suwen.learn.objectives.masked_patches import MaskedPatches, cut, normalised


def vit(**options: Any) -> Any:
    settings = {"depth": 2, "embed_dim": 32, "num_heads": 2, "patch_size": 8, "stem": "plain", **options}
    return build_encoder("timm:vit_tiny_patch16_224", ImagePreprocess(size=32, channels=1), **settings).eval()


def module_of(encoder: Any, **objective: Any) -> MaskedPatches:
    recipe = make_recipe({"task": "image-masked", "objective": {"width": 32, "depth": 1, **objective}})
    return MaskedPatches(encoder, Embed(encoder.width), recipe)


def test_patches_are_cut_row_by_row() -> None:
    images = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    patches = cut(images, (2, 3))
    assert patches.shape == (2, 4, 18)
    assert torch.equal(patches[1, 1].reshape(2, 3, 3), images[1, :, :2, 3:].permute(1, 2, 0))


def test_a_normalised_patch_has_mean_0_and_variance_1_and_a_blank_one_is_0() -> None:
    found = normalised(torch.stack([torch.rand(50), torch.full((50,), 3.0)]))
    assert abs(float(found[0].mean())) < 1e-5 and float(found[0].var()) == pytest.approx(1, abs=1e-3)
    assert not found[1].any()


@pytest.mark.parametrize("options", [{}, {"reg_tokens": 2}, {"no_embed_class": True}, {"class_token": False}])
def test_with_nothing_hidden_the_encoder_sees_what_it_always_sees(options: dict[str, Any]) -> None:
    if options.get("class_token") is False:
        options = {**options, "global_pool": "avg"}
    encoder = vit(**options)
    images = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        whole = encoder.model.forward_features(encoder.prepare(images))[:, encoder.model.num_prefix_tokens :]
        assert torch.allclose(encoder.contextualise(encoder.tokenize(encoder.prepare(images))), whole, atol=1e-5)


def test_hidden_patches_are_not_seen_and_only_they_are_judged() -> None:
    module = module_of(vit(), masked=0.75).eval()
    images = torch.rand(1, 1, 32, 32)

    def loss(changed: torch.Tensor) -> tuple[float, torch.Tensor]:
        torch.manual_seed(3)
        with torch.no_grad():
            found = module({"inputs": changed, "index": np.arange(1)})
        return float(found["loss"]), found["output"]

    torch.manual_seed(3)
    back = torch.rand(1, 16).argsort(1).argsort(1)[0]
    hidden, visible = int((back >= 4).nonzero()[0]), int((back < 4).nonzero()[0])
    base, said = loss(images)

    def with_noise_in(patch: int) -> torch.Tensor:
        changed = images.clone()
        row, column = divmod(patch, 4)
        changed[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = torch.rand(8, 8)
        return changed

    other, said_again = loss(with_noise_in(hidden))
    assert torch.equal(said, said_again) and other != base
    assert not torch.equal(said, loss(with_noise_in(visible))[1])


def test_it_learns_to_fill_in_a_pattern() -> None:
    torch.manual_seed(0)
    module = module_of(vit(), masked=0.5, normalise=0).train()
    rows = torch.arange(32)
    images = torch.stack([((rows // 4 + shift) % 2).float().expand(1, 32, 32) for shift in (0, 1)] * 4)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = module({"inputs": images, "index": np.arange(8)})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_a_network_without_patches_is_refused() -> None:
    encoder = build_encoder("timm:test_resnet", ImagePreprocess(size=32, channels=1))
    with pytest.raises(RecipeError, match="test_resnet") as refused:
        module_of(encoder)
    assert "suwen:vit-narrow" in refused.value.fix
