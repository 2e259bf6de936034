"""`Encoder`: inputs → `Features`, named by one string, ``"timm:resnet18"``, ``"run:runs/pretrained"``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from suwen.core.errors import RecipeError
from suwen.core.registry import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from suwen.core.features import Features
    from suwen.core.preprocess import Preprocess


class Encoder(Protocol):
    """An ``nn.Module`` with these attributes. It normalises its own inputs, so that nothing is lost on the way.

    A row of ``suwen.encoders`` is called as ``family(name, preprocess, weights=…, needs=…, **options)``.

    Attributes:
        config: ``{"name": "timm:resnet18", …options}``: enough to build the same architecture again, without weights.
        width: D of `Features.pooled` (and of `tokens`).
        map_widths: channels of `Features.maps`, fine → coarse; empty where there are none.
        licence: licence of the weights it started from, None for random ones.
    """

    config: dict[str, Any]
    width: int
    map_widths: tuple[int, ...]
    licence: str | None

    def __call__(self, inputs: Tensor) -> Features:
        """One batch of inputs → `Features`."""
        ...

    def depths(self) -> dict[str, int]:
        """Parameter name → depth from the input (0 first), for layer-wise learning rates."""
        ...

    def cam_layer(self) -> nn.Module:
        """The layer whose output Grad-CAM weighs."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """As of ``nn.Module``."""
        ...


class Adapter(Protocol):
    """What stands between a shared encoder and one Run: small weights of its own. An encoder that has one carries it
    as its attribute `adapter`; its Run then keeps the small weights and names the Run that holds the large ones.
    """

    def kept(self, encoder: nn.Module) -> dict[str, Tensor]:
        """The part of the encoder's state that is not in the base Run."""
        ...

    def merged(self, encoder: nn.Module) -> Encoder:
        """A new encoder of the plain architecture that gives the same features, up to rounding."""
        ...


def build_encoder(
    name: str,
    preprocess: Preprocess,
    *,
    weights: str | None = None,
    needs: frozenset[str] = frozenset(),
    **options: Any,
) -> Encoder:
    """Build the encoder called `name`.

    Args:
        name: ``FAMILY:NAME``.
        preprocess: what its inputs will look like (channels, size …).
        weights: None for random weights, a local file or folder, or ``"hub"`` / a hub name to fetch.
        needs: the parts of `Features` a head asks for besides `pooled`: ``"tokens"``, ``"maps"``.
        options: of the family.

    Raises:
        NameUnknown: no such family, or no such encoder in it.
        WeightsMissing: the weights are not on this machine; the message says what to fetch and where to put it.
    """
    family, colon, rest = name.partition(":")
    if not colon or not rest:
        raise RecipeError(
            f"encoder {name!r} has no family",
            why="encoders are named FAMILY:NAME, so that a file name is never taken for an architecture",
            fix=f"timm:{name}   (families here: {', '.join(ENCODERS.names())})",
        )
    encoder: Encoder = ENCODERS[family](rest, preprocess, weights=weights, needs=needs, **options)
    return encoder
