"""``doctor``: what this machine can do, what is missing, and what to type."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was seen, what to type."""

    what: str
    seen: str
    state: State = "ok"
    fix: str = ""


EXTRAS = {
    "wandb": "wandb",
    "keras": "keras",
    "hf": "transformers",
    "lora": "peft",
    "onnx": "onnxruntime",
    "openvino": "openvino",
}
"""Extra → a module that it brings."""

DECODERS = {
    "gdcm": "JPEG, JPEG-LS, JPEG 2000 in DICOM",
    "openjpeg": "JPEG 2000 and HTJ2K in DICOM",
    "jpeg_ls": "JPEG-LS in DICOM",
}


def doctor() -> list[Finding]:
    """Look at Python, torch, device, precision, memory, disk, DICOM decoders and extras."""
    return [_python(), _torch(), _device(), _precision(), _cores(), _memory(), _disk(), *_decoders(), *_extras()]


def _python() -> Finding:
    return Finding("Python", platform.python_version())


def _torch() -> Finding:
    try:
        return Finding("PyTorch", f"{version('torch')}, timm {version('timm')}")
    except PackageNotFoundError as error:
        return Finding("PyTorch", f"{error.name} is not installed", "problem", "pip install suwen")


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", f"{torch.cuda.get_device_name(0)}, used by default")
    return Finding("device", "CPU only: small images and small encoders train in minutes; no GPU is needed", "note")


def _precision() -> Finding:
    from suwen.learn.device import choose_precision, has_fast_bfloat16

    if has_fast_bfloat16():
        return Finding("precision", f"{choose_precision('auto')}: this hardware multiplies bfloat16 natively")
    return Finding("precision", "fp32: no native bfloat16 here (emulated bfloat16 would be slower)", "note")


def _cores() -> Finding:
    import torch

    cores, threads = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        torch.get_num_threads(),
    )
    if cores is not None and threads > cores:
        return Finding("cores", f"{cores} cores but {threads} threads", "problem", f"export OMP_NUM_THREADS={cores}")
    return Finding("cores", f"{cores} cores, {threads} threads")


def _memory() -> Finding:
    if not hasattr(os, "sysconf"):
        return Finding("memory", "unknown on this system", "note")
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        Finding("memory", f"{size:.0f} GiB")
        if size >= 4
        else Finding("memory", f"{size:.1f} GiB", "note", "--batch-size 16")
    )


def _disk() -> Finding:
    from platformdirs import user_cache_dir

    from suwen.data.room import room_limit, room_taken

    folder = Path(user_cache_dir("suwen"))
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 2**30
    taken = room_taken(folder / "images") / 1e9
    seen = f"{folder}: {taken:.1f} GB of pixels, at most {room_limit() / 1e9:g} (SUWEN_CACHE_GB)"
    if free < 2:
        return Finding("cache", f"{seen}; {free:.1f} GiB free", "problem", "free some space, or set XDG_CACHE_HOME")
    return Finding("cache", f"{seen}; {free:.0f} GiB free")


def _decoders() -> list[Finding]:
    found = []
    for module, what in DECODERS.items():
        there = importlib.util.find_spec(module) is not None
        found.append(
            Finding(what, "yes") if there else Finding(what, "missing", "problem", "pip install --upgrade suwen")
        )
    return found


def _extras() -> list[Finding]:
    found = []
    for extra, module in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        found.append(
            Finding(f"extra {extra}", "installed")
            if there
            else Finding(f"extra {extra}", "not installed", "note", f'pip install "suwen[{extra}]"')
        )
    return found
