"""``keras:NAME``: `keras.applications` and saved ``.keras`` models as encoders, through Keras's torch backend."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suwen.core.errors import NameUnknown, RecipeError
from suwen.core.features import Features
from suwen.core.preprocess import Preprocess
from suwen.encoders.keras_files import (
    application,
    colours_of,
    drawn_from_torch,
    fill,
    from_architecture,
    import_keras,
    saved_model,
)
from suwen.encoders.stems import SMALL

_NO_FEATURES = ("ZeroPadding", "Cropping", "Rescaling", "Normalization")
"""Layers that only change the border or the range."""

PARTS = 12
"""Depths of an encoder: its layers in twelve equal parts. Keras has no notion of a block."""


class KerasEncoder(nn.Module):
    """The convolutional part of a Keras model.

    Its variables are this module's parameters and buffers (batch statistics, seeds of dropout), numbered by layer, so
    that they do not depend on the names that Keras counts up in a process. Keras layers are called with ``training`` as
    this module's mode. Images are given channels-last, as Keras has them; `Features.maps` are channels-first again, and
    `pooled` is the mean of the last one.

    Args:
        model: a built Keras model of one input ``(H, W, C)``.
        config: enough to build it again.
        preprocess: has `channels` and `size` (pixels).
        needs: ``{"maps"}`` gives the last map of each resolution.
        resize: side to which inputs are interpolated, None to leave them.
        layer: whose output are the features; None for the last map, or the last vector before the answer.
        colour, offset: what the model wants to see of colours x in [0, 1]: ``colour @ x + offset``.

    Raises:
        RecipeError: the model cannot read such images.
        NameUnknown: there is no such layer.
    """

    colour: Tensor
    offset: Tensor

    def __init__(
        self,
        model: Any,
        config: dict[str, Any],
        preprocess: Preprocess,
        *,
        needs: frozenset[str],
        resize: int | None,
        layer: str | None,
        colour: Tensor,
        offset: Tensor,
    ) -> None:
        super().__init__()
        self.config, self.licence, self.pretrained = config, None, False
        self._resize = resize
        model.trainable = True
        cut = _cut(model, layer, maps="maps" in needs)
        self._keras = (cut,)  # in a tuple: not a child module, so that each variable is registered once
        self.variables = nn.Module()
        self._links: list[tuple[Any, str]] = []
        self._layers: dict[str, int] = {}
        self._register(cut)
        self.register_buffer("colour", colour)
        self.register_buffer("offset", offset)
        self.grid = nn.Identity()
        shape = self._try(int(getattr(preprocess, "channels", 3)), int(getattr(preprocess, "size", 224)))
        self.width = shape.pooled.shape[1]
        self.map_widths = tuple(grid.shape[1] for grid in shape.maps or ())

    def forward(self, images: Tensor) -> Features:
        """``(B, C, H, W)`` → `Features`."""
        keras = import_keras()
        x = self._prepare(images).permute(0, 2, 3, 1)
        with keras.device(str(x.device)):
            found = self._keras[0](x, training=self.training)
        outputs = found if isinstance(found, (list, tuple)) else [found]
        if outputs[-1].ndim == 2:
            return Features(pooled=self.grid(outputs[-1]))
        maps = [grid.permute(0, 3, 1, 2) for grid in outputs]
        maps[-1] = self.grid(maps[-1])
        return Features(pooled=maps[-1].mean((2, 3)), maps=tuple(maps), size=tuple(images.shape[2:]))

    def depths(self) -> dict[str, int]:
        """Parameter name → twelfth of the layers that it is in, the input's being 0."""
        count = max(self._layers.values(), default=0) + 1
        return {f"variables.{name}": number * PARTS // count for name, number in self._layers.items()}

    def cam_layer(self) -> nn.Module:
        """The last map, as it goes into the mean."""
        return self.grid

    def _register(self, model: Any) -> None:
        for variable, name, number in _variables(model):
            self._links.append((variable, name))
            if variable.trainable:
                self.variables.register_parameter(name, variable.value)
                self._layers[name] = number
            else:
                self.variables.register_buffer(name, variable.value)

    def _bind(self) -> None:
        """Keras computes with the tensors that are registered here."""
        for variable, name in self._links:
            variable._value = getattr(self.variables, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> KerasEncoder:
        """A copy with variables of its own; Keras by itself copies a model by writing and reading it."""
        made = KerasEncoder.__new__(KerasEncoder)
        memo[id(self)] = made
        plain = {name: value for name, value in self.__dict__.items() if name not in ("_keras", "_links")}
        made.__dict__.update({name: copy.deepcopy(value, memo) for name, value in plain.items()})
        with torch.random.fork_rng(devices=[]), drawn_from_torch():
            made._keras = (import_keras().models.clone_model(self._keras[0]),)
        made._links = [(variable, name) for variable, name, _ in _variables(made._keras[0])]
        made._bind()
        return made

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> KerasEncoder:
        """As of ``nn.Module``; buffers that became new tensors are given to Keras again."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._bind()
        return self

    def _try(self, channels: int, size: int) -> Features:
        """One black image through the network."""
        self.eval()
        try:
            with torch.no_grad():
                return self.forward(torch.zeros(1, channels, size, size))
        except (RuntimeError, ValueError, TypeError) as error:
            raise RecipeError(
                f"{self.config['name']} cannot read {channels}-channel images of {self._resize or size} px",
                why=" ".join(str(error).split())[:300],
                fix="--set encoder.options.resize=128, or another --size",
            ) from error
        finally:
            self.train()

    def _prepare(self, images: Tensor) -> Tensor:
        x = images.float().div(255) if images.dtype == torch.uint8 else images
        x = x.expand(-1, self.colour.shape[1], -1, -1)
        x = F.conv2d(x, self.colour[:, :, None, None], self.offset)
        if self._resize:
            x = F.interpolate(x, size=(self._resize, self._resize), mode="bilinear", antialias=False)
        return x


def keras_encoder(
    name: str,
    preprocess: Preprocess,
    *,
    weights: str | None = None,
    needs: frozenset[str] = frozenset(),
    resize: int | None = None,
    layer: str | None = None,
    architecture: str | None = None,
    unit: bool | None = None,
    **options: Any,
) -> KerasEncoder:
    """Build the encoder ``keras:name``.

    Args:
        name: a function of `keras.applications` (``ResNet50``, ``InceptionV3``, ``VGG16`` …), or a ``.keras`` file.
        preprocess: has `channels` and `size` (pixels). Grey images are shown in each of a model's three colours.
        weights: of an application: None for random ones, a ``.weights.h5``, ``.h5`` or ``.keras`` file without its
            top, or ``"hub"`` to fetch those of ImageNet. A ``.keras`` file brings its own; ``"none"`` leaves them out.
        needs, layer: see `KerasEncoder`.
        resize: side to which inputs are interpolated; None takes what a saved model was made for, and for
            applications enlarges images under 64 px fourfold.
        architecture: of a saved model, as a Run's ``model.json`` records it; the file is then not read.
        unit: a saved model wants values in [0, 1]; False: in [0, 255]; None: the latter where it rescales by itself.
        options: of the application (``alpha=0.25`` …).

    Raises:
        NameUnknown, RecipeError, WeightsMissing: see `suwen.encoders.keras_files`.
        ExtraMissing: Keras is not installed.
    """
    import_keras()
    size, channels = int(getattr(preprocess, "size", 224)), int(getattr(preprocess, "channels", 3))
    file = Path(name).expanduser()
    if architecture is None and not name.endswith((".keras", ".h5", ".hdf5")):
        resize = resize or (4 * size if size < SMALL else None)
        with drawn_from_torch():
            model, colour, offset = application(
                name, resize or size, 3 if channels == 1 else channels, options, weights
            )
        config = {"name": f"keras:{name}", "resize": resize, "layer": layer, **options}
        pretrained = weights not in (None, "none")
    else:
        if options:
            raise RecipeError(
                f"keras:{name} with {', '.join(options)}",
                why="a saved model has its settings in it",
                fix="drop them; it takes resize, layer and unit",
            )
        with drawn_from_torch():
            made = (
                saved_model(file, random=weights == "none") if architecture is None else from_architecture(architecture)
            )
            if weights not in (None, "none"):
                fill(made, str(weights), name)
        model, pretrained = made, architecture is None and weights != "none"
        colour, offset, unit = colours_of(made, name, channels, unit)
        side = made.inputs[0].shape[1]
        resize = resize or (side if side != size else None)
        config = {"name": f"keras:{file.name}", "resize": resize, "layer": layer, "unit": unit}
        config |= {"architecture": cast(str, made.to_json())}
    encoder = KerasEncoder(
        model, config, preprocess, needs=needs, resize=resize, layer=layer, colour=colour, offset=offset
    )
    encoder.pretrained = pretrained
    return encoder


def _cut(model: Any, layer: str | None, *, maps: bool) -> Any:
    """The part of a model that ends in its features."""
    keras = import_keras()
    outputs = _outputs(model)
    grids = {name: out for name, out in outputs.items() if len(out.shape) == 4}
    vectors = [out for out in outputs.values() if len(out.shape) == 2]
    if layer is not None:
        if layer not in outputs:
            raise NameUnknown("layer", layer, outputs, fix="--set encoder.options.layer=NAME")
        chosen = [outputs[layer]]
    elif grids:
        chosen = _pyramid(model, grids) if maps else list(grids.values())[-1:]
    elif vectors:
        chosen = [vectors[-2] if len(vectors) > 1 else vectors[-1]]  # the last one is the answer
    else:
        raise RecipeError(
            f"the Keras model {model.name} gives neither maps nor vectors", why="no features", fix="another model"
        )
    return keras.Model(model.inputs, chosen if len(chosen) > 1 else chosen[0])


def _pyramid(model: Any, grids: dict[str, Any]) -> list[Any]:
    """The last map of each resolution, fine to coarse; maps that differ by a border are of one resolution."""
    coarsest = list(grids.values())[-1]
    found: list[Any] = []
    first = 0
    for name, out in grids.items():
        kind, side = type(model.get_layer(name)).__name__, out.shape[1]
        if side is None or kind.startswith(_NO_FEATURES) or side < coarsest.shape[1]:
            continue
        if found and side > 0.75 * first:
            found[-1] = out
        else:
            found.append(out)
            first = side
    return found or [coarsest]


def _variables(model: Any) -> Iterator[tuple[Any, str, int]]:
    """Each variable once, with a name that is the same in every process, and the number of its layer."""
    seen: set[int] = set()
    for number, layer in enumerate(layer for layer in model.layers if layer.variables):
        for place, variable in enumerate(layer.variables):
            if id(variable) not in seen:
                seen.add(id(variable))
                yield variable, f"layer{number:03d}_{place:02d}_{variable.name}", number


def _outputs(model: Any) -> dict[str, Any]:
    """Layer name → what it gives, for layers that give one tensor, in the order of use."""
    keras = import_keras()
    if isinstance(model, keras.Sequential):
        # called once more: a whole model as a layer otherwise knows only its own input
        x, found = model.inputs[0], {}
        for layer in model.layers:
            x = found[layer.name] = layer(x)
        return found
    layers = (layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer))
    return {layer.name: layer.output for layer in layers if not isinstance(layer.output, (list, tuple, dict))}
