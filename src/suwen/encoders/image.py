"""``timm:NAME``: any timm image model as an `Encoder`."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal, cast

import timm
import torch
import torch.nn.functional as F
from timm.models import group_parameters
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess
from suwen.encoders.stems import SMALL, STRIDES, has_small_stem, open_stem, small_stem_options
from suwen.encoders.trace import Trace, trace
from suwen.encoders.weights import Weights, create_filled, find_weights

MEAN, STD = 0.5, 0.25
"""Normalisation of inputs in [0, 1] for random weights; pretrained weights bring their own."""

CAM_SIDE = 7
"""Grad-CAM is drawn on the deepest map that has so many pixels a side, as the last one of a ResNet at 224 px has. On
the 2 × 2 pixels that are left of an image of 64 it can point at corners only: it hit 0 lesions of 55, and 36 on 8 × 8.
"""


class TimmEncoder(nn.Module):
    """A timm model without its classifier.

    Inputs are images ``(B, C, H, W)``: uint8 in [0, 255] or float in [0, 1]; they are normalised here.
    `Features.pooled` is timm's ``forward_head(…, pre_logits=True)``; `tokens` (of patches alone) and `maps` are
    given where the architecture has them. `grid` and `patch` are the rows and columns of patches of a plain vision
    transformer and their size in pixels, None for other networks.

    Args:
        name: a timm model name, ``"resnet18"``, ``"vit_small_patch14_dinov2"``.
        preprocess: has `channels` (1–4) and `size` (pixels).
        weights: None, a local ``.safetensors`` file or a folder with one, ``"hub"``, or ``"hf-hub:ORG/NAME"``.
        needs: ``{"maps"}`` computes the finer maps too; they cost memory.
        stem: ``"small"`` keeps the resolution of images under 64 px (as ResNet on CIFAR: He et al. 2016, section 4.2);
            ``"half"`` halves it, about four times cheaper; ``"plain"`` is the stock stem; ``"auto"`` takes the small
            one for small images, where the family has one and no pretrained weights are given.
        resize: side in pixels to which inputs are interpolated on the device first; None leaves them, except that with
            ``stem="auto"`` a plain stem sees images under 64 px enlarged fourfold.
        normalise: ``"fixed"`` mean and standard deviation, or those of each ``"image"``.
        mean, std: of inputs in [0, 1], one number or one a channel, in place of those that the weights bring.
        drop_rate, drop_path_rate: of timm, where the architecture has them.

    Raises:
        NameUnknown: timm has no such model; the nearest names are offered.
        RecipeError: the architecture cannot read images of this size, or does not take an option.
        WeightsMissing: see `suwen.encoders.weights`.
    """

    model: Any
    mean: Tensor
    std: Tensor
    grid: tuple[int, int] | None
    patch: tuple[int, int] | None

    def __init__(
        self,
        name: str,
        preprocess: Preprocess,
        *,
        weights: str | None = None,
        needs: frozenset[str] = frozenset(),
        stem: Literal["auto", "plain", "small", "half"] = "auto",
        resize: int | None = None,
        normalise: Literal["fixed", "image"] = "fixed",
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        size, channels = int(getattr(preprocess, "size", 224)), int(getattr(preprocess, "channels", 3))
        _known(name)
        found = find_weights(name, weights)
        if stem == "auto":
            stem = "small" if size < SMALL and found is None and has_small_stem(name) else "plain"
            if size < SMALL and stem == "plain" and resize is None:
                resize = 4 * size
        self.config = {"name": f"timm:{name}", "stem": stem, "resize": resize, "normalise": normalise, **options}
        given = {"mean": mean, "std": std}
        self.config |= {key: _plain(value) for key, value in given.items() if value is not None}
        self.licence = found.licence if found else None
        self._wants_maps = "maps" in needs
        self._resize, self._normalise = resize, normalise
        self.model = _create(name, channels, resize or size, stem, found, options)
        usual = _normalisation(self.model, channels, pretrained=found is not None)
        for (key, value), default in zip(given.items(), usual, strict=True):
            self.register_buffer(key, default if value is None else _given(key, value, channels))
        seen = self._try(channels, size)
        shape: Features = seen.output
        self.width = shape.pooled.shape[1]
        self.grid, self.patch = _patches(self.model)
        self.map_widths = tuple(grid.shape[1] for grid in shape.maps or ())
        self._cam = self._finest_deep({call.name: call.shape for call in seen.calls})

    def forward(self, images: Tensor) -> Features:
        """``(B, C, H, W)`` → `Features`."""
        x = self.prepare(images)
        maps: tuple[Tensor, ...] | None = None
        if self._wants_maps:
            last, grids = self.model.forward_intermediates(x)
            maps = tuple(grids)
        else:
            last = self.model.forward_features(x)
        pooled = self.model.forward_head(last, pre_logits=True).flatten(1)
        # class and register tokens come first and stand for no patch
        tokens = last[:, int(getattr(self.model, "num_prefix_tokens", 0)) :] if last.ndim == 3 else None
        if maps is None and last.ndim == 4:
            maps = (self._grid(last),)
        return Features(pooled=pooled, tokens=tokens, maps=maps, size=tuple(images.shape[2:]) if maps else None)

    def tokenize(self, prepared: Tensor) -> Tensor:
        """``(B, C, H, W)`` prepared images → ``(B, N, D)`` patches with their positions; see `grid`."""
        placed: Tensor = self.model._pos_embed(self.model.patch_embed(prepared))
        return placed[:, self.model.num_prefix_tokens :]

    def contextualise(self, tokens: Tensor) -> Tensor:
        """``(B, n, D)`` some of the patches → the same after all layers, as if the others were not there."""
        prefix = _prefix(self.model).expand(len(tokens), -1, -1).to(tokens.dtype)
        x = self.model.norm_pre(torch.cat([prefix, tokens], 1))
        seen: Tensor = self.model.norm(self.model.blocks(x))
        return seen[:, self.model.num_prefix_tokens :]

    def depths(self) -> dict[str, int]:
        """Parameter name → block number from the input, by timm's own grouping."""
        matcher = self.model.group_matcher(coarse=False)
        found: dict[str, int] = group_parameters(self.model, matcher, reverse=True)
        return {f"model.{name}": depth for name, depth in found.items()}

    def cam_layer(self) -> nn.Module:
        """The deepest map of a CNN that is not too coarse (`CAM_SIDE`); the first norm of a transformer's last block.

        After a transformer's last attention the class token no longer reads the patches, so their gradient there is 0.
        """
        return cast(nn.Module, self.model.get_submodule(self._cam))

    def _finest_deep(self, shapes: dict[str, torch.Size]) -> str:
        """The name of `cam_layer`, by the shapes that modules gave for one image."""
        blocks = getattr(self.model, "blocks", None)
        if blocks is not None and hasattr(blocks[-1], "norm1"):
            return f"blocks.{len(blocks) - 1}.norm1"
        names = [info["module"] for info in self.model.feature_info]
        grids = {name: self._grid(torch.empty(shapes[name], device="meta")) for name in names if name in shapes}
        fine = [name for name, grid in grids.items() if min(grid.shape[2:]) >= CAM_SIDE]
        return str(fine[-1] if fine else names[-1])

    def _try(self, channels: int, size: int) -> Trace:
        """One black image through the network."""
        try:
            return trace(self, self.model, torch.zeros(1, channels, size, size))
        except (RuntimeError, AssertionError) as error:
            raise RecipeError(
                f"{self.config['name']} with a {self.config['stem']} stem cannot read images of {size} px",
                why=" ".join(str(error).split())[:300],
                fix=f"--set encoder.options.resize={4 * size}, or another --size",
            ) from error

    def prepare(self, images: Tensor) -> Tensor:
        """Images as the network reads them: in [0, 1], normalised, resized."""
        x = images.float().div(255) if images.dtype == torch.uint8 else images
        if self._normalise == "image":
            deviation, mean = torch.std_mean(x, dim=(1, 2, 3), keepdim=True)
            x = (x - mean) / (deviation + 1e-5)
        else:
            x = (x - self.mean) / self.std
        if self._resize:
            x = F.interpolate(x, size=(self._resize, self._resize), mode="bilinear", antialias=False)
        return x

    def _grid(self, last: Tensor) -> Tensor:
        """(B, C, H, W), also from the models that put channels last."""
        return last.permute(0, 3, 1, 2) if getattr(self.model, "output_fmt", "NCHW") == "NHWC" else last


