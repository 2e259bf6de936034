"""Optimizers, parameter groups and learning rates as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from suwen.core.recipe import TrainingSettings
from suwen.learn.sharded import like

Rate = Callable[[int], float]


def make_optimizer(
    module: nn.Module, settings: TrainingSettings, depths: Mapping[str, int] | None = None
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) or SGD with Nesterov momentum.

    Biases and norms (one-dimensional parameters) have no weight decay. With ``layer_decay < 1`` a parameter of depth
    d learns ``layer_decay ** (deepest + 1 - d)`` times the rate of the head (Clark et al. 2020, ELECTRA). Low-rank
    adapters learn ``lora.rate`` times faster than full weights would at their place (Schulman et al., LoRA without
    regret, 2025, find factors of about ten for language models).

    Args:
        module: holds the parameters.
        settings: of the recipe.
        depths: parameter name → depth from the input; names that are missing belong to the head.
    """
    depths = depths or {}
    top = max(depths.values(), default=-1) + 1
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            scale = settings.layer_decay ** (top - depths.get(name, top))
            if ".lora_" in name:
                scale *= settings.lora.rate
            groups.setdefault((scale, decay), []).append(parameter)
    rows = [
        {"params": parameters, "lr": settings.learning_rate * scale, "scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in groups.items()
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            rows, lr=settings.learning_rate, momentum=settings.momentum, nesterov=settings.momentum > 0
        )
    # one kernel for all parameters; with fp16 it would unscale gradients itself, after they had to be clipped
    fused = settings.precision != "fp16"
    return torch.optim.AdamW(rows, lr=settings.learning_rate, betas=(settings.momentum, 0.999), fused=fused)


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take a state back out of a checkpoint, laid out in memory as the parameters are (channels-last, say).

    A checkpoint holds plain layouts, and a fused kernel walks a parameter and its moments in step.
    """
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(like(value, parameter))


def make_rate(settings: TrainingSettings, steps_per_epoch: int) -> Rate:
    """Learning rate at each step: linear warm-up, then constant or half a cosine to zero (Loshchilov & Hutter 2017)."""
    total = settings.epochs * steps_per_epoch
    warmup = min(round(settings.warmup * steps_per_epoch), total - 1)

    def rate(step: int) -> float:
        if step < warmup:
            return settings.learning_rate * (step + 1) / (warmup + 1)
        if settings.schedule == "constant":
            return settings.learning_rate
        done = (step - warmup) / max(1, total - warmup)
        return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    return rate


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, times its own scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
