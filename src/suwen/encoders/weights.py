"""Pretrained weights: a local file or folder, a hub name, or none. Only safetensors are read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from torch import nn

from suwen.core.errors import RecipeError, WeightsMissing
from suwen.encoders.catalogue import licence_of

FILES = ("model.safetensors", "open_clip_model.safetensors")
"""What a hub folder may call its weights."""


@dataclass(frozen=True)
class Weights:
    """A safetensors file with the weights of a timm model.

    Attributes:
        file: on this machine.
        licence: if known.
        where: path or hub name, for messages.
    """

    file: Path
    licence: str | None
    where: str


def find_weights(name: str, weights: str | None) -> Weights | None:
    """Where the weights for timm model `name` are, fetched from the hub if asked; None for random ones.

    Raises:
        WeightsMissing: a named file or folder is absent, or the hub did not give it.
        RecipeError: a pickle.
    """
    if weights is None or weights == "none":
        return None
    if weights.startswith("hf-hub:"):
        hub = weights.removeprefix("hf-hub:")
        return Weights(_fetch(hub, name), licence_of(hub), hub)
    if weights == "hub":
        cfg = timm.get_pretrained_cfg(name)
        hub = str(getattr(cfg, "hf_hub_id", None) or "")
        if not hub:
            raise WeightsMissing(
                f"timm has no weights for {name}",
                why="this architecture was published without",
                fix="suwen encoders NAME",
            )
        return Weights(_fetch(hub, name), getattr(cfg, "license", None) or licence_of(hub), hub)
    path = _safetensors(Path(weights).expanduser())
    return Weights(path, licence_of(path.as_posix()), os.fspath(path))


def create_filled(name: str, weights: Weights, keywords: dict[str, Any]) -> nn.Module:
    """The timm model `name` with these weights in it; timm adapts names, channels and positions.

    Raises:
        WeightsMissing: the file is truncated, or of another architecture.
    """
    overlay = {"file": os.fspath(weights.file)}
    with torch.random.fork_rng(devices=[]):
        try:
            torch.manual_seed(0)
            model: nn.Module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **keywords)
        except SafetensorError as error:
            raise WeightsMissing(
                f"{weights.where} is not a whole safetensors file ({error})",
                why="truncated weights are refused",
                fix="fetch it again",
            ) from error
        except RuntimeError as error:
            raise WeightsMissing(
                f"{weights.where} does not fit timm:{name}",
                why=" ".join(str(error).split())[:300],
                fix="name the architecture that these weights belong to",
            ) from error
        torch.manual_seed(0)
        if random := _same(model, timm.create_model(name, **keywords)):
            raise WeightsMissing(
                f"{weights.where} does not hold the weights of timm:{name}: {random[0]} and {len(random) - 1} others "
                "are not in it",
                why="these would stay random without anyone noticing",
                fix="name the architecture that these weights belong to; those saved by transformers have other names",
            )
    return model


def _same(filled: nn.Module, random: nn.Module) -> list[str]:
    """Layers that the file did not fill: they still hold what the same seed draws. timm only logs them."""
    now = filled.state_dict()
    return [
        name
        for name, drawn in random.named_parameters()
        if name.endswith("weight") and drawn.ndim > 1 and drawn.any() and torch.equal(drawn, now[name])
    ]


def _fetch(hub: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    place, _, revision = hub.partition("@")
    for file in FILES:
        try:
            return Path(hf_hub_download(place, file, revision=revision or None))
        except EntryNotFoundError as error:
            if not isinstance(error, LocalEntryNotFoundError):
                continue
            raise _unreachable(hub, name, error) from error
        except (OSError, ValueError) as error:  # gated, no such name, no network
            raise _unreachable(hub, name, error) from error
    raise WeightsMissing(
        f"{hub} holds no {' and no '.join(FILES)}",
        why="pickled weights can run code when they are opened; suwen reads safetensors only",
        fix="fetch its file, convert it where you trust it, and pass --weights FILE.safetensors",
    )


def _unreachable(hub: str, name: str, error: Exception) -> WeightsMissing:
    place, _, revision = hub.partition("@")
    return WeightsMissing(
        f"the weights of timm:{name} ({hub}) are not on this machine and the hub did not give them",
        why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
        fix=f"fetch https://huggingface.co/{place}/resolve/{revision or 'main'}/{FILES[0]} elsewhere, put it into a "
        "folder here, and pass --weights FOLDER; or leave out --weights to start from random ones",
    )


def _safetensors(path: Path) -> Path:
    if path.is_dir():
        found = sorted(file for file in path.glob("*.safetensors") if not file.name.startswith("."))
        if len(found) != 1:
            raise WeightsMissing(
                f"{path} holds {len(found)} .safetensors files",
                why="one was expected",
                fix="--weights FOLDER/FILE.safetensors",
            )
        return found[0]
    if not path.is_file():
        raise WeightsMissing(
            f"there are no weights at {path}",
            why="--weights takes a file, a folder, 'hub', or 'hf-hub:ORG/NAME'",
            fix="leave it out to start from random weights",
        )
    if path.suffix != ".safetensors":
        raise RecipeError(
            f"{path} is a {path.suffix or 'nameless'} file",
            why="pickled weights can run code when they are opened; suwen reads safetensors only",
            fix="convert it where you trust it: safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW)",
        )
    return path
