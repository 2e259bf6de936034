"""``hf:FOLDER``: vision models of transformers (ViT, DINOv2, Swin, ResNet, ConvNeXt …) from a local folder.

See `suwen.encoders.hf_folder` for what such a folder holds and what is refused.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.errors import RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess
from suwen.encoders.hf_folder import (
    filled_model,
    find_folder,
    licence_in,
    random_model,
    read_config,
    read_json,
    read_processor,
)
from suwen.encoders.image import MEAN, STD
from suwen.encoders.stems import SMALL
from suwen.encoders.trace import block_of, trace

_UNUSED = ("id2label", "label2id", "_name_or_path", "architectures", "transformers_version")
"""Of a config: what says nothing about the architecture of an encoder."""


class HfEncoder(nn.Module):
    """A transformers vision model without its classifier.

    Inputs are images ``(B, C, H, W)``, uint8 in [0, 255] or float in [0, 1]; they are scaled, normalised and resized as
    the folder's image processor says, grey ones shown in each of the model's colours. `Features.pooled` is the model's
    own pooled output (the class token of ViT and DeiT, whose extra dense layer was made for another loss and is left
    out); `tokens` is its last hidden state, class and register tokens first; `maps` are those of convolutional and
    hierarchical models.

    Args:
        name: a folder, or with ``weights="hub"`` a hub name.
        preprocess: has `channels` and `size` (pixels).
        weights: None for those in the folder, ``"none"`` for random ones, ``"hub"`` to fetch them, or another folder.
        needs: ``{"maps"}`` gives the finer maps too.
        resize: side in pixels to which inputs are interpolated; None takes the processor's, then the config's.
        architecture, mean, std, scale: as a Run's ``model.json`` records them; the folder is then not read.

    Raises:
        WeightsMissing: the folder is absent, or its weights are, or they do not fit.
        RecipeError: it holds pickles only, needs code of its own, or is no vision model.
        ExtraMissing: transformers is not installed.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        preprocess: Preprocess,
        *,
        weights: str | None = None,
        needs: frozenset[str] = frozenset(),
        resize: int | None = None,
        architecture: dict[str, Any] | None = None,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        size, channels = int(getattr(preprocess, "size", 224)), int(getattr(preprocess, "channels", 3))
        self.licence, self.pretrained = None, False
        if architecture is None:
            folder = find_folder(name, weights)
            config = read_config(read_json(folder / "config.json"), folder)
            processor = read_processor(folder)
            mean, std, scale = processor["mean"], processor["std"], processor["scale"]
            resize = resize or processor["size"] or _own_size(config, size)
            self.model = random_model(config) if weights == "none" else filled_model(config, folder)
            if weights != "none":
                self.licence, self.pretrained = licence_in(folder, name), True
        else:
            config = read_config(architecture, Path(name))
            self.model = random_model(config)
        self._colours = int(getattr(config, "num_channels", 3))
        _refuse_channels(name, channels, self._colours)
        self._resize, self._scale, self._wants_maps = resize, scale, "maps" in needs
        self.config = {
            "name": f"hf:{Path(name).name}",
            "resize": resize,
            "architecture": {key: value for key, value in config.to_dict().items() if key not in _UNUSED},
            "mean": mean,
            "std": std,
            "scale": scale,
        }
        for key, values, default in (("mean", mean, MEAN), ("std", std, STD)):
            listed = torch.tensor(values if values is not None else [default] * self._colours)
            self.register_buffer(key, listed.expand(self._colours).reshape(1, -1, 1, 1).clone())
        if isinstance(getattr(getattr(self.model, "pooler", None), "dense", None), nn.Linear):
            self.model.pooler = None
        self.model.num_prefix_tokens = _prefix(self.model)
        self._arguments = self._make_arguments(config)
        self._learn_shape(channels, size)

    def forward(self, images: Tensor) -> Features:
        """``(B, C, H, W)`` → `Features`."""
        out = self.model(self._prepare(images), **self._arguments)
        last: Tensor = out.last_hidden_state
        pooled = getattr(out, "pooler_output", None)
        if pooled is None:
            pooled = (
                last[:, 0] if self.model.num_prefix_tokens else last.mean(1) if last.ndim == 3 else last.mean((2, 3))
            )
        tokens = last if last.ndim == 3 else None
        maps = self._maps(out, last)
        return Features(
            pooled=pooled.flatten(1), tokens=tokens, maps=maps, size=tuple(images.shape[2:]) if maps else None
        )

    def depths(self) -> dict[str, int]:
        """Parameter name → block number from the input, blocks being numbered in the order in which they are used."""
        last = max(self._blocks.values())
        names = (name for name, _ in self.named_parameters())
        return {name: self._blocks.get(block_of(name.removeprefix("model.")), last) for name in names}

    def cam_layer(self) -> nn.Module:
        """The last feature grid; in transformers with a class token the first norm of the last block, as in timm's."""
        return cast(nn.Module, self.model.get_submodule(self._cam))

    def _make_arguments(self, config: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {"output_hidden_states": True} if self._wants_maps else {}
        able = "interpolate_pos_encoding" in inspect.signature(self.model.forward).parameters
        if able and self._resize not in (None, getattr(config, "image_size", None)):
            arguments["interpolate_pos_encoding"] = True
        return arguments

    def _learn_shape(self, channels: int, size: int) -> None:
        """One black image through the network: widths, the order of the blocks, the layer for Grad-CAM."""
        black = torch.zeros(1, channels, size, size)
        try:
            seen = trace(self, self.model, black)
        except (RuntimeError, ValueError) as error:
            raise RecipeError(
                f"{self.config['name']} cannot read images of {self._resize or size} px",
                why=" ".join(str(error).split())[:300],
                fix="--set encoder.options.resize=224",
            ) from error
        features: Features = seen.output
        self.width = features.pooled.shape[1]
        self.map_widths = tuple(grid.shape[1] for grid in features.maps or ())
        self._blocks = seen.blocks
        if features.tokens is None:
            grids = features.maps or ()
            self._cam = next(
                call.name
                for call in reversed(seen.calls)
                if call.shape == grids[-1].shape and not call.name.startswith("pooler")
            )
            return
        like = [call for call in seen.calls if call.shape == features.tokens.shape]
        norms = [call for call in like if "Norm" in call.kind and any(part.isdigit() for part in call.name.split("."))]
        if self.model.num_prefix_tokens and norms:
            block = block_of(norms[-1].name)
            self._cam = next(call.name for call in norms if block_of(call.name) == block)
        else:
            self._cam = like[-1].name

    def _maps(self, out: Any, last: Tensor) -> tuple[Tensor, ...] | None:
        if not self._wants_maps:
            return (last,) if last.ndim == 4 else None
        states = getattr(out, "reshaped_hidden_states", None) or getattr(out, "hidden_states", None) or ()
        grids = {state.shape[-1]: state for state in states if state.ndim == 4}
        if not grids and last.ndim == 3:
            grids = {0: self._as_grid(last)}
        return tuple(grids.values())

    def _as_grid(self, tokens: Tensor) -> Tensor:
        patches = tokens[:, self.model.num_prefix_tokens :]
        side = int(patches.shape[1] ** 0.5)
        return patches.transpose(1, 2).reshape(len(tokens), -1, side, side)

    def _prepare(self, images: Tensor) -> Tensor:
        x = images.float().div(255) if images.dtype == torch.uint8 else images
        x = x.expand(-1, self._colours, -1, -1)
        x = (x * self._scale - self.mean) / self.std
        if self._resize:
            x = F.interpolate(x, size=(self._resize, self._resize), mode="bilinear", antialias=False)
        return x


def _own_size(config: Any, size: int) -> int | None:
    """The side for which a transformer's positions were made; small images enlarged fourfold for the others."""
    own = getattr(config, "image_size", None)
    own = max(own) if isinstance(own, (list, tuple)) else own
    return own or (4 * size if size < SMALL else None)


def _prefix(model: nn.Module) -> int:
    """Tokens before those of the patches: class, distillation, registers."""
    count = 0
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        count += parameter.shape[1] if last == "register_tokens" else 0
        count += last in ("cls_token", "class_embedding", "distillation_token")
    return count


def _refuse_channels(name: str, channels: int, colours: int) -> None:
    if channels not in (1, colours):
        raise RecipeError(
            f"hf:{name} reads {colours} channels, the data have {channels}",
            why="its first layer has no place for them",
            fix=f"--set inputs.channels={colours}",
        )
