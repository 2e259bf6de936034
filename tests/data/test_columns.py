"""A data set is decoded once, in an order that depends on content alone, and a bad file is never lost silently."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from suwen.core.errors import DataError, FileUnreadable, SuwenError
from suwen.core.sample import Sample
from suwen.data import cache as cache_module
from suwen.data import contents, decoded
from suwen.data.columns import Dataset, build
from suwen.data.preprocess import ImagePreprocess, choose
from suwen.data.readers.images import read_images
from suwen.data.split import assign_splits

SMALL = ImagePreprocess(size=16, channels=1)


def equal(one: Dataset, other: Dataset) -> bool:
    return (
        one.fingerprint == other.fingerprint
        and one.labels == other.labels
        and all(
            np.array_equal(getattr(one, name), getattr(other, name))
            for name in ("targets", "splits", "digests", "pixels", "phash", "sizes")
        )
    )


def as_class_folders(npz: Path, root: Path) -> Path:
    """The pictures of a MedMNIST file as PNG in class folders, under names in another order."""
    arrays = dict(np.load(npz))
    for split in ("train", "val", "test"):
        order = np.random.default_rng(1).permutation(len(arrays[f"{split}_images"]))
        for name, index in enumerate(order):
            folder = root / split / str(arrays[f"{split}_labels"][index, 0])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(arrays[f"{split}_images"][index]).save(folder / f"{name:05d}.png", compress_level=1)
    return root


def every(step: int, npz: Path, smaller: Path) -> Path:
    """A MedMNIST file of every `step`-th picture of another."""
    np.savez(smaller, **{name: values[::step] for name, values in dict(np.load(npz)).items()})
    return smaller


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_pneumoniamnist_is_the_same_data_set_from_npz_and_from_class_folders(
    shared_data: Path, tmp_path: Path, cache: Path, step: int
) -> None:
    npz = every(step, shared_data / "pneumoniamnist" / "pneumoniamnist.npz", tmp_path / "set.npz")
    folders = as_class_folders(npz, tmp_path / "folders")
    packed, loose = (assign_splits(read_images(source), seed=0, cache=cache) for source in (npz, folders))
    assert choose(packed) == choose(loose) == ImagePreprocess(size=28, channels=1)
    one = build(packed, choose(packed), cache=cache / "one")
    other = build(loose, choose(loose), cache=cache / "other")
    assert equal(one, other)
    arrays = dict(np.load(npz))
    for split in ("train", "val", "test"):
        rows = one.where(split)
        found = sorted((one.pixels[row].tobytes(), int(one.targets[row])) for row in rows)
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"].ravel().tolist()
        assert found == sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))


def test_a_split_that_suwen_draws_is_the_same_from_npz_and_from_folders(
    shared_data: Path, tmp_path: Path, cache: Path
) -> None:
    arrays = dict(np.load(shared_data / "pneumoniamnist" / "pneumoniamnist.npz"))
    small = {name: values[: 150 if name.startswith(("train", "test")) else 0] for name, values in arrays.items()}
    np.savez(tmp_path / "small.npz", **small)
    sources = (tmp_path / "small.npz", as_class_folders(tmp_path / "small.npz", tmp_path / "folders"))
    splits = [assign_splits(read_images(source), seed=7, cache=cache) for source in sources]
    sets = [build(samples, ImagePreprocess(size=28, channels=1), cache=cache) for samples in splits]
    assert equal(*sets)
    assert len(sets[0].where("val")) == 27


def test_columns_hold_what_the_samples_say(make_folders: Any, cache: Path) -> None:
    root = make_folders({"films": 3})
    (root / "manifest.csv").write_text(
        "path,label,subject,split,age,site\n"
        "films/000.png,b,P1,train,63,north\n"
        "films/001.png,a,P2,val,7.5,\n"
        "films/002.png,b,P1,train,,south\n"
    )
    dataset = build(read_images(root), SMALL, cache=cache)
    rows = {id: row for row, id in enumerate(dataset.ids.tolist())}
    order = [rows[f"films/00{index}.png"] for index in range(3)]
    assert len(dataset) == 3
    assert dataset.labels == ("a", "b")
    assert dataset.targets[order].tolist() == [1, 0, 1]
    assert dataset.targets.dtype == np.int64
    assert dataset.subjects[order].tolist() == ["P1", "P2", "P1"]
    assert dataset.splits[order].tolist() == ["train", "val", "train"]
    assert dataset.metadata["age"].iloc[order].tolist()[:2] == [63.0, 7.5]
    assert np.isnan(dataset.metadata["age"].iloc[order[2]])
    assert dataset.metadata["site"].iloc[order].isna().tolist() == [False, True, False]
    assert isinstance(dataset.pixels, np.memmap)
    assert not dataset.pixels.flags.writeable
    for index, row in enumerate(order):
        assert np.array_equal(dataset.pixels[row], SMALL(root / f"films/00{index}.png"))
    assert dataset.sizes[order].tolist() == [[24, 24]] * 3
    assert set(dataset.modes.tolist()) == {"grey8"}


def test_take_copies_rows_in_the_order_asked_for(make_folders: Any, cache: Path) -> None:
    dataset = build(read_images(make_folders({"a": 5})), SMALL, cache=cache)
    taken = dataset.take(np.array([3, 0, 3]))
    assert type(taken) is np.ndarray
    assert taken.shape == (3, 1, 16, 16)
    assert np.array_equal(taken, np.stack([dataset.pixels[3], dataset.pixels[0], dataset.pixels[3]]))
    taken[:] = 0
    assert dataset.pixels.max() > 0


def test_several_labels_become_a_multi_hot_matrix(draw: Any, cache: Path) -> None:
    targets: list[Any] = [("b", "a"), (), ("c",)]
    samples = [Sample(id=str(i), source=draw(i), target=target, subject=str(i)) for i, target in enumerate(targets)]
    dataset = build(samples, SMALL, cache=cache)
    assert dataset.multi_label
    assert dataset.labels == ("a", "b", "c")
    rows = np.argsort(dataset.ids)
    assert dataset.targets.dtype == np.uint8
    assert dataset.targets[rows].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_labels_are_in_natural_order_and_unlabelled_is_minus_one(draw: Any, cache: Path) -> None:
    names = ["10", "9", "2", None, "None"]
    samples = [Sample(id=str(i), source=draw(i), target=name, subject=str(i)) for i, name in enumerate(names)]
    dataset = build(samples, SMALL, cache=cache)
    assert dataset.labels == ("2", "9", "10", "None")
    assert dataset.targets[np.argsort(dataset.ids)].tolist() == [2, 1, 0, -1, 3]


def test_the_labels_of_a_model_are_kept_in_its_order_and_others_refused(make_folders: Any, cache: Path) -> None:
    samples = read_images(make_folders({"cat": 1, "dog": 1}))
    dataset = build(samples, SMALL, labels=("dog", "fox", "cat"), cache=cache)
    assert dataset.labels == ("dog", "fox", "cat")
    assert sorted(dataset.targets.tolist()) == [0, 2]
    with pytest.raises(DataError, match=r"the label 'dog', for example of dog/000\.png") as refusal:
        build(samples, SMALL, labels=("cat", "fox"), cache=cache)
    assert "cat, fox" in refusal.value.why


def test_names_play_no_part_even_where_equal_pictures_have_different_labels(draw: Any, cache: Path) -> None:
    def dataset(*names: str) -> Dataset:
        kinds = [(1, "a"), (1, "b"), (2, "a"), (1, "b")]
        samples = [
            Sample(id=name, source=draw(number), target=label, subject=name)
            for name, (number, label) in zip(names, kinds, strict=True)
        ]
        return build(samples, SMALL, cache=cache)

    assert equal(dataset("1", "2", "3", "4"), dataset("9", "8", "7", "6"))


def test_the_fingerprint_changes_when_two_pictures_swap_their_labels(draw: Any, cache: Path) -> None:
    def fingerprint(*labels: str) -> str:
        samples = [Sample(id=str(i), source=draw(i), target=label, subject=str(i)) for i, label in enumerate(labels)]
        return build(samples, SMALL, cache=cache).fingerprint

    assert fingerprint("a", "b") != fingerprint("b", "a")


def test_the_fingerprint_changes_with_pixels_labels_splits_and_preprocessing(draw: Any, cache: Path) -> None:
    def fingerprint(seed: int = 0, target: str = "a", split: Any = "train", size: int = 16) -> str:
        samples = [
            Sample(id="x", source=draw(seed), target=target, subject="x", split=split),
            Sample(id="y", source=draw(99), target="b", subject="y", split="train"),
        ]
        return build(samples, ImagePreprocess(size=size, channels=1), cache=cache).fingerprint

    changed = [fingerprint(seed=1), fingerprint(target="b"), fingerprint(split="val"), fingerprint(size=8)]
    assert len({fingerprint(), *changed}) == 5
    assert fingerprint() == fingerprint()


# The cache


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on decoding a file fails the test."""

    def forbid() -> None:
        monkeypatch.setattr(contents, "read_pixels", lambda path: pytest.fail(f"{path} was decoded again"))

    return forbid


