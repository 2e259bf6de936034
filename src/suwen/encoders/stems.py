"""Stems for images under 64 px, which the stock stems of large-image networks would shrink to nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from timm.models import model_entrypoint
from torch import nn

SMALL = 64
"""Images with sides under this many pixels get the small stem by default."""

STRIDES = {"small": 1, "half": 2}
"""Stem → how much it shrinks an image; stock stems shrink it fourfold or more."""

_PATCHES = {"vision_transformer": 4, "deit": 4, "eva": 4, "convnext": 1}
"""timm module → side of its patches with a small stem, in pixels."""


def has_small_stem(name: str) -> bool:
    """Whether the family of this timm model is known here."""
    return _family(name) in _PATCHES or _family(name) in _SURGERY


def small_stem_options(name: str, stride: int) -> dict[str, Any]:
    """Arguments for ``timm.create_model`` that give `name` a small stem, where arguments can."""
    side = _PATCHES.get(_family(name))
    return {} if side is None else {"patch_size": side * stride}


def open_stem(model: nn.Module, name: str, channels: int, stride: int) -> None:
    """Reduce the early downsampling of a CNN to `stride` (1 or 2) in place, where arguments cannot."""
    if open_ := _SURGERY.get(_family(name)):
        open_(model, channels, stride)


def _family(name: str) -> str:
    return model_entrypoint(name).__module__.rpartition(".")[2]


def _resnet(model: Any, channels: int, stride: int) -> None:
    """3×3 first convolution, no max-pool (He et al. 2016, section 4.2)."""
    model.conv1 = _restrided(model.conv1, channels, stride)
    model.maxpool = nn.Identity()


def _densenet(model: Any, channels: int, stride: int) -> None:
    """3×3 first convolution, no pooling before the first block (Huang et al. 2017, section 4.1, CIFAR)."""
    model.features.conv0 = _restrided(model.features.conv0, channels, stride)
    model.features.pool0 = nn.Identity()


def _vgg(model: Any, channels: int, stride: int) -> None:
    """Without its first two poolings (stride 1) or the first (stride 2), so that 28 px leave a grid."""
    pools = [number for number, layer in enumerate(model.features) if isinstance(layer, nn.MaxPool2d)]
    for number in pools[: 3 - stride]:
        model.features[number] = nn.Identity()


def _inception(model: Any, channels: int, stride: int) -> None:
    """First convolution of this stride, neither of the two stem poolings: valid convolutions then fit into 28 px."""
    model.Conv2d_1a_3x3.conv.stride = (stride, stride)
    model.Pool1 = nn.Identity()
    model.Pool2 = nn.Identity()


def _efficientnet(model: Any, channels: int, stride: int) -> None:
    """First convolution of this stride."""
    model.conv_stem.stride = (stride, stride)


_SURGERY: dict[str, Callable[[Any, int, int], None]] = {
    "resnet": _resnet,
    "res2net": _resnet,
    "resnest": _resnet,
    "densenet": _densenet,
    "vgg": _vgg,
    "inception_v3": _inception,
    "efficientnet": _efficientnet,
    "mobilenetv3": _efficientnet,
}
"""timm module → how to open its stem."""


def _restrided(first: Any, channels: int, stride: int) -> nn.Module:
    if isinstance(first, nn.Sequential):
        cast(nn.Conv2d, first[0]).stride = (stride, stride)
        return first
    made = nn.Conv2d(channels, first.out_channels, 3, stride=stride, padding=1, bias=first.bias is not None)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made
