"""Every bad input of the data kind, through the whole way from a path to the check, ends in an error that teaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from suwen.core.errors import DataError, FileUnreadable, LeakError, SuwenError
from suwen.data.check import DataCheck, check
from suwen.data.columns import build
from suwen.data.preprocess import choose
from suwen.data.readers.images import read_images
from suwen.data.split import assign_splits


def whole_way(source: Path, cache: Path) -> DataCheck:
    samples = assign_splits(read_images(source), seed=0, cache=cache)
    return check(build(samples, choose(samples), cache=cache, progress=False))


def write_manifest(rows: str) -> Callable[[Path], object]:
    return lambda root: (root / "manifest.csv").write_text(rows)


def cut(root: Path, name: str, **options: Any) -> None:
    path = root / "train" / "cat" / name
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path, **options)
    path.write_bytes(path.read_bytes()[:900])


def only(root: Path, *kept: str) -> None:
    for path in sorted(root.rglob("*.png")):
        if not str(path.relative_to(root)).startswith(kept):
            path.unlink()


def large(root: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(root / "train" / "cat" / "huge.png")


def no_pixels(root: Path) -> None:
    content = Path(str(get_testdata_file("rtplan.dcm"))).read_bytes()
    (root / "train" / "cat" / "plan.dcm").write_bytes(content)


def touch(root: Path) -> None:
    (root / "train" / "cat" / "zero.png").touch()


def text(root: Path) -> None:
    (root / "train" / "cat" / "text.png").write_text("see report")


COLUMNS = "path,label,subject,split\n"
TWICE = "".join(f"train/{label}/{n:03d}.png,{label},{label}{n},train\n" for n in range(3) for label in ("cat", "dog"))
TWICE += "test/cat/000.png,cat,cat1,test\ntest/dog/000.png,dog,dog9,test\n"

# name: how it is spoilt, the error, and parts of what was seen, why it is refused, what to do
BAD: dict[str, tuple[Callable[[Path], object], type[SuwenError], str, str, str]] = {
    "empty folder": (lambda root: only(root, "nothing"), DataError, "holds no image", "looked for", "root/CLASS/*"),
    "one class only": (
        lambda root: only(root, "train/cat", "test/cat"),
        DataError,
        "all images are of one class, 'cat'",
        "two classes",
        "class folders",
    ),
    "a class in test but not in train": (
        lambda root: only(root, "train/cat", "test/"),
        DataError,
        "test has images of the class 'dog', and train has none",
        "learnt",
        "how the images are split",
    ),
    "truncated PNG": (lambda root: cut(root, "cut.png"), FileUnreadable, "cut.png", "cut short", "--skip-bad"),
    "truncated JPEG": (lambda root: cut(root, "cut.jpg"), FileUnreadable, "cut.jpg", "cut short", "--skip-bad"),
    "zero-byte file": (touch, FileUnreadable, "zero.png has 0 bytes", "empty", "--skip-bad"),
    "text named .png": (text, FileUnreadable, "text.png begins with b'see report'", "not a PNG", "--skip-bad"),
    "20,000 x 20,000": (large, FileUnreadable, "huge.png is 20000 x 20000", "bound the memory", "SUWEN_MAX_PIXELS"),
    "DICOM without pixels": (
        no_pixels,
        FileUnreadable,
        "plan.dcm has no pixel data: it is a RT Plan",
        "only images",
        "--skip-bad",
    ),
    "manifest without a column": (
        write_manifest("path,class\ntrain/cat/000.png,cat\n"),
        DataError,
        "path, class",
        "column label is missing",
        "'label'",
    ),
    "manifest with an absent file": (
        write_manifest(COLUMNS + "train/cat/gone.png,cat,P1,train\n"),
        DataError,
        "row 2 ('train/cat/gone.png')",
        "no such file",
        "relative",
    ),
    "manifest with NaN labels": (
        write_manifest(COLUMNS + "train/cat/000.png,nan,P1,train\n"),
        DataError,
        "row 2 ('nan')",
        "label is missing",
        "remove the rows",
    ),
    "manifest with a subject in two splits": (
        write_manifest(COLUMNS + TWICE),
        LeakError,
        "1 subjects are in two splits: cat1 in test and train",
        "has seen",
        "--allow-leak",
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_that_teaches(name: str, make_folders: Any, cache: Path) -> None:
    spoil, error, seen, why, fix = BAD[name]
    root = make_folders({"train/cat": 4, "train/dog": 4, "test/cat": 2, "test/dog": 2})
    whole_way(root, cache)  # sound so far
    spoil(root)
    with pytest.raises(error) as refusal:
        whole_way(root, cache)
    assert seen in refusal.value.seen
    assert why in refusal.value.why
    assert fix in refusal.value.fix


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_malformed_dicom_files_are_named_one_by_one(shared_data: Path, cache: Path) -> None:
    folder = shared_data / "dicom" / "malformed"
    samples = read_images(folder, cache=cache)
    assert len(samples) == 18
    with pytest.raises(FileUnreadable, match="15 of 18 files cannot be decoded") as refusal:
        build(samples, choose(samples), cache=cache, progress=False)
    assert refusal.value.seen.count(str(folder)) == 15
    dataset = build(samples, choose(samples), skip_bad=True, cache=cache, progress=False)
    assert sorted(dataset.ids) == ["J2K_pixelrep_mismatch.dcm", "bad_sequence.dcm", "explicit_VR-UN.dcm"]
    assert len(dataset.skipped) == 15
