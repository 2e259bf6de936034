"""Class folders say the class, split folders say the split, and what is ambiguous is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from suwen.core.errors import DataError
from suwen.data.readers.folders import read_folder


def test_class_folders_give_classes_and_no_split(make_folders: Any) -> None:
    root = make_folders({"cat": 2, "dog": 1})
    samples = read_folder(root)
    assert [(sample.id, sample.target, sample.split) for sample in samples] == [
        ("cat/000.png", "cat", None),
        ("cat/001.png", "cat", None),
        ("dog/000.png", "dog", None),
    ]
    assert all(sample.source == root / sample.id and sample.subject == sample.id for sample in samples)


@pytest.mark.parametrize(("val", "test"), [("val", "test"), ("valid", "testing"), ("Validation", "TEST")])
def test_split_folders_and_their_other_names(make_folders: Any, val: str, test: str) -> None:
    samples = read_folder(make_folders({"training/cat": 1, f"{val}/cat": 1, f"{test}/dog": 1}))
    assert {(sample.split, sample.target) for sample in samples} == {("train", "cat"), ("val", "cat"), ("test", "dog")}


def test_pictures_in_folders_below_a_class_are_of_that_class(make_folders: Any) -> None:
    samples = read_folder(make_folders({"train/cat/patient-1": 1, "train/cat/patient-2": 1}))
    assert [(sample.target, sample.id) for sample in samples] == [
        ("cat", "train/cat/patient-1/000.png"),
        ("cat", "train/cat/patient-2/000.png"),
    ]


def test_a_flat_folder_is_unlabelled(make_folders: Any) -> None:
    assert [sample.target for sample in read_folder(make_folders({".": 3}))] == [None] * 3


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "chest" / "normal").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no image") as refusal:
        read_folder(tmp_path / "chest")
    assert "chest" in refusal.value.seen
    assert ".png" in refusal.value.why
    assert "root/CLASS/*" in refusal.value.fix


def test_split_folders_beside_other_folders_are_refused(make_folders: Any) -> None:
    with pytest.raises(DataError, match="holds train and also extra"):
        read_folder(make_folders({"train/cat": 1, "extra/cat": 1}))


def test_two_folders_for_one_split_are_refused(make_folders: Any) -> None:
    with pytest.raises(DataError, match="two of them mean val"):
        read_folder(make_folders({"train/cat": 1, "val/cat": 1, "valid/cat": 1}))


def test_pictures_beside_class_folders_are_refused(make_folders: Any) -> None:
    with pytest.raises(DataError, match=r"holds 1 images, such as 000\.png, beside folders"):
        read_folder(make_folders({"cat": 2, ".": 1}))


def test_other_files_are_counted_and_hidden_ones_are_not(make_folders: Any) -> None:
    root = make_folders({"cat": 1})
    for name in ("cat/a.webp", "cat/b.webp", "cat/notes.txt", "cat/.DS_Store"):
        (root / name).touch()
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "__MACOSX" / "cat" / "000.png").touch()
    with pytest.warns(UserWarning, match=r"\.txt \(1\), \.webp \(2\)"):
        samples = read_folder(root)
    assert [sample.id for sample in samples] == ["cat/000.png"]


def test_dicom_belongs_to_the_subject_of_its_header(tmp_path: Path) -> None:
    film = Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "IM0001").write_bytes(film)
    (tmp_path / "cat" / "2.dcm").write_bytes(film)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "cat" / "3.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples = {sample.id: sample for sample in read_folder(tmp_path)}
    assert samples["cat/IM0001"].subject == samples["cat/2.dcm"].subject == "4MR1"
    assert samples["cat/2.dcm"].metadata["sex"] == "F"
    assert samples["cat/2.dcm"].metadata["modality"] == "MR"
    assert samples["cat/3.png"].subject == "cat/3.png"


def test_linked_folders_are_read_and_circles_end(tmp_path: Path) -> None:
    (tmp_path / "archive" / "a").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "archive" / "a" / "1.png")
    (tmp_path / "set" / "clear").mkdir(parents=True)
    (tmp_path / "set" / "clear" / "linked").symlink_to(tmp_path / "archive" / "a")
    (tmp_path / "set" / "disc").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "back").symlink_to(tmp_path / "archive")
    assert [sample.id for sample in read_folder(tmp_path / "set")] == ["clear/linked/1.png", "disc/a/1.png"]
