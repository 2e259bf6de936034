"""Inputs of any kind on a device: one array, or a dict of arrays where an input is more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def on_device(inputs: Any, device: torch.device | str) -> Any:
    """What ``Dataset.take`` gives, as tensors on a device: an array as one tensor, a dict of arrays as a dict.

    A packed batch of sequences (`suwen.data.records.sequences`) is such a dict: flat arrays and the offsets at which
    each sequence begins.
    """
    import torch

    if isinstance(inputs, dict):
        return {name: on_device(part, device) for name, part in inputs.items()}
    return torch.as_tensor(inputs).to(device)