def test_a_second_run_decodes_nothing(make_folders: Any, cache: Path, no_decoding: Callable[[], None]) -> None:
    samples = read_images(make_folders({"a": 4, "b": 4}))
    first = build(samples, SMALL, cache=cache)
    no_decoding()
    assert equal(build(samples, SMALL, cache=cache), first)


def test_another_split_of_the_same_files_decodes_nothing(
    make_folders: Any, cache: Path, no_decoding: Callable[[], None]
) -> None:
    samples = read_images(make_folders({"a": 10, "b": 10}))
    first = build(assign_splits(samples, seed=0, cache=cache), SMALL, cache=cache)
    no_decoding()
    second = build(assign_splits(samples, seed=1, cache=cache), SMALL, cache=cache)
    assert second.splits.tolist() != first.splits.tolist()
    assert np.array_equal(second.pixels, first.pixels)


def test_only_new_and_changed_files_are_decoded(
    make_folders: Any, cache: Path, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folders({"a": 6})
    build(read_images(root), SMALL, cache=cache)
    Image.fromarray(draw(50)).save(root / "a" / "new.png")
    Image.fromarray(draw(51)).save(root / "a" / "003.png")
    decoded = []
    read = contents.read_pixels
    monkeypatch.setattr(contents, "read_pixels", lambda path: decoded.append(path.name) or read(path))
    found = build(read_images(root), SMALL, cache=cache)
    assert sorted(decoded) == ["003.png", "new.png"]
    assert equal(found, build(read_images(root), SMALL, cache=cache / "afresh"))


def damage_pixels(folder: Path) -> None:
    content = bytearray((folder / "pixels.npy").read_bytes())
    content[-1] ^= 1
    (folder / "pixels.npy").write_bytes(content)


def cut_pixels(folder: Path) -> None:
    os.truncate(folder / "pixels.npy", 500)


def cut_columns(folder: Path) -> None:
    os.truncate(folder / "columns.npz", 100)


def lose_check(folder: Path) -> None:
    (folder / "check.json").unlink()


def mix_up(folder: Path) -> None:
    (folder / "check.json").write_text("[]")


@pytest.mark.parametrize("damage", [damage_pixels, cut_pixels, cut_columns, lose_check, mix_up])
def test_a_damaged_cache_is_noticed_and_built_again(
    make_folders: Any, cache: Path, damage: Callable[[Path], None]
) -> None:
    samples = read_images(make_folders({"a": 5}))
    first = build(samples, SMALL, cache=cache)
    expected, fingerprint = np.array(first.pixels), first.fingerprint
    del first
    (folder,) = folders(cache)
    damage(folder)
    again = build(samples, SMALL, cache=cache)
    assert np.array_equal(again.pixels, expected)
    assert again.fingerprint == fingerprint


def folders(cache: Path) -> list[Path]:
    """All folders of decoded pixels, finished or not."""
    return sorted(path for path in (cache / "images").glob("*/*"))


def test_a_full_disk_leaves_the_old_cache_and_says_so(
    make_folders: Any, cache: Path, draw: Any, monkeypatch: pytest.MonkeyPatch, no_decoding: Callable[[], None]
) -> None:
    root = make_folders({"a": 5})
    old = read_images(root)
    first = build(old, SMALL, cache=cache)
    Image.fromarray(draw(60)).save(root / "a" / "new.png")

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module.np, "savez", full)
    with pytest.raises(SuwenError, match="No space left on device") as refusal:
        build(read_images(root), SMALL, cache=cache)
    assert "still there" in refusal.value.why
    assert "XDG_CACHE_HOME" in refusal.value.fix
    assert len(folders(cache)) == 1
    no_decoding()
    assert equal(build(old, SMALL, cache=cache), first)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_write_that_really_fails_leaves_nothing_behind(make_folders: Any, cache: Path) -> None:
    program = """
import resource, signal, sys
from pathlib import Path
from suwen.core.errors import SuwenError
from suwen.data.columns import build
from suwen.data.preprocess import ImagePreprocess
from suwen.data.readers.images import read_images
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    build(read_images(sys.argv[1]), ImagePreprocess(size=128, channels=1), cache=Path(sys.argv[2]))
except SuwenError as refusal:
    print(refusal.seen)
"""
    root = make_folders({"a": 8})
    ran = subprocess.run([sys.executable, "-c", program, root, cache], capture_output=True, text=True, check=True)
    assert "File too large" in ran.stdout
    assert folders(cache) == []


