"""The machine that a figure belongs to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def describe_machine() -> dict[str, Any]:
    """Processor, cores, threads, accelerator, memory (GiB), versions, and how busy it was (load average, 1 minute)."""
    import torch

    from suwen.learn.device import has_fast_bfloat16

    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "fast_bfloat16": has_fast_bfloat16(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "suwen": version("suwen"),
    }


def machine_in_words(machine: dict[str, Any]) -> str:
    """One line for the console and the README."""
    where = machine["gpu"] or f"{machine['cpu']}, {machine['cores']} cores"
    return (
        f"{where}, {machine['threads']} threads, load {machine['load']} at the start; Python {machine['python']}, "
        f"torch {machine['torch']}, suwen {machine['suwen']}"
    )


def _cpu() -> str:
    """The model name; that of a virtual machine may be a bare "Intel(R) Xeon(R) Processor"."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
