"""`torch.compile` of what the loop calls: when, and without a trace in the weights' names."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import torch
from torch import nn

from suwen.core.errors import RecipeError
from suwen.core.recipe import TrainingSettings
from suwen.learn.device import several

_COMPILERS = ("g++", "clang++", "c++", "cl")


def compiles(settings: TrainingSettings, device: torch.device) -> bool:
    """Whether a training compiles its steps.

    ``auto`` does on GPUs that the compiler writes kernels for (Triton: compute capability 7.0 and above). On a CPU
    it does not: the convolutions and matrix products, where the time goes, are the same library calls either way, and
    compiling takes longer than most trainings there gain.

    Raises:
        RecipeError: it was asked for, and cannot be done here.
    """
    if settings.compile == "auto":
        return device.type == "cuda" and not several(settings) and _has_triton(device)
    if settings.compile == "false":
        return False
    if several(settings):
        raise RecipeError(
            "training.compile with several devices",
            why="batch statistics over all devices are taken outside of what the compiler sees",
            fix="--compile false, or --devices 1",
        )
    if device.type == "cpu" and not _has_cpp():
        raise RecipeError(
            "training.compile on a CPU without a C++ compiler",
            why=f"torch.compile writes C++ there, and none of {', '.join(_COMPILERS)} is found",
            fix="install one (apt install g++), name it in CXX, or --compile false",
        )
    return True


def compile_steps(module: nn.Module) -> None:
    """From now on the module runs compiled when it is called. In place: names of weights stay what they were.

    Only the TaskModule is: encoder and head, called by themselves to judge, run as they are.
    """
    module.compile()


def _has_triton(device: torch.device) -> bool:
    return find_spec("triton") is not None and torch.cuda.get_device_capability(device) >= (7, 0)


def _has_cpp() -> bool:
    named = os.environ.get("CXX")
    return any(shutil.which(name) for name in ((named,) if named else _COMPILERS))
