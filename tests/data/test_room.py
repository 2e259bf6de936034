"""Decoded pixels are bounded on disk: the oldest go first, what is open stays, and what is gone is decoded again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suwen.core.errors import SuwenError
from suwen.data.columns import build
from suwen.data.preprocess import ImagePreprocess
from suwen.data.readers.images import read_images
from suwen.data.room import LIMIT_GB, hold, make_room, room_limit, room_taken

SMALL = ImagePreprocess(size=16, channels=1)


def a_set(images: Path, name: str, *, age: float, size: int = 1000) -> Path:
    folder = images / "preprocessing" / name
    folder.mkdir(parents=True)
    (folder / "pixels.npy").write_bytes(bytes(size))
    (folder / "check.json").write_bytes(b"")
    os.utime(folder, (time.time() - age,) * 2)
    return folder


def test_the_sets_not_used_for_longest_go_until_the_rest_fits(tmp_path: Path) -> None:
    old, young, oldest = (a_set(tmp_path, name, age=age) for name, age in (("a", 50), ("b", 10), ("c", 90)))
    assert room_taken(tmp_path) == 3000
    assert make_room(tmp_path, 3000) == []
    assert make_room(tmp_path, 2999) == [oldest]
    assert make_room(tmp_path, 1000) == [old]
    assert young.is_dir() and list(young.parent.iterdir()) == [young]


def test_what_is_open_stays_and_counts_as_just_used(tmp_path: Path) -> None:
    opened, other = a_set(tmp_path, "a", age=90), a_set(tmp_path, "b", age=50)
    held = hold(opened)
    assert held is not None
    assert make_room(tmp_path, 0) == [other]
    held.close()
    other = a_set(tmp_path, "b", age=50)
    assert make_room(tmp_path, 1000) == [other]
    assert make_room(tmp_path, 0) == [opened]


@pytest.mark.skipif(sys.platform == "win32", reason="flock")
def test_what_another_process_has_open_stays(tmp_path: Path) -> None:
    folder = a_set(tmp_path, "a", age=90)
    program = "import sys; from pathlib import Path; from suwen.data.room import hold; "
    program += "held = hold(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert make_room(tmp_path, 0) == []
        process.communicate()
    assert make_room(tmp_path, 0) == [folder]


def test_a_build_keeps_the_cache_within_its_limit(
    make_folders: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folders({"a": 3, "b": 4})
    monkeypatch.setenv("SUWEN_CACHE_GB", "0")
    first = build(read_images(root / "a"), SMALL, cache=cache)
    expected = np.array(first.pixels)
    second = build(read_images(root / "b"), SMALL, cache=cache)
    assert len(list((cache / "images").glob("*/*"))) == 2  # both are open
    del first, second
    build(read_images(root), SMALL, cache=cache)
    assert len(list((cache / "images").glob("*/*"))) == 1
    assert np.array_equal(build(read_images(root / "a"), SMALL, cache=cache).pixels, expected)


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUWEN_CACHE_GB", raising=False)
    assert room_limit() == LIMIT_GB * 1e9
    monkeypatch.setenv("SUWEN_CACHE_GB", "0.5")
    assert room_limit() == 500_000_000
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("SUWEN_CACHE_GB", wrong)
        with pytest.raises(SuwenError, match="SUWEN_CACHE_GB"):
            room_limit()
