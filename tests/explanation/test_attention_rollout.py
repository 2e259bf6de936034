from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from suwen.core.errors import RecipeError
from suwen.core.model import Model
from suwen.explanation.attention_rollout import attention_rollout, rollout


def test_the_map_is_the_class_tokens_row_of_the_product(vit: Model) -> None:
    images, seen = torch.rand(2, 1, 64, 64), []
    inner = vit.encoder.model  # type: ignore[attr-defined]
    hooks = [b.attn.qkv.register_forward_hook(lambda _m, _i, output: seen.append(output)) for b in inner.blocks]
    found = attention_rollout(vit, images, torch.tensor([0, 1]))
    for hook in hooks:
        hook.remove()
    side, flow = inner.patch_embed.grid_size[0], [np.eye(seen[0].shape[1])] * 2
    for qkv, block in zip(seen, inner.blocks, strict=True):  # attention written out from queries and keys
        q, k, _ = qkv.double().reshape(2, qkv.shape[1], 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = block.attn.q_norm(q.float()), block.attn.k_norm(k.float())
        attention = (q @ k.transpose(-2, -1) * block.attn.scale).softmax(-1).mean(1).double().numpy()
        flow = [(0.5 * a + 0.5 * np.eye(len(a))) @ f for a, f in zip(attention, flow, strict=True)]
    for shown, product in zip(found.numpy(), flow, strict=True):
        row = product[0, 1:].reshape(side, side)
        cell = 64 // side
        corner = shown[0, 0], shown[-1, -1]
        np.testing.assert_allclose(corner, (row / row.max())[[0, -1], [0, -1]], atol=1e-4)
        assert shown.shape == (64, 64) and cell * side == 64


def test_no_attention_leaves_each_token_to_itself() -> None:
    eye = torch.eye(4)[None]
    assert torch.equal(rollout([eye, eye]), eye)
    even = torch.full((1, 4, 4), 0.25)
    torch.testing.assert_close(rollout([even]).sum(-1), torch.ones(1, 4))


def test_the_model_is_left_as_it_was(vit: Model) -> None:
    inner = vit.encoder.model  # type: ignore[attr-defined]
    before = [block.attn.fused_attn for block in inner.blocks]
    attention_rollout(vit, torch.rand(1, 1, 64, 64), torch.tensor([0]))
    assert [block.attn.fused_attn for block in inner.blocks] == before
    assert not any(module._forward_hooks for module in inner.modules())


def test_a_network_without_attention_is_refused(model: Model, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(RecipeError, match="timm:test_resnet has no attention"):
        attention_rollout(model, images, labels)