def _patches(model: nn.Module) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Grid and size of the patches of a plain vision transformer, None for other networks."""
    if not isinstance(model, VisionTransformer):
        return None, None
    return tuple(model.patch_embed.grid_size), tuple(model.patch_embed.patch_size)


def _prefix(model: Any) -> Tensor:
    """``(1, n, D)`` class and register tokens, with their positions where they have some."""
    tokens = [token for token in (model.cls_token, model.reg_token) if token is not None]
    if not tokens:
        return torch.zeros(1, 0, model.embed_dim, device=next(model.parameters()).device)
    prefix = torch.cat(tokens, 1)
    return prefix if model.no_embed_class else prefix + model.pos_embed[:, : prefix.shape[1]]


def _known(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        known = timm.list_models()
        near = get_close_matches(architecture, known, n=4, cutoff=0.5)
        raise NameUnknown("timm model", name, near or known, fix="suwen encoders NAME   lists those that contain NAME")
    if tag and name not in (tagged := timm.list_pretrained(f"{architecture}.*")):
        raise NameUnknown("timm model", name, [architecture, *tagged], fix=f"timm:{architecture}")


def _create(
    name: str, channels: int, size: int, stem: str, weights: Weights | None, options: dict[str, Any]
) -> nn.Module:
    keywords: dict[str, Any] = {"num_classes": 0, "in_chans": channels, **options}
    if stem in STRIDES:
        if not has_small_stem(name):
            raise RecipeError(
                f"timm:{name} with stem={stem}", why="its family has none here", fix=f"stem=plain resize={4 * size}"
            )
        keywords = small_stem_options(name, STRIDES[stem]) | keywords
    cfg = timm.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size:
        keywords["img_size"] = size
    try:
        model: nn.Module = create_filled(name, weights, keywords) if weights else timm.create_model(name, **keywords)
    except TypeError as error:
        raise RecipeError(
            f"timm:{name} does not take these options: {error}",
            why="each architecture has its own",
            fix="drop the option",
        ) from error
    if stem in STRIDES:
        open_stem(model, name, channels, STRIDES[stem])
    return model


def _normalisation(model: nn.Module, channels: int, *, pretrained: bool) -> tuple[Tensor, Tensor]:
    """Mean and deviation ``(1, C, 1, 1)``; those of three colours are averaged for another number of channels."""
    cfg = getattr(model, "pretrained_cfg", {}) if pretrained else {}
    found = []
    for values in (cfg.get("mean", (MEAN,)), cfg.get("std", (STD,))):
        values = torch.tensor(values)
        values = values if len(values) == channels else values.mean().expand(channels)
        found.append(values.reshape(1, channels, 1, 1).clone())
    return found[0], found[1]


def _plain(value: float | Sequence[float]) -> float | list[float]:
    return float(value) if isinstance(value, (int, float)) else [float(each) for each in value]


def _given(name: str, value: float | Sequence[float], channels: int) -> Tensor:
    """A mean or deviation that the user names, ``(1, C, 1, 1)``."""
    values = torch.tensor(_plain(value)).reshape(-1)
    if len(values) not in (1, channels) or not values.isfinite().all() or (name == "std" and (values <= 0).any()):
        raise RecipeError(
            f"encoder.options.{name} = {value}",
            why=f"it is one number, or one for each of {channels} channels, in [0, 1]; a deviation is above 0",
            fix=f"--set encoder.options.{name}=0.5",
        )
    return values.expand(channels).reshape(1, channels, 1, 1).clone()
