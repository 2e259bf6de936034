"""How much room decoded pixels may take on disk: the sets not used for longest go first."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from suwen.core.errors import SuwenError

try:
    import fcntl
except ImportError:  # Windows, where a mapped file cannot be renamed, so that none that is open is taken away
    fcntl = None  # type: ignore[assignment]

LIMIT_GB = 20.0
"""Decoded pixels that are kept, in 10⁹ bytes, unless the variable ``SUWEN_CACHE_GB`` says otherwise."""

LEAVING = ".building-leaving-"
"""Begins the name of a folder that is being taken away; one that is left over is swept like an unfinished one."""


def room_limit() -> int:
    """The most bytes that decoded pixels take: `LIMIT_GB`, or ``SUWEN_CACHE_GB``.

    Raises:
        SuwenError: the variable is no number, or below 0.
    """
    text = os.environ.get("SUWEN_CACHE_GB", str(LIMIT_GB))
    with contextlib.suppress(ValueError, OverflowError):
        if float(text) >= 0:
            return int(float(text) * 1e9)
    raise SuwenError(f"SUWEN_CACHE_GB={text!r}", why="it is a number of gigabytes, from 0", fix="SUWEN_CACHE_GB=50")


def room_taken(images: Path) -> int:
    """Bytes of all sets in the folder ``images`` of the cache."""
    return sum(_size(folder) for folder in _sets(images))


def make_room(images: Path, limit: int) -> list[Path]:
    """Take away the sets not used for longest until `limit` bytes are left, but none that is open in any process.

    Returns:
        What was taken away.
    """
    sizes = {folder: _size(folder) for folder in _sets(images)}
    total, gone = sum(sizes.values()), []
    for folder in sorted(sizes, key=_last_use):
        if total <= limit:
            break
        if _take_away(folder):
            total -= sizes[folder]
            gone.append(folder)
    return gone


def hold(folder: Path) -> BinaryIO | None:
    """Note that a set is used now, and open: it is not taken away before what is returned is closed."""
    with contextlib.suppress(OSError):  # a cache that cannot be written, or a disk without locks
        os.utime(folder)
        file = (folder / "check.json").open("rb")
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        return file
    return None


def _take_away(folder: Path) -> bool:
    """Whether the set could be taken away. It vanishes under its name at once, never in part."""
    leaving = folder.with_name(LEAVING + folder.name)
    try:
        with (folder / "check.json").open("rb") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder.rename(leaving)
    except OSError:  # it is open, or another process was faster
        return False
    shutil.rmtree(leaving, ignore_errors=True)
    return True


def _sets(images: Path) -> list[Path]:
    return [folder for folder in images.glob("*/*") if folder.is_dir() and not folder.name.startswith(".")]


def _size(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):  # another process may take it away meanwhile
        total = sum(file.stat().st_size for file in folder.iterdir())
    return total


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
