"""Stems for images under 64 px, which the stock stems of large-image networks would shrink to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from timm.models import model_entrypoint
from torch import nn

SMALL = 64
"""Images with sides under this many pixels get the small stem by default."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "vision_transformer": {"patch_size": 4},
    "deit": {"patch_size": 4},
    "eva": {"patch_size": 4},
    "convnext": {"patch_size": 2},
}
"""timm module → arguments that make its patches small enough."""


def small_stem_options(name: str) -> dict[str, Any]:
    """Arguments for ``timm.create_model`` that give `name` a small stem, where arguments can."""
    return dict(_OPTIONS.get(model_entrypoint(name).__module__.rpartition(".")[2], {}))


def open_stem(model: nn.Module, channels: int) -> None:
    """Remove the early downsampling of a CNN in place, where its family is known; others are left alone."""
    for path, open_ in _SURGERY.items():
        try:
            model.get_submodule(path)
        except AttributeError:
            continue
        open_(model, channels)
        return


def _resnet(model: nn.Module, channels: int) -> None:
    """3×3 stride-1 first convolution, no max-pool (He et al. 2016, section 4.2)."""
    model.conv1 = _unstrided(cast(nn.Module, model.conv1), channels)
    model.maxpool = nn.Identity()


def _densenet(model: nn.Module, channels: int) -> None:
    """3×3 stride-1 first convolution, no pooling before the first block (Huang et al. 2017, section 4.1, CIFAR)."""
    features = cast(Any, model.features)
    features.conv0 = _unstrided(features.conv0, channels)
    features.pool0 = nn.Identity()


def _vgg(model: nn.Module, channels: int) -> None:
    """Without its first two poolings, so that 28 px leave a 3×3 grid."""
    features = cast(nn.Sequential, model.features)
    pools = [number for number, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    for number in pools[:2]:
        features[number] = nn.Identity()


def _inception(model: nn.Module, channels: int) -> None:
    """Stride-1 first convolution, neither of the two stem poolings: valid convolutions then fit into 28 px."""
    first = cast(Any, model.Conv2d_1a_3x3)
    first.conv.stride = (1, 1)
    model.Pool1 = nn.Identity()
    model.Pool2 = nn.Identity()


_SURGERY: dict[str, Callable[[nn.Module, int], None]] = {
    "maxpool": _resnet,
    "features.pool0": _densenet,
    "pre_logits": _vgg,
    "Conv2d_1a_3x3": _inception,
}
"""A submodule that only this family has → how to open its stem."""


def _unstrided(first: nn.Module, channels: int) -> nn.Module:
    if isinstance(first, nn.Sequential):
        cast(nn.Conv2d, first[0]).stride = (1, 1)
        return first
    conv = cast(nn.Conv2d, first)
    made = nn.Conv2d(channels, conv.out_channels, 3, stride=1, padding=1, bias=conv.bias is not None)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made
