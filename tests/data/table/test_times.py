from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suwen.core.errors import DataError, RecipeError
from suwen.data.table.times import TABLE_TIMES


def build(file: Path, **settings: object):  # noqa: ANN201
    reader = TABLE_TIMES.bound(settings)
    samples = reader.read(file)
    return reader.build(samples, reader.preprocess(samples, settings), seed=0)


def write(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_a_time_and_a_cause_become_two_numbers(tmp_path: Path) -> None:
    rows = [f"{20 + n},{n / 2},{['', 'heart', 'cancer', '0'][n % 4]}" for n in range(40)]
    dataset = build(write(tmp_path / "t.csv", ["age,years,cause", *rows]), time="years", event="cause")
    assert dataset.labels == ("cancer", "heart") and dataset.targets.dtype == np.float64
    assert dataset.targets[:4].tolist() == [[0, 0], [0.5, 2], [1, 1], [1.5, 0]]
    assert [column.name for column in dataset.preprocess.columns] == ["age"]


def test_a_single_cause_is_called_as_its_column(tmp_path: Path) -> None:
    rows = [f"{20 + n},{n},{n % 2}" for n in range(20)]
    dataset = build(write(tmp_path / "t.csv", ["age,days,death", *rows]), time="days", event="death")
    assert dataset.labels == ("death",) and dataset.targets[:, 1].tolist() == [n % 2 for n in range(20)]


def test_every_split_has_its_share_of_events(tmp_path: Path) -> None:
    rows = [f"{20 + n},{n},{int(n % 5 == 0)}" for n in range(200)]
    dataset = build(write(tmp_path / "t.csv", ["age,days,death", *rows]), time="days", event="death")
    assert [int(dataset.targets[dataset.where(split), 1].sum()) for split in ("train", "val", "test")] == [28, 6, 6]


def test_a_signed_time_is_an_event_or_minus_the_time_without_one(tmp_path: Path) -> None:
    rows = [f"{20 + n},{(n + 1) * (1 if n % 2 else -1)}" for n in range(20)]
    dataset = build(write(tmp_path / "t.csv", ["age,y", *rows]), signed_time="y")
    assert dataset.targets[:2].tolist() == [[1, 0], [2, 1]] and dataset.labels == ("event",)


def test_what_is_no_time_is_refused(tmp_path: Path) -> None:
    rows = [f"{20 + n},{n},{n % 2}" for n in range(20)]
    file = write(tmp_path / "t.csv", ["age,days,death", *rows, "50,-3,1"])
    with pytest.raises(DataError, match="row 22 is '-3'"):
        build(file, time="days", event="death")
    with pytest.raises(RecipeError, match=r"no inputs.time"):
        build(file)
    file = write(tmp_path / "u.csv", ["age,days,death", *rows, "50,,1"])
    with pytest.raises(DataError, match="1 of 21 rows have no target"):
        TABLE_TIMES.check(build(file, time="days", event="death"))


def test_nothing_that_ever_happens_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", ["age,days,death", *(f"{20 + n},{n},0" for n in range(20))])
    with pytest.raises(DataError, match="nothing happens"):
        TABLE_TIMES.check(build(file, time="days", event="death"))


def test_nhanes_is_joined_with_its_signed_times(shared_data: Path) -> None:
    dataset = build(shared_data / "tables" / "nhanes1_X.csv", join=["nhanes1_y.csv"], signed_time="y")
    assert len(dataset) == 9932 and int(dataset.targets[:, 1].sum()) == 3473
    assert len(dataset.preprocess.columns) == 18
