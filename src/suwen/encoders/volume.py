"""``monai:NAME``: networks of MONAI for volumes, and for images, as an `Encoder`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from suwen.core.errors import ExtraMissing, NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess
from suwen.encoders.pyramid import MEAN, STD


@dataclass(frozen=True)
class Network:
    """One row.

    Attributes:
        name: of the class or function in ``monai.networks.nets``.
        options: that it is built with, unless others are given.
        inputs: the argument that takes the number of channels.
        width: the argument that takes the number of channels of its map of the inputs' size; None for networks that
            give one vector.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = "in_channels"
    width: str | None = "out_channels"


_RESNET: dict[str, Any] = {"inputs": "n_input_channels", "width": None}

NETWORKS: dict[str, Network] = {
    "unet": Network("UNet", {"channels": (16, 32, 64, 128), "strides": (2, 2, 2), "num_res_units": 2}),
    "basicunet": Network("BasicUNet", {"features": (16, 16, 32, 64, 128, 16)}),
    "segresnet": Network("SegResNet", {"init_filters": 8}),
    "swinunetr": Network("SwinUNETR", {"feature_size": 24}),
    **{f"resnet{depth}": Network(f"resnet{depth}", {"feed_forward": False}, **_RESNET) for depth in (10, 18, 34, 50)},
}
"""Name → network. Those that draw give features of every voxel where they gave logits; the head is suwen's."""

WIDTH = 16
"""Channels of the map of features, unless the option ``width`` says otherwise."""


class MonaiEncoder(nn.Module):
    """A network of MONAI without its last layer.

    `Features.maps` is one map of the inputs' size, and `pooled` its mean. A ResNet gives `pooled` alone.

    Args:
        name: a row of `NETWORKS`.
        preprocess: has `channels` and `patch`, whose length says whether inputs are images or volumes.
        weights: must be None.
        needs: not looked at.
        width: channels of the map.
        options: of the network, as MONAI names them.

    Raises:
        NameUnknown: there is no such network here.
        RecipeError: it does not take an option, or inputs of this size; or weights are asked for.
        ExtraMissing: MONAI is not installed.
    """

    licence: str | None = None
    pretrained = False

    def __init__(
        self,
        name: str,
        preprocess: Preprocess,
        *,
        weights: str | None = None,
        needs: frozenset[str] = frozenset(),
        width: int = WIDTH,
        **options: Any,
    ) -> None:
        super().__init__()
        if name not in NETWORKS:
            raise NameUnknown("MONAI network", name, NETWORKS, fix="suwen encoders")
        if weights is not None:
            raise RecipeError(
                f"monai:{name} with weights {weights!r}",
                why="weights of MONAI's bundles are pickles, which are not opened here",
                fix="drop --weights; or --encoder run:RUN",
            )
        patch = tuple(getattr(preprocess, "patch", (64, 64)))
        channels = int(getattr(preprocess, "channels", 1))
        self.config: dict[str, Any] = {"name": f"monai:{name}", **options}
        self.config |= {"width": width} if width != WIDTH else {}
        self.model = _build(name, len(patch), channels, width, options)
        self.maps = NETWORKS[name].width is not None
        pooled, found = self._try(name, torch.zeros(1, channels, *patch))
        self.width, self.map_widths = pooled, found

    def forward(self, inputs: Tensor) -> Features:
        """``(B, C, *S)``, uint8 in [0, 255] or float in [0, 1] → `Features`."""
        x = inputs.float().div(255) if inputs.dtype == torch.uint8 else inputs
        found: Tensor = self.model((x - MEAN) / STD)
        if not self.maps:
            return Features(pooled=found.flatten(1))
        return Features(pooled=found.flatten(2).mean(2), maps=(found,), size=tuple(inputs.shape[2:]))

    def depths(self) -> dict[str, int]:
        """All at one depth: these networks have their input and their output side by side."""
        return {name: 0 for name, _ in self.named_parameters()}

    def cam_layer(self) -> nn.Module:
        """The last convolution."""
        layers = [layer for layer in self.modules() if isinstance(layer, (nn.Conv2d, nn.Conv3d))]
        return layers[-1]

    def _try(self, name: str, inputs: Tensor) -> tuple[int, tuple[int, ...]]:
        """D, and the widths of the maps."""
        try:
            with torch.inference_mode():
                self.eval()
                found = self(inputs)
                self.train()
        except (RuntimeError, ValueError) as error:
            side = " x ".join(map(str, inputs.shape[2:]))
            raise RecipeError(
                f"monai:{name} cannot read patches of {side}",
                why=" ".join(str(error).split())[:300],
                fix="--set inputs.patch=[64, 64, 64], or another with sides that are multiples of 32",
            ) from error
        return found.pooled.shape[1], tuple(each.shape[1] for each in found.maps or ())


def _build(name: str, dims: int, channels: int, width: int, options: dict[str, Any]) -> nn.Module:
    try:
        from monai.networks import nets
    except ImportError as error:
        raise ExtraMissing(f"the encoder monai:{name}", "volume") from error
    row = NETWORKS[name]
    make: Callable[..., nn.Module] = getattr(nets, row.name)
    keywords = {"spatial_dims": dims, row.inputs: channels, **row.options, **options}
    if row.width is not None:
        keywords[row.width] = width
    try:
        return make(**keywords)
    except TypeError as error:
        raise RecipeError(
            f"monai:{name} does not take these options: {error}", why="each network has its own", fix="drop the option"
        ) from error
