"""How much memory a training step takes, before it is taken."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from suwen.core.model import Model
from suwen.core.recipe import TrainingSettings

WEIGHT_BYTES = 16
"""Of a weight that learns: itself, its gradient, and AdamW's two moments, four bytes each."""


def training_bytes(model: Model, shape: tuple[int, ...], settings: TrainingSettings, precision: str) -> int | None:
    """Bytes of weights, gradients, moments and of what a step keeps for its gradients; about.

    The step is taken on PyTorch's *meta* device, which knows shapes and no values; what autograd keeps is counted, each
    storage once. In 16 bits it is taken to be half.

    Args:
        model: untrained.
        shape: of a batch, ``(B, C, *S)``.
        settings: whether weights are averaged.
        precision: ``"32-true"``, ``"bf16-mixed"`` …

    Returns:
        None where the network asks for values, and so cannot be run without any.
    """
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        held.append(tensor)  # else a freed storage's number could be given again
        return tensor

    held: list[Tensor] = []
    by_name = model.parts()
    parts = by_name.values()
    weights = sum(weight.numel() for part in parts for weight in part.parameters())
    learning = sum(weight.numel() for part in parts for weight in part.parameters() if weight.requires_grad)
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            features = _on_meta(by_name["encoder"], torch.empty(shape, device="meta"))
            _on_meta(by_name["head"], features)
    except (NotImplementedError, RuntimeError):
        return None
    activations = sum(kept.values()) - 4 * weights
    share = 0.5 if "16" in precision else 1.0
    average = 4 * weights if settings.average else 0
    return int(max(0, activations) * share) + 4 * (weights - learning) + WEIGHT_BYTES * learning + average


def _on_meta(part: nn.Module, inputs: object) -> object:
    values = {**dict(part.named_parameters()), **dict(part.named_buffers())}
    empty = {
        name: torch.empty_like(value, device="meta", requires_grad=value.requires_grad)
        for name, value in values.items()
    }
    return functional_call(part, empty, (inputs,))
