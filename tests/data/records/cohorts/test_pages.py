from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from suwen.data.records.cohorts.pages import release

COUNT = 4_000_000
"""32 MB."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", np.arange(COUNT))
    return tmp_path / "a.npy"


def mapped_bytes() -> int:
    """Of files, in memory (``RssFile``, proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile:"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_what_was_read_is_let_go_and_read_again(file: Path) -> None:
    array = np.asarray(np.load(file, mmap_mode="r"))
    total = int(array.sum())
    before = mapped_bytes()
    release(array, COUNT // 4, COUNT)
    assert before - mapped_bytes() > 20_000_000
    assert int(array.sum()) == total == COUNT * (COUNT - 1) // 2


@pytest.mark.parametrize("mode", ["c", "r+", None])
def test_what_was_written_to_stays(file: Path, mode: str | None) -> None:
    array = np.load(file, mmap_mode=mode)  # type: ignore[call-overload]
    array[:] = 7
    release(array, 0, COUNT)
    assert (array == 7).all()


def test_a_part_and_every_second_one_can_be_asked_for(file: Path) -> None:
    array = np.asarray(np.load(file, mmap_mode="r"))
    for some in (array[1000:], array[::2], array[:10]):
        release(some, 0, len(some))
    assert array[5] == 5 and array[-1] == COUNT - 1
