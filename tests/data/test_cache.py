"""The check of a cache folder sees a change anywhere in a small file, and the size of a large one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suwen.data import cache as module
from suwen.data.cache import Facts, PixelCache, locate
from suwen.data.preprocess import ImagePreprocess

TINY = ImagePreprocess(size=2, channels=1)


def digests(*numbers: int) -> np.ndarray:
    return np.repeat(np.array(numbers, np.uint8)[:, None], 16, axis=1)


def store(pixels: PixelCache, count: int) -> str:
    facts = Facts(
        digests=digests(*range(count)),
        phash=np.arange(count, dtype=np.uint64),
        sizes=np.full((count, 2), 2, np.int32),
        modes=np.array(["grey8"] * count),
    )
    images = [np.full((1, 2, 2), index, np.uint8) for index in range(count)]
    with pixels.workspace() as workspace:
        return pixels.store(workspace, facts, images)


def test_what_is_stored_is_opened(cache: Path) -> None:
    pixels = PixelCache(TINY, cache)
    columns = pixels.open(store(pixels, 3))
    assert columns is not None
    assert columns.pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert [digest.tobytes() for digest in columns.digests] == [bytes([index] * 16) for index in range(3)]
    assert columns.phash.tolist() == [0, 1, 2]
    part, row = locate(pixels.find(), digests(2, 7, 0))
    assert part.tolist() == [0, -1, 0] and row[[0, 2]].tolist() == [2, 0]


def test_two_preprocessings_share_nothing(cache: Path) -> None:
    one, other = PixelCache(TINY, cache), PixelCache(ImagePreprocess(size=2, channels=1, resize="crop"), cache)
    key = store(one, 2)
    assert other.open(key) is None
    assert other.find() == []


def test_the_key_is_of_the_set_of_contents() -> None:
    pixels = PixelCache(TINY, None)
    assert pixels.key(digests(1, 200)) == pixels.key(digests(200, 1))
    assert len({pixels.key(some) for some in (digests(0), digests(0, 0), digests(1))}) == 3


def test_storing_what_another_process_has_stored_meanwhile_is_no_error(cache: Path) -> None:
    pixels = PixelCache(TINY, cache)
    assert store(pixels, 2) == store(pixels, 2)
    assert pixels.open(store(pixels, 2)) is not None


@pytest.mark.parametrize("position", [0, 700, 999])
def test_every_byte_of_a_small_file_is_checked(tmp_path: Path, position: int) -> None:
    content = bytearray(1000)
    (tmp_path / "a").write_bytes(content)
    before = module.spot_check(tmp_path / "a")
    content[position] = 1
    (tmp_path / "a").write_bytes(content)
    assert module.spot_check(tmp_path / "a") != before


def test_of_a_large_file_the_ends_and_blocks_between_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 10)
    monkeypatch.setattr(module, "BLOCKS", 5)
    content = bytearray(1000)
    (tmp_path / "a").write_bytes(content)
    before = module.spot_check(tmp_path / "a")
    for position in (0, 500, 999):
        changed = bytearray(content)
        changed[position] = 1
        (tmp_path / "a").write_bytes(changed)
        assert module.spot_check(tmp_path / "a") != before
    (tmp_path / "a").write_bytes(content[:-1])
    assert module.spot_check(tmp_path / "a") != before
