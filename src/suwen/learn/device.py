"""Which device, precision and threads a training uses."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric

_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


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


def make_fabric(precision: str) -> Fabric:
    """A Fabric on the best single device here."""
    return Fabric(accelerator="auto", devices=1, precision=_PRECISION[precision])  # type: ignore[arg-type]
