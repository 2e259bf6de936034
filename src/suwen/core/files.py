"""Writes that either happen whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from suwen.core.errors import SuwenError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that replaces it on success; on any failure the old file stays.

    Raises:
        SuwenError: the disk is full. Every other error passes through unchanged.
    """
    temporary: Path | None = None
    try:
        with _full_disk_told(target, "the new file did not fit; what was there before is untouched"):
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            _on_disk(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`, which takes its place on success; on any failure nothing is left of it.

    Args:
        target: not there, or an empty folder.

    Raises:
        SuwenError: the disk is full. Every other error passes through unchanged.
    """
    temporary: Path | None = None
    try:
        with _full_disk_told(target, "the new folder did not fit; nothing of it is left"):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _on_disk(file)
            temporary.chmod(0o777 & ~_umask())
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _full_disk_told(target: Path, why: str) -> Iterator[None]:
    """A full disk as an error that says what to do."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if _disk_is_full(error):
            raise SuwenError(
                f"the disk is full: {target} could not be written",
                why=why,
                fix=f"free space on the disk of {target.parent}, then run the same command again",
            ) from error
        raise


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write JSON atomically. NaN and infinity are refused (they are not JSON): callers turn them into null."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _on_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _disk_is_full(error: OSError | SafetensorError) -> bool:
    # safetensors writes through its own library, whose errors carry the system's number only in their text
    return getattr(error, "errno", None) == errno.ENOSPC or f"(os error {errno.ENOSPC})" in str(error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
