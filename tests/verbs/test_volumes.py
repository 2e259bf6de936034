from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

import suwen
from suwen.core.errors import DataError, FileUnreadable
from suwen.data.readers.volumes import read_volume_masks
from suwen.data.volumes import open_volume

TINY = (
    "inputs.spacing=[9, 9, 12]",
    "inputs.patch=[24, 24, 16]",
    "encoder.options={widths: [8, 16]}",
    "head.options={channels: 8}",
    "training.steps=null",
    "training.epochs=8",
    "training.patches=3",
    "training.learning_rate=5e-3",
    "training.average=0.9",
    "evaluation.resamples=20",
    "data.train=0.6",
    "data.val=0.2",
    "data.test=0.2",
)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ct") / "hospital"
    suwen.simulate(patients=60, seed=2, out=out, wards=["volumes"], scans=10, progress=False)
    return out / "volumes"


@pytest.fixture(scope="module")
def drawn(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ct"
    suwen.finetune("volume-segmentation", ward, set=TINY, out=out, quiet=True)
    return out


def subjects(ward: Path) -> list[str]:
    with (ward / "manifest.csv").open(encoding="utf-8") as file:
        return [row["subject"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_organs_are_learned_and_judged_in_millimetres_and_millilitres(drawn: Path, ward: Path) -> None:
    metrics = json.loads((drawn / "metrics.json").read_text())
    test = metrics["splits"]["test"]
    assert test["labels"]["lung"]["metrics"]["dice"]["value"] > 0.8
    assert set(test["labels"]) == {"lung", "heart", "liver", "nodule"} and test["n"] == 2
    page = (drawn / "report.html").read_text()
    assert "True size (mL)" in page and "inputs.spacing" in page


@pytest.mark.slow
def test_a_series_and_its_nifti_get_the_same_mask_at_their_own_places(drawn: Path, ward: Path, tmp_path: Path) -> None:
    name = subjects(ward)[0]
    model = suwen.load(drawn)
    series, nifti = ward / "series" / name, ward / "images" / f"{name}.nii.gz"
    first, second = (
        suwen.predict(model, source, out=tmp_path / kind, write=("mask", "fhir"))[0]
        for kind, source in (("series", series), ("nifti", nifti))
    )
    assert first.answer["lung"]["unit"] == "mL" and first.answer["lung"]["size"] > 1000
    for label, size in first.answer.items():
        assert np.isclose(size["size"], second.answer[label]["size"], rtol=0.01, atol=1)
    mask: Any = nibabel.load(next(file for file in second.files if file.endswith(".nii.gz")))
    assert np.array_equal(mask.affine, nibabel.load(nifti).affine) and mask.shape == nibabel.load(nifti).shape
    volume = open_volume(series)
    of_series: Any = nibabel.load(next(file for file in first.files if file.endswith(".nii.gz")))
    assert np.allclose(of_series.affine, volume.affine) and of_series.shape == volume.shape
    body = [
        volume.grid.along_the_body(np.asarray(of_series.dataobj)),
        open_volume(nifti).grid.along_the_body(np.asarray(mask.dataobj)),
    ]
    assert (body[0] == body[1]).mean() > 0.999


@pytest.mark.slow
def test_what_an_organ_rests_on_lies_around_it(drawn: Path, ward: Path, tmp_path: Path) -> None:
    found = suwen.explain(
        drawn, ward / "images" / f"{subjects(ward)[0]}.nii.gz", label="lung", out=tmp_path / "why.png"
    )
    assert found.attribution.shape == found.inputs.shape[1:] == (24, 24, 16)
    assert found.faithfulness["gain"] > 0 and (tmp_path / "why.png").stat().st_size > 1000


@pytest.mark.slow
def test_segmentations_of_series_are_learned_from_like_masks(drawn: Path, ward: Path, tmp_path: Path) -> None:
    names = subjects(ward)[:5]
    model = suwen.load(drawn)
    for part in ("images", "labels"):
        (tmp_path / "data" / part).mkdir(parents=True)
    for name in names:
        (tmp_path / "data" / "images" / name).symlink_to(ward / "series" / name)
        suwen.predict(model, ward / "series" / name, out=tmp_path / "seg", write=("dicom-seg",))
        (tmp_path / "seg" / f"{name}.seg.dcm").rename(tmp_path / "data" / "labels" / f"{name}.dcm")
    samples = read_volume_masks(tmp_path / "data")
    assert [sample.subject for sample in samples] == names and samples[0].metadata["sex"] in ("F", "M")
    again = suwen.finetune(
        "volume-segmentation", tmp_path / "data", set=(*TINY, "training.epochs=1"), out=tmp_path / "run", quiet=True
    )
    assert again.head.labels[0] == "background" and "lung" in again.head.labels


def test_a_folder_of_series_is_one_volume_each_and_two_in_one_folder_are_two(ward: Path, tmp_path: Path) -> None:
    names = subjects(ward)[:2]
    assert len(read_volume_masks(ward / "series", labelled=False)) == 10
    for name in names:
        for file in (ward / "series" / name).iterdir():
            (tmp_path / f"{name}-{file.name}").symlink_to(file)
    samples = read_volume_masks(tmp_path, labelled=False)
    assert len(samples) == 2 and {sample.subject for sample in samples} == set(names)
    assert open_volume(samples[1].source).shape == open_volume(ward / "series" / samples[1].subject).shape


def test_a_folder_without_volumes_and_a_text_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no volume"):
        read_volume_masks(tmp_path, labelled=False)
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(FileUnreadable, match=r"notes\.txt is no volume"):
        open_volume(tmp_path / "notes.txt")


def test_a_volume_with_four_axes_names_its_file_before_anything_is_learned(ward: Path, tmp_path: Path) -> None:
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        for number in range(4):
            array = np.zeros((16, 16, 16), np.int16)
            array[4:9, 4:9, 4:9] = 1
            if number == 2 and part == "images":
                array = np.stack([array, array], axis=-1)
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / part / f"{number}.nii")
    with pytest.raises(FileUnreadable, match=r"images/2\.nii has the shape 16 x 16 x 16 x 2"):
        suwen.finetune("volume-segmentation", tmp_path, set=("inputs.patch=16",), out=tmp_path / "run", quiet=True)


def test_a_header_of_the_simulated_series_says_what_the_cohort_says(ward: Path) -> None:
    name = subjects(ward)[0]
    header = pydicom.dcmread(next((ward / "series" / name).iterdir()))
    assert header.PatientID == name and header.Modality == "CT"
