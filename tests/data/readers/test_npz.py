"""MedMNIST files are read exactly; damaged, pickled or ill-shaped ones are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suwen.core.errors import DataError
from suwen.data.picture import picture_of
from suwen.data.readers import npz, packed
from suwen.data.readers.npz import read_npz

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
LABELS = np.array([[0], [1], [1], [0], [2]])

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def saved(**arrays: Any) -> Path:
        np.savez_compressed(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return saved


def test_pictures_labels_and_splits(save: Save) -> None:
    samples = read_npz(
        save(train_images=IMAGES, train_labels=LABELS, test_images=IMAGES[:2], test_labels=LABELS[:2].ravel())
    )
    assert [sample.id for sample in samples] == [*(f"train[{index}]" for index in range(5)), "test[0]", "test[1]"]
    assert [sample.target for sample in samples] == ["0", "1", "1", "0", "2", "0", "1"]
    assert [sample.split for sample in samples] == ["train"] * 5 + ["test"] * 2
    assert all(sample.subject == sample.id for sample in samples)
    assert all(np.array_equal(sample.source, image) for sample, image in zip(samples, IMAGES, strict=False))


def test_pneumoniamnist_is_read_as_published(shared_data: Path) -> None:
    samples = read_npz(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")
    counts = {
        split: [sum(sample.split == split and sample.target == label for sample in samples) for label in "01"]
        for split in ("train", "val", "test")
    }
    assert counts == {"train": [1214, 3494], "val": [135, 389], "test": [234, 390]}


def test_several_columns_of_0_and_1_are_several_labels(save: Save) -> None:
    samples = read_npz(save(train_images=IMAGES[:3], train_labels=np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]])))
    assert [sample.target for sample in samples] == [("0", "2"), (), ("1",)]


@pytest.mark.parametrize("names", [["normal", "mild", "severe"], {"0": "normal", "1": "mild", "2": "severe"}])
def test_labels_are_named_by_the_file_beside(save: Save, names: Any) -> None:
    path = save(train_images=IMAGES, train_labels=LABELS)
    path.with_suffix(".labels.json").write_text(json.dumps(names))
    assert [sample.target for sample in read_npz(path)] == ["normal", "mild", "mild", "normal", "severe"]


def test_labels_are_named_by_the_array_inside(save: Save) -> None:
    path = save(train_images=IMAGES, train_labels=LABELS, labels=np.array(["a", "b", "c"]))
    assert [sample.target for sample in read_npz(path)] == ["a", "b", "b", "a", "c"]


def test_a_class_without_a_name_is_an_error(save: Save) -> None:
    path = save(train_images=IMAGES, train_labels=LABELS, labels=np.array(["a", "b"]))
    with pytest.raises(DataError, match="class 2 has no name; named are 0 a, 1 b"):
        read_npz(path)


def test_pictures_without_labels_are_unlabelled(save: Save) -> None:
    assert [sample.target for sample in read_npz(save(test_images=IMAGES))] == [None] * 5


@pytest.mark.parametrize("save_array", [np.savez, np.savez_compressed])
def test_pictures_are_unpacked_a_block_at_a_time_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_array: Any
) -> None:
    monkeypatch.setattr(packed, "BLOCK", 2 * IMAGES[0].nbytes)
    save_array(tmp_path / "set.npz", train_images=IMAGES, test_images=IMAGES[::-1])
    samples = read_npz(tmp_path / "set.npz")
    expected = np.concatenate([IMAGES, IMAGES[::-1]])
    for row in (0, 1, 2, 4, 9, 3, 0, 8, 5):
        assert np.array_equal(samples[row].source, expected[row])
    assert not samples[0].source.flags.writeable  # type: ignore[union-attr]


def test_an_unchanged_file_is_not_unpacked_again(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(train_images=IMAGES, train_labels=LABELS)
    first = read_npz(path)
    monkeypatch.setattr(npz, "picture_digest", lambda pixels: pytest.fail("a picture was unpacked again"))
    again = read_npz(path)
    assert first.digests is not None and again.digests is not None
    assert np.array_equal(again.digests.values, first.digests.values)
    assert again.digests.get(3) == picture_of(IMAGES[3]).digest()


def test_columns_before_rows_are_refused(save: Save) -> None:
    with pytest.raises(DataError, match="Fortran order"):
        read_npz(save(train_images=np.asfortranarray(IMAGES)))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"x": IMAGES, "y": LABELS}, "holds x, y"),
    "volumes": ({"train_images": np.zeros((2, 8, 8, 8), np.uint8)}, r"train_images has the shape \(2, 8, 8, 8\)"),
    "lengths": ({"train_images": IMAGES, "train_labels": LABELS[:3]}, "5 train_images and 3 train_labels"),
    "nan": ({"train_images": IMAGES, "train_labels": np.array([0, 1, np.nan, 0, 1])}, r"no class number in rows \[2\]"),
    "negative": (
        {"train_images": IMAGES, "train_labels": np.array([0, 1, 1, -1, 1])},
        r"no class number in rows \[3\]",
    ),
    "fraction": ({"train_images": IMAGES, "train_labels": np.full(5, 0.5)}, "no class number"),
    "text": ({"train_images": IMAGES, "train_labels": np.array(list("abcde"))}, "no class number in rows all"),
    "columns": ({"train_images": IMAGES[:1], "train_labels": np.array([[1, 5]])}, "2 columns and values up to 5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ill_formed_sets_are_refused(save: Save, name: str) -> None:
    arrays, seen = REFUSED[name]
    with pytest.raises(DataError, match=seen) as refusal:
        read_npz(save(**arrays))
    assert "set.npz" in refusal.value.seen
    assert refusal.value.why
    assert refusal.value.fix


@pytest.mark.parametrize("name", ["train_images", "train_labels"])
def test_pickled_objects_are_never_loaded(save: Save, name: str) -> None:
    arrays = {"train_images": IMAGES[:1], "train_labels": LABELS[:1], name: np.array([object()], dtype=object)}
    with pytest.raises(DataError) as refusal:
        read_npz(save(**arrays))
    assert "never loaded" in refusal.value.why


@pytest.mark.parametrize("share", [0.02, 0.4, 0.9])
def test_a_file_cut_short_or_of_another_kind_is_refused(save: Save, share: float) -> None:
    path = save(train_images=IMAGES, train_labels=LABELS)
    whole = path.read_bytes()
    for content in (whole[: int(len(whole) * share)], b"not a zip", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"set\.npz"):
            read_npz(path)


def test_flipped_pixels_are_noticed(save: Save) -> None:
    path = save(train_images=IMAGES, train_labels=LABELS)
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"set\.npz"):
        read_npz(path)
