"""``--adapt lora``: low-rank adapters in the layers of an encoder, by peft; small files beside a shared base Run.

A layer with weights W becomes ``W + (α / r) B A`` with A ``(r, in)`` random and B ``(out, r)`` zero at the start (Hu et
al., LoRA: low-rank adaptation of large language models, 2022); for convolutions A has the kernel's size and B is 1×1.
Norm layers learn too, batch statistics included: they are few, and other scanners differ first of all in what is
normal (Li et al., Revisiting batch normalization for practical domain adaptation, 2016; Frankle et al., Training
BatchNorm and only BatchNorm, 2021). All other weights are frozen.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakValueDictionary

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from suwen.core.encoder import Encoder, build_encoder
from suwen.core.errors import ExtraMissing, RecipeError
from suwen.core.preprocess import Preprocess
from suwen.core.run import load

_BASES: WeakValueDictionary[tuple[str, str], nn.Module] = WeakValueDictionary()
"""(fingerprint of the base Run, device) → its encoder, while some adapted encoder here uses it."""

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True, eq=False)
class LoraAdapter:
    """What adapters of one encoder know of themselves (a `suwen.core.encoder.Adapter`).

    Attributes:
        plain: config of the encoder without adapters.
        base: the Run that holds its other weights, ``{"path", "sha256", "options"}``; None where there is none.
        shared: the base's encoder, kept alive for the next adapters on it.
    """

    plain: dict[str, Any]
    base: dict[str, Any] | None
    shared: nn.Module | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> LoraAdapter:
        return self

    def kept(self, encoder: nn.Module) -> dict[str, Tensor]:
        """The adapters' own weights, and those of norm layers that learned."""
        norms = tuple(f"{name}." for name in _norms(encoder)) if cast(Any, encoder).config["norms"] else ()
        state = encoder.state_dict()
        return {name: value for name, value in state.items() if ".lora_" in name or name.startswith(norms)}

    def merged(self, encoder: nn.Module) -> Encoder:
        """A copy with plain layers whose weights are W + (α / r) B A; the shared ones are not touched."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        made: Any = copy.deepcopy(encoder)
        adapted = [(name, layer) for name, layer in made.named_modules() if isinstance(layer, BaseTunerLayer)]
        for name, layer in adapted:
            layer.merge(safe_merge=True)
            parent, _, last = name.rpartition(".")
            setattr(made.get_submodule(parent), last, layer.get_base_layer())
        del made.adapter
        made.config = self.plain
        made.requires_grad_(True)
        return cast(Encoder, made)


def add_adapters(
    encoder: Any,
    *,
    rank: int = 8,
    alpha: int = 16,
    dropout: float = 0.0,
    norms: bool = True,
    targets: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    shared: nn.Module | None = None,
) -> None:
    """Put adapters into an encoder, in place: only they, and norm layers, learn from here on.

    Args:
        encoder: any encoder made of ``nn.Linear`` and ``nn.Conv2d``.
        rank, alpha, dropout: r, α, and dropout on the inputs of A.
        norms: whether norm layers learn; those of the encoder then are its own, whatever shares its other weights.
        targets: layers by the end of their names (``"qkv"``, ``"fc1"``); None for every linear layer and every
            ungrouped, undilated convolution that a rank this small makes smaller.
        layers: their whole names, as an earlier call found them; goes before `targets`.
        shared: see `LoraAdapter`.

    Raises:
        RecipeError: there is no such layer.
        ExtraMissing: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ExtraMissing("--adapt lora", "lora") from None
    chosen = list(layers) if layers is not None else _choose(encoder, rank, targets)
    base, plain = getattr(encoder, "origin", None), encoder.config
    exactly = "|".join(re.escape(name) for name in chosen)
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=f"(?:{exactly})", bias="none")
    inject_adapter_in_model(settings, encoder)
    for name in chosen:
        encoder.get_submodule(name).cast_input_dtype_enabled = False  # else bfloat16 inputs are kept twice
    if norms:
        _free(encoder)
    encoder.adapter = LoraAdapter(plain, base, shared)
    encoder.config = {
        "name": f"lora:{plain['name']}",
        "rank": rank,
        "alpha": alpha,
        "dropout": dropout,
        "norms": norms,
        "layers": chosen,
        "base": base,
    }


