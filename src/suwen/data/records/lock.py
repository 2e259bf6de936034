"""One import at a time into a store."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suwen.core.errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
PATIENCE = 2.0
"""Seconds for which it is tried: workers of an import that was killed hold its lock until they notice."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is not there, against every other process that does.

    The lock ends with the process, however it ends. Where there are no locks (Windows, some network disks) nothing is
    held, and two imports at a time are not noticed.

    Raises:
        DataError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    handle = None if fcntl is None else _held(file)
    try:
        yield
    finally:
        if handle is not None:
            file.unlink(missing_ok=True)
            fcntl.flock(handle, fcntl.LOCK_UN)  # workers that were forked have it too
            os.close(handle)


def _held(file: Path) -> int | None:
    """The file, locked; None on a disk without locks."""
    until = time.monotonic() + PATIENCE
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() > until:
                raise _refused(file) from None
            time.sleep(0.05)
            continue
        except OSError:
            os.close(handle)
            file.unlink(missing_ok=True)
            return None
        if _is(file, handle):
            return handle
        os.close(handle)  # who held it took it away meanwhile


def _is(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _refused(file: Path) -> DataError:
    return DataError(
        f"another import into {file.parent} is running",
        why="two at a time would each write over what the other adds",
        fix="wait until it has ended, then run the same command again",
    )
