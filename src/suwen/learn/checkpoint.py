"""Checkpoints without pickle: nested tensors and numbers in one safetensors file, written atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from suwen.core.errors import RunError
from suwen.core.files import atomic_path


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write nested dicts and lists of tensors, numbers, strings and None."""
    tensors: dict[str, Tensor] = {}
    shape = json.dumps(_encode(state, tensors))
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"state": shape})


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote, equal to the last bit.

    Raises:
        RunError: the file is truncated or not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except SafetensorError as error:
        raise RunError(
            f"{path} is not a whole checkpoint ({error})",
            why="it is truncated",
            fix=f"delete it to train from the start: rm {path}",
        ) from error
    if "state" not in metadata:
        raise RunError(
            f"{path} is not a checkpoint",
            why="it holds tensors, but not where a training stands",
            fix=f"move it away: {path}",
        )
    state: dict[str, Any] = _decode(json.loads(metadata["state"]), tensors)
    return state


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        key = str(len(tensors))
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[_encode(key, tensors), _encode(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_encode(item, tensors) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_decode(key, tensors): _decode(item, tensors) for key, item in content}
    return {"list": list, "tuple": tuple}[kind](_decode(item, tensors) for item in content)
