from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.images import export_folders, generate, generate_folders, generate_npz
from PIL import Image

from suwen.data.readers.folders import read_folder
from suwen.data.readers.npz import read_npz


def test_exported_folders_hold_the_pixels_of_the_npz(tmp_path: Path) -> None:
    file = generate_npz(tmp_path / "films.npz", 40, 16)
    counts = export_folders(file, tmp_path / "films", ("normal", "pneumonia"))
    assert counts == {"train": 32, "val": 4, "test": 4}
    with np.load(file) as arrays:
        for number, label in enumerate(arrays["train_labels"]):
            png = tmp_path / "films" / "train" / ("normal", "pneumonia")[label] / f"{number:05}.png"
            assert np.array_equal(np.asarray(Image.open(png)), arrays["train_images"][number])


def test_generated_pictures_differ_and_both_classes_are_in_every_split() -> None:
    found = list(generate(200, 32))
    assert len({pixels.tobytes() for *_, pixels in found}) == 200
    assert {(split, label) for split, label, _ in found} == {(s, k) for s in ("train", "val", "test") for k in (0, 1)}


def test_both_forms_hold_the_same_pictures(tmp_path: Path) -> None:
    folders = read_folder(generate_folders(tmp_path / "films", 20, 16))
    npz = read_npz(generate_npz(tmp_path / "films.npz", 20, 16))
    assert [sample.split for sample in npz].count("train") == [sample.split for sample in folders].count("train") == 16
    one = {np.asarray(Image.open(sample.source)).tobytes() for sample in folders if isinstance(sample.source, Path)}
    other = {sample.source.tobytes() for sample in npz if isinstance(sample.source, np.ndarray)}
    assert one == other and len(one) == 20
