"""Which devices and precision a training uses."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy

from suwen.core.errors import RecipeError
from suwen.core.recipe import TrainingSettings
from suwen.learn.sharded import Sharded

_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}

_MEETING = {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK"}
"""Variables by which processes on several machines find each other."""

_PATIENCE = timedelta(hours=6)
"""How long the others wait for the first, which judges an epoch alone."""


def has_fast_bfloat16() -> bool:
    """Whether the device multiplies bfloat16 natively: CUDA from Ampere on, CPUs with AVX512-BF16 or AMX-BF16.

    Elsewhere bfloat16 is emulated and slower than float32.
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability()[0] >= 8
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def choose_precision(asked: Literal["auto", "fp32", "bf16", "fp16"]) -> str:
    """``fp32``, ``bf16`` or ``fp16``; auto takes bfloat16 where the hardware has it."""
    if asked != "auto":
        return asked
    return "bf16" if has_fast_bfloat16() else "fp32"


def several(settings: TrainingSettings) -> bool:
    """Whether more than one process trains."""
    return settings.devices * settings.nodes > 1


def is_sharded(settings: TrainingSettings) -> bool:
    """Whether the weights are dealt out among the processes, instead of held by each."""
    return several(settings) and settings.strategy == "fsdp"


def check_devices(settings: TrainingSettings) -> None:
    """Before anything is read: are there so many devices, and is there a way to use them together?

    Raises:
        RecipeError: there are fewer, further machines cannot be found, or the strategy has nothing to do.
    """
    if settings.strategy == "fsdp" and settings.adapt != "full":
        raise RecipeError(
            f"--strategy fsdp with --adapt {settings.adapt}",
            why="it spreads over the devices what learns, and of these weights almost nothing does",
            fix="--strategy ddp, or --adapt full",
        )
    found, kind = available_devices()
    if settings.devices > found:
        raise RecipeError(
            f"--devices {settings.devices}",
            why=f"this machine has {found} {kind}, and each process needs one of its own",
            fix=f"--devices {found}" + (" --nodes N for further machines" if kind == "GPUs" else ""),
        )
    if settings.nodes > 1 and not creates_processes() and _MEETING - os.environ.keys():
        raise RecipeError(
            f"--nodes {settings.nodes} without {', '.join(sorted(_MEETING - os.environ.keys()))}",
            why="the machines must know where they meet, and which is which",
            fix="on each machine: MASTER_ADDR=FIRST MASTER_PORT=29500 NODE_RANK=0 suwen …   with NODE_RANK=1 on the "
            "second; or start suwen by torchrun or srun",
        )


def available_devices() -> tuple[int, str]:
    """How many devices this machine has to train on, and what they are."""
    if torch.cuda.is_available():
        return torch.cuda.device_count(), "GPUs"
    if torch.backends.mps.is_available():
        return 1, "GPUs"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1, "processor cores"


def rank_here(settings: TrainingSettings) -> int:
    """Which process of the training this one is, before they have met. 0 is the first."""
    if not several(settings):
        return 0
    environment = _environment()
    if isinstance(environment, LightningEnvironment):
        return environment.node_rank() * settings.devices + environment.local_rank()
    return environment.global_rank()


def creates_processes() -> bool:
    """Whether ``torchrun``, SLURM or suwen itself has started this process as one of several."""
    return _environment().creates_processes_externally


def free_port() -> int:
    """One where the processes of this machine can meet."""
    return find_free_network_port()


def make_fabric(precision: str, settings: TrainingSettings | None = None) -> Fabric:
    """A Fabric on the best single device here, or on as many as the settings ask for, which have then met.

    Raises:
        RecipeError: see `check_devices`; or no processes were started (`suwen.verbs.workers`).
    """
    chosen: Any = {"accelerator": "auto", "precision": _PRECISION[precision]}
    if settings is None or not several(settings):
        return Fabric(devices=1, **chosen)
    check_devices(settings)
    if not creates_processes():
        raise RecipeError(
            f"training.devices = {settings.devices} outside of finetune and pretrain",
            why="only these start the other processes",
            fix="training.devices = 1",
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(devices=settings.devices, num_nodes=settings.nodes, strategy=_strategy(settings), **chosen)
    fabric.launch()
    return fabric


def _strategy(settings: TrainingSettings) -> DDPStrategy:
    if is_sharded(settings):
        return Sharded(timeout=_PATIENCE)
    # parameters that a loss does not use are common: a class token, a pooler
    return DDPStrategy(find_unused_parameters=True, timeout=_PATIENCE)


def _environment() -> ClusterEnvironment:
    """As Fabric finds it."""
    known = (TorchElasticEnvironment, SLURMEnvironment)
    return next((kind() for kind in known if kind.detect()), LightningEnvironment())
