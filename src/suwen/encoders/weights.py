"""Pretrained weights: a local file or folder, a hub name, or none. Only safetensors are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import timm

from suwen.core.errors import RecipeError, WeightsMissing
from suwen.encoders.catalogue import licence_of

T = TypeVar("T")


@dataclass(frozen=True)
class Weights:
    """Where weights come from.

    Attributes:
        overlay: what timm is told (``pretrained_cfg_overlay``).
        licence: if known.
        where: file or hub name, for messages.
        url: what to fetch when the hub cannot be reached.
    """

    overlay: dict[str, Any]
    licence: str | None
    where: str
    url: str

    def loading(self, create: Callable[..., T]) -> Callable[..., T]:
        """`create`, whose network failures say what to fetch and where to put it."""

        def created(name: str, **keywords: Any) -> T:
            from safetensors import SafetensorError

            try:
                return create(name, **keywords)
            except SafetensorError as error:
                raise WeightsMissing(
                    f"{self.where} is not a whole safetensors file ({error})",
                    why="truncated weights are refused",
                    fix="fetch it again",
                ) from error
            except (OSError, ValueError) as error:  # hub errors are OSErrors, or ValueErrors when told to be offline
                if "file" in self.overlay:
                    raise
                raise WeightsMissing(
                    f"the weights of timm:{name} ({self.where}) are not on this machine and the hub did not answer",
                    why=f"{type(error).__name__}: {str(error).splitlines()[0]}",
                    fix=f"fetch {self.url} elsewhere, put it into a folder here, and pass --weights FOLDER; "
                    "or leave out --weights to start from random ones",
                ) from error
            except RuntimeError as error:
                raise WeightsMissing(
                    f"{self.where} does not fit timm:{name}",
                    why=str(error).splitlines()[0][:300],
                    fix="name the architecture that these weights belong to",
                ) from error

        return created


def find_weights(name: str, weights: str | None) -> Weights | None:
    """Where the weights for timm model `name` are; None for random ones.

    Raises:
        WeightsMissing: a named file or folder is absent.
        RecipeError: a pickle.
    """
    if weights is None or weights == "none":
        return None
    cfg = timm.get_pretrained_cfg(name)
    hub_name = getattr(cfg, "hf_hub_id", None) if cfg else None
    if weights == "hub":
        if not hub_name:
            raise WeightsMissing(
                f"timm has no weights for {name}",
                why="this architecture was published without",
                fix="suwen encoders NAME",
            )
        hub = str(hub_name)
        return Weights({}, getattr(cfg, "license", None) or licence_of(hub), hub, _url(hub))
    if weights.startswith("hf-hub:"):
        hub = weights.removeprefix("hf-hub:")
        return Weights({"hf_hub_id": hub, "url": "", "file": ""}, licence_of(hub), hub, _url(hub))
    path = _safetensors(Path(weights).expanduser())
    return Weights({"file": os.fspath(path)}, licence_of(os.fspath(path)), os.fspath(path), "")


def _url(hub: str) -> str:
    return f"https://huggingface.co/{hub}/resolve/main/model.safetensors"


def _safetensors(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.glob("*.safetensors"))
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
