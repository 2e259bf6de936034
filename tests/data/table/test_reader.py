from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suwen.core.errors import DataError, LeakError, RecipeError
from suwen.data.table.reader import TABLE


def table(folder: Path, rows: int = 60, *, extra: str = "", name: str = "t.csv", seed: int = 0) -> Path:
    """Age, sex and pressure (0 stands for missing), and a target that follows age."""
    rng = np.random.default_rng(seed)
    lines = ["id,age,sex,pressure,sick"]
    for number in range(rows):
        age = int(rng.integers(20, 90))
        pressure = 0 if number % 7 == 0 else int(rng.integers(90, 180))
        lines.append(f"{number + 1},{age},{'FM'[number % 2]},{pressure},{int(age + rng.normal(0, 15) > 55)}")
    file = folder / name
    file.write_text("\n".join(lines) + "\n" + extra, encoding="utf-8")
    return file


def build(file: Path, labels: tuple[str, ...] | None = None, seed: int = 0, **settings: object):  # noqa: ANN201
    reader = TABLE.bound(settings)
    samples = reader.read(file)
    return reader.build(samples, reader.preprocess(samples, settings), seed=seed, labels=labels)


def test_the_last_column_is_the_target_and_a_row_number_is_no_feature(tmp_path: Path) -> None:
    dataset = build(table(tmp_path))
    assert [column.name for column in dataset.preprocess.columns] == ["age", "sex", "pressure"]
    assert dataset.labels == ("0", "1") and dataset.values.dtype == np.float32
    said = " ".join(dataset.said)
    assert "'sick' is what is predicted, since it is the last column" in said and "'id'" in said


