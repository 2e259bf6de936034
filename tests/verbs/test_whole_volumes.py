from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import suwen
from suwen.core.errors import DataError, FileUnreadable, LeakError
from suwen.core.run import load
from suwen.data.readers.whole_volumes import read_whole_volumes
from suwen.data.volume_set import VOLUMES
from suwen.data.whole_volume import WholeVolume, choose_whole_volume, middle_of

TINY = (
    "encoder.options={widths: [8, 16]}",
    "training.steps=null",
    "training.epochs=12",
    "training.batch_size=8",
    "training.learning_rate=5e-3",
    "training.average=0.9",
    "evaluation.resamples=50",
)


def write_balls(root: Path, count: int, *, classes: bool) -> Path:
    """Volumes with a bright ball each: its radius in mm is the number, and large or small the class."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    spacing = np.array([2.0, 2.0, 3.0])
    grid = np.stack(np.mgrid[:20, :22, :14], axis=-1) * spacing
    with (root / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "site"])
        for number in range(count):
            radius = rng.uniform(4, 15)
            centre = np.array([20, 22, 20]) + rng.uniform(-3, 3, 3)
            there = ((grid - centre) ** 2).sum(-1) < radius**2
            values = (rng.normal(100, 10, there.shape) + 120 * there).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(values, np.diag([*spacing, 1])), root / f"{number:03d}.nii.gz")
            label = ("large" if radius > 9.5 else "small") if classes else f"{radius:.2f}"
            writer.writerow([f"{number:03d}.nii.gz", label, "north" if number % 2 else "south"])
    return root


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("balls") / "data", 70, classes=True)


@pytest.mark.slow
def test_a_finding_is_told_from_whole_volumes(balls: Path, tmp_path: Path) -> None:
    suwen.finetune("volume-classification", balls, set=TINY, by=["site"], out=tmp_path / "run", quiet=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    test = metrics["splits"]["test"]
    assert test["metrics"]["auroc"]["value"] > 0.9
    assert set(metrics["baselines"]) == {"majority", "logistic-pixels"}
    model = load(tmp_path / "run")
    answers = suwen.predict(model, balls / "000.nii.gz", nibabel.load(balls / "001.nii.gz").get_fdata())
    assert {answer.answer for answer in answers} <= {"large", "small"}
    found = suwen.explain(model, balls / "000.nii.gz", out=tmp_path / "why.png")
    assert found.attribution.shape == found.inputs.shape[1:] and found.faithfulness["gain"] > 0
    assert (tmp_path / "why.png").stat().st_size > 1000
    page = (tmp_path / "run" / "report.html").read_text()
    assert "inputs.box" in page and "Volumes" in page
    with pytest.raises(LeakError, match="were used to train"):
        suwen.evaluate(tmp_path / "run", balls)


@pytest.mark.slow
def test_a_number_is_told_from_whole_volumes(tmp_path: Path) -> None:
    data = write_balls(tmp_path / "data", 70, classes=False)
    suwen.finetune("volume-regression", data, set=TINY, out=tmp_path / "run", quiet=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    mean = metrics["baselines"]["mean"]["test"]["metrics"]["mae"]["value"]
    assert metrics["splits"]["test"]["metrics"]["mae"]["value"] < 0.6 * mean


def test_class_folders_with_and_without_splits_are_read(balls: Path, tmp_path: Path) -> None:
    for number in range(6):
        for place in (f"flat/{'ab'[number % 2]}", f"split/{('train', 'val', 'test')[number // 2]}/{'ab'[number % 2]}"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            (tmp_path / place / f"{number}.nii.gz").symlink_to(balls / f"{number:03d}.nii.gz")
    flat, split = read_whole_volumes(tmp_path / "flat"), read_whole_volumes(tmp_path / "split")
    assert sorted(flat.targets) == list("aaabbb") and set(flat.splits) == {None}
    assert sorted(split.targets) == list("aaabbb") and sorted(map(str, split.splits))[0] == "test"
    (tmp_path / "split" / "other").mkdir()
    with pytest.raises(DataError, match="splits and also other"):
        read_whole_volumes(tmp_path / "split")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folders of volumes"):
        read_whole_volumes(tmp_path / "empty")


def test_the_box_holds_the_middle_and_is_black_beyond() -> None:
    values = np.arange(1, 6, dtype=np.uint8).reshape(1, 5, 1, 1)
    assert middle_of(values, (3, 1, 1)).ravel().tolist() == [2, 3, 4]
    assert middle_of(values, (8, 1, 1)).ravel().tolist() == [0, 1, 2, 3, 4, 5, 0, 0]


def test_a_coarser_spacing_is_chosen_where_volumes_are_large(balls: Path) -> None:
    samples = read_whole_volumes(balls)
    fine = choose_whole_volume(samples, {})
    assert fine.spacing == (2.0, 2.0, 3.0) and fine.box == (24, 24, 16) and fine.intensity == "percentile"
    coarse = choose_whole_volume(samples, {"box": 8})
    assert coarse.spacing[0] > 4 and np.isclose(coarse.spacing[2] / coarse.spacing[0], 1.5, rtol=0.01)
    assert coarse(balls / "000.nii.gz").shape == (1, 8, 8, 8)


def test_one_volume_in_two_splits_is_a_leak_and_a_text_file_is_refused(balls: Path, tmp_path: Path) -> None:
    rows = [("000", "large", "train"), ("001", "small", "train"), ("002", "large", "val"), ("001", "small", "test")]
    for number, (name, _, _) in enumerate(rows):
        (tmp_path / f"{number}.nii.gz").write_bytes((balls / f"{name}.nii.gz").read_bytes())
    lines = [f"{number}.nii.gz,{label},{split}" for number, (_, label, split) in enumerate(rows)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label,split", *lines]))
    preprocess = WholeVolume(spacing=(4, 4, 4), box=(16, 16, 16))
    dataset = VOLUMES.build(VOLUMES.read(tmp_path), preprocess, seed=0)
    assert dataset.pixels.shape == (4, 1, 16, 16, 16) and dataset.labels == ("large", "small")
    with pytest.raises(LeakError, match="1 test pictures are also in train"):
        VOLUMES.check(dataset)
    (tmp_path / "3.nii.gz").write_text("no volume")
    with pytest.raises(FileUnreadable, match=r"3\.nii\.gz"):
        VOLUMES.build(VOLUMES.read(tmp_path), preprocess, seed=0)
