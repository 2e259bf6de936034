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


def of_file(path: Path) -> Sample:
    return Sample(id=path.name, source=path, target=None, subject=path.name)


@pytest.fixture
def file(tmp_path: Path, draw: Any) -> Path:
    Image.fromarray(draw(1)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_known_file_is_not_read_again(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_digests([of_file(file)], cache=cache)
    assert first == [read_pixels(file).digest()]
    monkeypatch.setattr(contents, "read_pixels", lambda path: pytest.fail(f"{path} was read again"))
    assert content_digests([of_file(file)], cache=cache) == first


def test_a_changed_file_is_read_again(file: Path, cache: Path, draw: Any) -> None:
    first = content_digests([of_file(file)], cache=cache)
    status = file.stat()
    Image.fromarray(draw(2)).save(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert content_digests([of_file(file)], cache=cache) == [read_pixels(file).digest()] != first


def test_a_damaged_table_is_as_good_as_none(file: Path, cache: Path) -> None:
    first = content_digests([of_file(file)], cache=cache)
    (table,) = (cache / "digests").glob("*.json")
    for damage in ("", "{", "[1, 2]", '{"x": 3}'):
        table.write_text(damage)
        assert content_digests([of_file(file)], cache=cache) == first


def test_a_cache_that_cannot_be_written_costs_only_time(file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert content_digests([of_file(file)], cache=blocked) == [read_pixels(file).digest()]


def test_what_cannot_be_decoded_has_no_digest(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "bad.png").touch()
    assert content_digests([of_file(tmp_path / "bad.png"), of_file(tmp_path / "gone.png")], cache=cache) == [None, None]


def test_tables_of_different_folders_and_kinds_do_not_mix(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "x"
    file.touch()
    table = FileTable([file], "digests", cache)
    table.add(file, stamp(file), "known")
    table.save()
    assert FileTable([file], "digests", cache).get(file) == "known"
    assert FileTable([file], "headers", cache).get(file) is None
    assert FileTable([tmp_path / "b" / "x"], "digests", cache).get(file) is None


def test_work_keeps_the_order_and_hands_on_errors() -> None:
    samples = [Sample(id=str(index), source=np.zeros((1, 1)), target=index, subject="") for index in range(700)]

    def work(sample: Sample) -> int:
        if sample.target % 100 == 50:
            raise DataError(sample.id)
        return int(sample.target)

    results = [result for _, result in for_each(samples, work, "", progress=False)]
    assert [index for index, result in enumerate(results) if isinstance(result, DataError)] == list(range(50, 700, 100))
    assert all(result == index for index, result in enumerate(results) if not isinstance(result, DataError))


def test_pixels_that_are_no_picture_are_named() -> None:
    sample = Sample(id="train[17]", source=np.full((2, 2), np.nan), target=None, subject="")
    with pytest.raises(FileUnreadable, match=r"train\[17\]: 4 of 4 pixels are NaN"):
        read_picture(sample)