def test_a_usual_name_comes_before_the_last_column(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Outcome,age\n1,5\n0,6\n1,9\n0,3\n", encoding="utf-8")
    assert build(file).preprocess.target == ("Outcome",)


def test_statistics_are_those_of_the_training_rows_only(tmp_path: Path) -> None:
    dataset = build(table(tmp_path), missing={"pressure": [0]})
    train = dataset.where("train")
    pressure = dataset.values[train, 2].astype(np.float64)
    column = dataset.preprocess.columns[2]
    assert column.mean == pytest.approx(np.nanmean(pressure)) and column.median == np.nanmedian(pressure)
    assert column.blanks == np.isnan(pressure).sum() and np.nanmin(dataset.values[:, 2]) != 0
    assert column.mean != pytest.approx(np.nanmean(dataset.values[:, 2].astype(np.float64)), abs=1e-6)


def test_a_fit_does_not_travel_into_another_split(tmp_path: Path) -> None:
    file = table(tmp_path)
    first = build(file)
    again = TABLE.bound({})
    samples = again.read(file)
    other = again.build(samples, again.preprocess(samples, first.preprocess.model_dump()), seed=5)
    assert other.preprocess.columns != first.preprocess.columns
    assert first.preprocess.settings() == {"target": ["sick"]}


def test_order_of_rows_plays_no_part_in_the_split(tmp_path: Path) -> None:
    file = table(tmp_path)
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    turned = tmp_path / "turned.csv"
    turned.write_text("\n".join([head, *rows[::-1]]), encoding="utf-8")
    one, other = build(file, ignore=["id"]), build(turned, ignore=["id"])
    assert dict(zip(map(bytes, one.digests), one.splits.tolist(), strict=True)) == dict(
        zip(map(bytes, other.digests), other.splits.tolist(), strict=True)
    )


def test_rows_of_one_person_stay_together(tmp_path: Path) -> None:
    file = tmp_path / "visits.csv"
    rows = [f"p{number % 20},{number * 7 % 80},{number % 3},{number % 2}" for number in range(80)]
    file.write_text("\n".join(["patient_id,a,b,y", *rows]), encoding="utf-8")
    dataset = build(file)
    where = {}
    for person, split in zip(dataset.subjects.tolist(), dataset.splits.tolist(), strict=True):
        where.setdefault(person, set()).add(split)
    assert len(where) == 20 and all(len(splits) == 1 for splits in where.values())
    assert {column.name for column in dataset.preprocess.columns} == {"a", "b"}


def test_a_person_in_two_given_splits_is_a_leak(tmp_path: Path) -> None:
    file = tmp_path / "visits.csv"
    splits = ["train", "test"] * 20
    rows = [f"p{n // 2},{n * 7 % 40},{n // 3 % 2},{split}" for n, split in enumerate(splits)]
    file.write_text("\n".join(["patient_id,a,y,split", *rows, "q,1,0,train", "r,2,1,test"]), "utf-8")
    dataset = build(file, target="y")
    with pytest.raises(LeakError, match="subjects are in two splits"):
        TABLE.check(dataset)
    assert TABLE.check(dataset, allow_leak=True).leaks


def test_several_targets_are_a_multi_label_question(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    rows = [f"{number * 7 % 30},{number % 2},{'yes' if number % 3 else 'no'}" for number in range(30)]
    file.write_text("\n".join(["x,flu,cold", *rows]), encoding="utf-8")
    dataset = build(file, target=["flu", "cold"], ignore=[])
    assert dataset.multi_label and dataset.labels == ("cold", "flu")
    assert dataset.targets[:, 1].tolist() == [number % 2 for number in range(30)]
    assert dataset.targets[:, 0].tolist() == [int(number % 3 > 0) for number in range(30)]


def test_rows_without_a_target_are_refused_or_counted(tmp_path: Path) -> None:
    file = table(tmp_path, extra="99,50,F,100,\n")
    with pytest.raises(DataError, match=r"1 of 61 rows have no target, such as t.csv:62"):
        TABLE.check(build(file))
    reader = TABLE.bound({})
    samples = reader.read(file)
    dataset = reader.build(samples, reader.preprocess(samples, {}), seed=0, skip_bad=True)
    assert len(dataset) == 60 and dataset.skipped == [("t.csv:62", "it has no target")]
    assert "1 rows without a target were left out" in TABLE.check(dataset).warnings


def test_one_target_value_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text("a,y\n" + "\n".join(f"{n * 7 % 20},1" for n in range(20)), encoding="utf-8")
    with pytest.raises(DataError, match="the target is '1' in every row"):
        TABLE.check(build(file))


def test_a_target_of_many_values_is_refused_with_the_columns_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'age' has .* different values"):
        build(table(tmp_path), target="age")


@pytest.mark.parametrize("setting", [{"target": "sik"}, {"ignore": ["aeg"]}, {"missing": {"presure": [0]}}])
def test_a_misspelt_column_is_refused_with_the_nearest(tmp_path: Path, setting: dict) -> None:
    with pytest.raises(RecipeError, match="did you mean"):
        build(table(tmp_path), **setting)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown setting inputs\.size"):
        TABLE.bound({"size": 28})


def test_rows_to_answer_need_no_target_but_every_column(tmp_path: Path) -> None:
    dataset = build(table(tmp_path))
    reader = TABLE.bound(dataset.preprocess.model_dump())
    (tmp_path / "new.csv").write_text("sex,pressure,age\nF,120,44\n", encoding="utf-8")
    (row,) = reader.read(tmp_path / "new.csv", labelled=False)
    assert dataset.preprocess(row.source).tolist() == [44, 0, 120] and row.id == "new.csv:2"
    (tmp_path / "less.csv").write_text("sex,age\nF,44\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'pressure'"):
        reader.read(tmp_path / "less.csv", labelled=False)


def test_one_row_of_a_file_is_named_by_its_number(tmp_path: Path) -> None:
    file = table(tmp_path)
    reader = TABLE.bound(build(file).preprocess.model_dump())
    whole, (row,) = reader.read(file, labelled=False), reader.read(f"{file}:9", labelled=False)
    assert row.id == "t.csv:9" and row.source == whole[7].source


def test_cells_row_by_row_give_what_the_whole_table_gives(tmp_path: Path) -> None:
    file = table(tmp_path)
    dataset = build(file, missing={"pressure": [0]})
    samples = TABLE.bound(dataset.preprocess.model_dump()).read(file, labelled=False)
    each = np.stack([dataset.preprocess(sample.source) for sample in samples])
    assert np.array_equal(each, dataset.values, equal_nan=True)
    numbers = dataset.preprocess({"age": 44.0, "sex": "M", "pressure": None})
    assert numbers[:2].tolist() == [44, 1] and np.isnan(numbers[2])


def test_further_files_are_joined_by_the_columns_both_have(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("key,a\n3,1.5\n1,2.5\n2,3.5\n9,4\n", encoding="utf-8")
    (tmp_path / "y.csv").write_text("key,y\n1,0\n2,1\n3,1\n9,0\n", encoding="utf-8")
    dataset = build(tmp_path / "x.csv", join="y.csv", ignore="key", target="y")
    assert dataset.targets.tolist() == [1, 0, 1, 0]
    (tmp_path / "y.csv").write_text("key,y\n1,0\n2,1\n3,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"1 rows of x.csv have no match in y.csv: row 5"):
        build(tmp_path / "x.csv", join="y.csv", target="y")
    (tmp_path / "y.csv").write_text("key,y\n1,0\n1,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="same key as a row above"):
        build(tmp_path / "x.csv", join="y.csv", target="y")


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    one, same, other = (
        build(table(tmp_path)),
        build(table(tmp_path / "b", name="u.csv")),
        build(table(tmp_path, name="v.csv", seed=1)),
    )
    assert one.preprocess == same.preprocess and one.fingerprint != other.fingerprint
