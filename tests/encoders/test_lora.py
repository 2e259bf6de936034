from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from suwen.core.encoder import build_encoder
from suwen.core.errors import RecipeError
from suwen.data.preprocess import ImagePreprocess
from suwen.encoders.image import TimmEncoder
from suwen.encoders.lora import add_adapters

GREY = ImagePreprocess(size=32, channels=1)
NAMES = ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"]


def make(name: str, *, active: bool = True, **settings: Any) -> tuple[TimmEncoder, TimmEncoder, Tensor]:
    """An encoder in evaluation mode, the same with adapters that do something, and images."""
    torch.manual_seed(0)
    plain = TimmEncoder(name, GREY)
    for _ in range(2):
        plain(torch.rand(8, 1, 32, 32))
    adapted = copy.deepcopy(plain)
    add_adapters(adapted, **{"rank": 2, **settings})
    if active:
        with torch.no_grad():
            for key, weight in adapted.named_parameters():
                if ".lora_B" in key:
                    weight.normal_(std=0.1)
    return plain.eval(), adapted.eval(), torch.rand(3, 1, 32, 32)


@pytest.mark.parametrize("name", NAMES)
def test_before_training_nothing_has_changed_and_then_everything_may(name: str) -> None:
    plain, adapted, images = make(name, active=False)
    with torch.inference_mode():
        torch.testing.assert_close(plain(images).pooled, adapted(images).pooled, rtol=0, atol=1e-6)
    plain, adapted, images = make(name)
    with torch.inference_mode():
        assert not torch.allclose(plain(images).pooled, adapted(images).pooled, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_merged_features_are_equal_and_the_architecture_is_the_plain_one(name: str) -> None:
    plain, adapted, images = make(name)
    merged: Any = adapted.adapter.merged(adapted)  # type: ignore[attr-defined]
    assert merged.state_dict().keys() == plain.state_dict().keys() and merged.config == plain.config
    assert not hasattr(merged, "adapter") and all(weight.requires_grad for weight in merged.parameters())
    with torch.inference_mode():
        torch.testing.assert_close(merged(images).pooled, adapted(images).pooled, rtol=1e-4, atol=1e-5)


def test_a_layer_becomes_w_plus_the_scaled_product() -> None:
    """Against the formula, for a linear layer and a convolution."""
    plain, adapted, _ = make("test_convnext", rank=2, alpha=6)
    merged: Any = adapted.adapter.merged(adapted)  # type: ignore[attr-defined]
    state = adapted.state_dict()
    kinds = set()
    for name in adapted.config["layers"]:
        a, b = (state[f"{name}.lora_{letter}.default.weight"] for letter in "AB")
        change = (b.flatten(1) @ a.flatten(1)).reshape(plain.state_dict()[f"{name}.weight"].shape) * 6 / 2
        expected = plain.state_dict()[f"{name}.weight"] + change
        torch.testing.assert_close(merged.state_dict()[f"{name}.weight"], expected, rtol=1e-5, atol=1e-6)
        kinds.add(a.ndim)
    assert kinds == {2, 4}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norms", [True, False])
def test_only_adapters_and_norms_learn_and_each_gets_a_gradient(name: str, norms: bool) -> None:
    plain, adapted, images = make(name, norms=norms)
    pooled = adapted.train()(images).pooled
    (pooled * torch.randn(pooled.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    learning = {key for key, _ in adapted.named_parameters() if ".lora_" in key}
    of_norms = {key for key, weight in plain.named_parameters() if weight.ndim == 1 and is_norm(plain, key)}
    assert of_norms
    for key, weight in adapted.named_parameters():
        assert weight.requires_grad == (key in learning or (norms and key in of_norms)), key
        assert (weight.grad is not None) == weight.requires_grad, key


def is_norm(encoder: nn.Module, key: str) -> bool:
    return "Norm" in type(encoder.get_submodule(key.rpartition(".")[0])).__name__


def test_norms_that_learn_are_kept_and_are_no_other_encoders() -> None:
    plain, adapted, _ = make("test_resnet")
    kept, state = adapted.adapter.kept(adapted), plain.state_dict()  # type: ignore[attr-defined]
    norms = {key for key in state if is_norm(plain, key)}
    assert norms <= kept.keys() and {key for key in kept if ".lora_" not in key} == norms
    assert any("running_mean" in key for key in norms)
    _, frozen, _ = make("test_resnet", norms=False)
    assert all(".lora_" in key for key in frozen.adapter.kept(frozen))  # type: ignore[attr-defined]


def test_adapted_layers_get_their_inputs_as_they_are() -> None:
    """Cast to the adapters' float32, bfloat16 inputs would be kept twice for the way back."""
    _, adapted, images = make("test_resnet")
    seen = set()
    for name in adapted.config["layers"]:
        layer: Any = adapted.get_submodule(name)
        layer.lora_A["default"].register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        adapted.train()(images)
    assert torch.bfloat16 in seen


def test_layers_that_cannot_be_adapted_or_merged_are_left_alone() -> None:
    _, adapted, _ = make("test_convnext")
    for name in adapted.config["layers"]:
        layer = adapted.get_submodule(name).base_layer
        assert type(layer) in (nn.Linear, nn.Conv2d) and getattr(layer, "groups", 1) == 1
    depthwise = [m for m in timm.create_model("test_convnext").modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert depthwise  # and so the assertion above means something


def test_the_default_makes_no_layer_larger() -> None:
    _, adapted, _ = make("test_efficientnet", rank=8)
    for name in adapted.config["layers"]:
        layer: Any = adapted.get_submodule(name)
        small = sum(weight.numel() for key, weight in layer.named_parameters() if "lora_" in key)
        assert small < layer.base_layer.weight.numel()


def test_targets_are_ends_of_names() -> None:
    _, adapted, _ = make("test_vit", targets=("qkv", "fc1"))
    assert {name.rpartition(".")[2] for name in adapted.config["layers"]} == {"qkv", "fc1"}


def test_depths_go_on_naming_every_parameter() -> None:
    for name in ("test_resnet", "test_vit"):
        plain, adapted, _ = make(name)
        depths, before = adapted.depths(), plain.depths()
        assert set(depths) == {key for key, _ in adapted.named_parameters()}
        for key, depth in depths.items():
            if ".lora_" in key:
                assert depth == before[f"{key.partition('.lora_')[0]}.weight"]


def test_no_such_target_lists_what_there_is() -> None:
    with pytest.raises(RecipeError, match="no layer for adapters of rank 2 among attention") as refused:
        make("test_vit", targets=("attention",))
    assert "qkv" in refused.value.why


def test_it_is_not_typed_by_hand() -> None:
    with pytest.raises(RecipeError, match="lora:timm:resnet18") as refused:
        build_encoder("lora:timm:resnet18", GREY)
    assert refused.value.fix == "--encoder run:BASE --adapt lora"


def test_without_peft_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from suwen.core.errors import ExtraMissing

    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ExtraMissing, match=r"suwen\[lora\]"):
        add_adapters(TimmEncoder("test_resnet", GREY))


def test_a_share_of_the_parameters_of_the_default_encoder_learns() -> None:
    encoder: Any = build_encoder("suwen:resnet18-narrow", ImagePreprocess(size=28, channels=1))
    whole = sum(weight.numel() for weight in encoder.parameters())
    add_adapters(encoder, rank=4)
    learns = sum(weight.numel() for weight in encoder.parameters() if weight.requires_grad)
    assert np.round(learns / whole, 3) <= 0.05