def test_an_interrupted_build_leaves_nothing_half_written(
    make_folders: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = read_images(make_folders({"a": 8}))
    hashed = decoded.perceptual_hash
    calls = []

    def interrupt(pixels: np.ndarray) -> int:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return hashed(pixels)

    monkeypatch.setattr(decoded, "perceptual_hash", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build(samples, SMALL, cache=cache)
    assert folders(cache) == []
    monkeypatch.setattr(decoded, "perceptual_hash", hashed)
    assert len(build(samples, SMALL, cache=cache)) == 8


def test_what_a_killed_process_left_is_swept_after_a_day(make_folders: Any, cache: Path) -> None:
    root = make_folders({"a": 2, "b": 1})
    build(read_images(root / "a"), SMALL, cache=cache)
    (done,) = folders(cache)
    fresh, stale = done.with_name(".building-fresh"), done.with_name(".building-stale")
    fresh.mkdir()
    stale.mkdir()
    os.utime(stale, (time.time() - 90_000,) * 2)
    build(read_images(root), SMALL, cache=cache)
    assert fresh.exists()
    assert not stale.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_memory_does_not_grow_with_the_pixels(tmp_path: Path, cache: Path) -> None:
    """800 pictures of 150,528 bytes are 115 MiB; building them takes a small part of that."""
    program = """
import resource, sys
from pathlib import Path
import numpy as np
from suwen.core.sample import Sample
from suwen.data.columns import build
from suwen.data.preprocess import ImagePreprocess
square = np.outer(np.arange(60), np.arange(60)).astype(np.uint16)
pictures = [Sample(id=str(i), source=square + i, target="a", subject=str(i)) for i in range(800)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset = build(pictures, ImagePreprocess(size=224, channels=3), cache=Path(sys.argv[1]), progress=False)
assert dataset.pixels.nbytes == 800 * 150528
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    ran = subprocess.run([sys.executable, "-c", program, cache], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 60


# Bad files


def test_every_bad_file_is_named_in_one_error(make_folders: Any, cache: Path) -> None:
    root = make_folders({"a": 4})
    (root / "a" / "000.png").write_bytes(b"")
    (root / "a" / "002.png").write_text("not a picture")
    with pytest.raises(FileUnreadable, match="2 of 4 files cannot be decoded") as refusal:
        build(read_images(root), SMALL, cache=cache)
    assert "000.png has 0 bytes" in refusal.value.seen
    assert "002.png begins with" in refusal.value.seen
    assert "silently" in refusal.value.why
    assert "--skip-bad" in refusal.value.fix


def test_of_many_bad_files_twenty_are_named_and_the_rest_counted(make_folders: Any, cache: Path) -> None:
    root = make_folders({"a": 1})
    for index in range(33):
        (root / "a" / f"bad{index:02d}.png").touch()
    with pytest.raises(FileUnreadable, match="and 13 more") as refusal:
        build(read_images(root), SMALL, cache=cache)
    assert refusal.value.seen.count("0 bytes") == 20


def test_bad_files_are_skipped_and_counted_on_request(make_folders: Any, cache: Path) -> None:
    root = make_folders({"a": 4})
    (root / "a" / "001.png").write_bytes(b"")
    for _ in range(2):
        dataset = build(read_images(root), SMALL, skip_bad=True, cache=cache)
        assert len(dataset) == 3
        assert "a/001.png" not in dataset.ids
        ((name, reason),) = dataset.skipped
        assert name == "a/001.png"
        assert "0 bytes" in reason


def test_a_picture_that_cannot_be_preprocessed_is_a_bad_file_too(draw: Any, cache: Path) -> None:
    deep = Sample(id="deep.png", source=draw(0).astype(np.uint16), target="a", subject="x")
    window = ImagePreprocess(size=16, channels=1, intensity="window")
    with pytest.raises(FileUnreadable, match=r"deep\.png: a grey16 picture without a window"):
        build([deep], window, cache=cache)


def test_nothing_but_bad_files_or_nothing_at_all_is_an_error(make_folders: Any, cache: Path) -> None:
    root = make_folders({"a": 1})
    (root / "a" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of 1 files can be decoded"):
        build(read_images(root), SMALL, skip_bad=True, cache=cache)
    with pytest.raises(DataError, match="no samples"):
        build([], SMALL, cache=cache)
