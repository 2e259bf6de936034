"""What is known of a file is believed only while its path, size and time of change are the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.sample import Sample
from suwen.data import contents
from suwen.data.contents import FileTable, content_digests, for_each, read_picture, stamp
from suwen.data.decode import read_pixels


def digests_of(samples: list[Sample], cache: Path) -> list[bytes | None]:
    found = content_digests(samples, cache=cache)
    return [found.get(row) for row in range(len(samples))]


def of_file(path: Path) -> Sample:
    return Sample(id=path.name, source=path, target=None, subject=path.name)


@pytest.fixture
def file(tmp_path: Path, draw: Any) -> Path:
    Image.fromarray(draw(1)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_known_file_is_not_read_again(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = digests_of([of_file(file)], cache)
    assert first == [read_pixels(file).digest()]
    monkeypatch.setattr(contents, "read_pixels", lambda path: pytest.fail(f"{path} was read again"))
    assert digests_of([of_file(file)], cache) == first


def test_a_changed_file_is_read_again(file: Path, cache: Path, draw: Any) -> None:
    first = digests_of([of_file(file)], cache)
    status = file.stat()
    Image.fromarray(draw(2)).save(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert digests_of([of_file(file)], cache) == [read_pixels(file).digest()] != first


def test_a_damaged_table_is_as_good_as_none(file: Path, cache: Path) -> None:
    first = digests_of([of_file(file)], cache)
    table = cache / "digests.sqlite"
    for damage in ("", "{", "[1, 2]", '{"x": 3}'):
        table.write_text(damage)
        assert digests_of([of_file(file)], cache) == first


def test_a_cache_that_cannot_be_written_costs_only_time(file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert digests_of([of_file(file)], blocked) == [read_pixels(file).digest()]


def test_what_cannot_be_decoded_has_no_digest(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "bad.png").touch()
    assert digests_of([of_file(tmp_path / "bad.png"), of_file(tmp_path / "gone.png")], cache) == [None, None]


def test_tables_of_different_files_parts_and_kinds_do_not_mix(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "x"
    file.touch()
    with FileTable("digests", cache) as table:
        table.add(file, stamp(file), b"known", "part")
    with FileTable("digests", cache) as table, FileTable("headers", cache) as other:
        assert table.get(file, "part") == b"known"
        assert table.get(file) is None and table.get(file, "par") is None
        assert table.get(tmp_path / "y", "part") is None
        assert other.get(file, "part") is None


def test_more_entries_than_wait_in_memory_are_all_there(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "WRITTEN_AT_A_TIME", 3)
    (tmp_path / "x").touch()
    with FileTable("digests", cache) as table:
        for part in range(10):
            table.add(tmp_path / "x", stamp(tmp_path / "x"), bytes([part]), str(part))
    with FileTable("digests", cache) as table:
        assert [table.get(tmp_path / "x", str(part)) for part in range(10)] == [bytes([part]) for part in range(10)]


def test_work_keeps_the_order_and_hands_on_errors() -> None:
    samples = [Sample(id=str(index), source=np.zeros((1, 1)), target=index, subject="") for index in range(700)]

    def work(sample: Sample) -> int:
        if sample.target % 100 == 50:
            raise DataError(sample.id)
        return int(sample.target)

    found = list(for_each(samples, work, "", progress=False))
    results = [result for _, result in found]
    assert [row for row, _ in found] == list(range(700))
    assert list(for_each(samples, work, "", rows=[7, 3], progress=False)) == [(7, 7), (3, 3)]
    assert [index for index, result in enumerate(results) if isinstance(result, DataError)] == list(range(50, 700, 100))
    assert all(result == index for index, result in enumerate(results) if not isinstance(result, DataError))


def test_pixels_that_are_no_picture_are_named() -> None:
    sample = Sample(id="train[17]", source=np.full((2, 2), np.nan), target=None, subject="")
    with pytest.raises(FileUnreadable, match=r"train\[17\]: 4 of 4 pixels are NaN"):
        read_picture(sample)