def lora_encoder(
    name: str,
    preprocess: Preprocess,
    *,
    weights: str | None = None,
    needs: frozenset[str] = frozenset(),
    base: dict[str, Any] | None = None,
    device: str = "cpu",
    norms: bool = False,
    **settings: Any,
) -> Encoder:
    """The encoder of an adapter Run as its ``model.json`` describes it; its adapters are not filled yet.

    All such encoders of one base in one process share the base's tensors, but for norm layers that learned.

    Raises:
        RecipeError: typed by hand.
    """
    if base is None or weights is not None:
        raise RecipeError(
            f"encoder lora:{name}",
            why="this is how a Run names an encoder with adapters; they start from the encoder of a Run",
            fix="--encoder run:BASE --adapt lora",
        )
    shared: Any = _base(base, device)
    encoder: Any = build_encoder(**(shared.config | base["options"]), preprocess=preprocess, needs=needs)
    encoder.load_state_dict(shared.state_dict(keep_vars=True), assign=True)
    encoder.origin = base
    add_adapters(encoder, **settings, norms=norms, shared=shared)
    return cast(Encoder, encoder)


def _base(base: dict[str, Any], device: str) -> nn.Module:
    key = base["sha256"], device
    if (found := _BASES.get(key)) is None:
        found = _BASES[key] = cast(nn.Module, load(base["path"], device=device).encoder)
    return found


def _choose(encoder: nn.Module, rank: int, targets: Sequence[str] | None) -> list[str]:
    able = _able(encoder)
    if targets is None:
        chosen = [name for name, weight in able.items() if _adapter_size(weight, rank) < weight.numel()]
    else:
        chosen = [name for name in able if any(name == end or name.endswith(f".{end}") for end in targets)]
    if not chosen:
        ends = ", ".join(sorted({name.rpartition(".")[2] for name in able}))
        none = "this encoder has no linear layer or plain convolution of torch (those of Keras are others)"
        raise RecipeError(
            f"no layer for adapters of rank {rank} among {', '.join(targets) if targets else 'all layers'}",
            why=f"layers that can have one end in: {ends}" if ends else none,
            fix="--set 'training.lora={rank: 4}', other targets, or --adapt full",
        )
    return chosen


def _able(encoder: nn.Module) -> dict[str, Tensor]:
    """Name → weights of the layers that peft can adapt and merge.

    Not those inside torch's own attention, which reads their weights without calling them; nor grouped or dilated
    convolutions; nor subclasses that change their weights on the way, which are not linear in them.
    """
    found: dict[str, Tensor] = {}
    attention: list[str] = []
    for name, layer in encoder.named_modules():
        if isinstance(layer, nn.MultiheadAttention):
            attention.append(f"{name}.")
        plain = type(layer) is nn.Linear or (type(layer) is nn.Conv2d and _undivided(layer))
        if plain and not name.startswith(tuple(attention)):
            found[name] = cast(Tensor, layer.weight)
    return found


def _norms(encoder: nn.Module) -> list[str]:
    return [name for name, layer in encoder.named_modules() if isinstance(layer, _NORMS)]


def _free(encoder: nn.Module) -> None:
    """Norm layers learn, and share no tensor with another encoder."""
    for name in _norms(encoder):
        layer = encoder.get_submodule(name)
        for key, weight in layer.named_parameters(recurse=False):
            setattr(layer, key, nn.Parameter(weight.detach().clone()))
        for key, value in layer.named_buffers(recurse=False):
            setattr(layer, key, value.clone())


def _undivided(layer: nn.Conv2d) -> bool:
    return layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"


def _adapter_size(weight: Tensor, rank: int) -> int:
    """Parameters of A and B."""
    return rank * (weight[0].numel() + len(weight))
