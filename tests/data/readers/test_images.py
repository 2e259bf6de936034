"""One function reads whatever a user hands over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suwen.core.errors import DataError
from suwen.data.readers.images import read_images


def test_a_folder_with_a_manifest_is_read_by_it(make_folders: Any) -> None:
    root = make_folders({"cat": 2})
    (root / "manifest.csv").write_text("path,label\ncat/000.png,tabby\n")
    assert [sample.target for sample in read_images(root)] == ["tabby"]
    assert [sample.target for sample in read_images(str(root / "manifest.csv"))] == ["tabby"]


def test_a_folder_with_one_npz_is_that_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", train_images=np.zeros((2, 4, 4), np.uint8), train_labels=np.zeros((2, 1), int))
    assert [sample.id for sample in read_images(tmp_path)] == ["train[0]", "train[1]"]


def test_a_file_a_glob_and_a_flat_folder_are_unlabelled(make_folders: Any) -> None:
    root = make_folders({".": 3})
    assert [sample.target for sample in read_images(root / "001.png")] == [None]
    assert [Path(sample.id).name for sample in read_images(f"{root}/00[12].png")] == ["001.png", "002.png"]
    assert len(read_images(root)) == 3


def test_a_manifest_without_labels_is_read_on_request(make_folders: Any) -> None:
    root = make_folders({".": 1})
    (root / "list.csv").write_text("path\n000.png\n")
    assert read_images(root / "list.csv", labelled=False)[0].target is None
    with pytest.raises(DataError, match=r"list\.csv"):
        read_images(root / "list.csv")


@pytest.mark.parametrize(("source", "why"), [("nowhere", ""), ("nowhere/*.png", "as a pattern it matches no file")])
def test_what_is_not_there_is_named(source: str, why: str) -> None:
    with pytest.raises(DataError, match="no such file or folder") as refusal:
        read_images(source)
    assert source in refusal.value.seen
    assert why in refusal.value.why
    assert "relative" in refusal.value.fix
