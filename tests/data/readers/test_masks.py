from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from suwen.core.errors import DataError
from suwen.data.readers.masks import read_masks


def save(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)
    return path


def test_masks_have_the_name_of_their_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png")
        save(tmp_path / "masks" / f"{name}.png")
    samples = read_masks(tmp_path)
    assert list(samples.ids) == ["images/a.png", "images/b.png"]
    assert [sample.target.whole.name for sample in samples] == ["a.png", "b.png"]
    assert samples[0].split is None and samples.classes is None


@pytest.mark.parametrize(
    ("image", "mask"),
    [("7", "7_mask"), ("case_0000", "case"), ("21_training", "21_manual1"), ("x-training", "x-seg")],
)
def test_what_is_usual_after_a_name_is_passed_over(tmp_path: Path, image: str, mask: str) -> None:
    save(tmp_path / "image" / f"{image}.png")
    save(tmp_path / "label" / f"{mask}.tif")
    (sample,) = read_masks(tmp_path)
    assert sample.target.whole == tmp_path / "label" / f"{mask}.tif"


def test_drive_has_its_field_of_view_in_a_folder_called_mask(tmp_path: Path) -> None:
    save(tmp_path / "training" / "images" / "21_training.tif")
    save(tmp_path / "training" / "1st_manual" / "21_manual1.gif")
    save(tmp_path / "training" / "mask" / "21_training_mask.gif")
    (sample,) = read_masks(tmp_path)
    assert sample.split == "train"
    assert sample.target.whole.name == "21_manual1.gif" and sample.target.region.name == "21_training_mask.gif"


def test_folders_of_nnunet_say_their_split_and_a_dataset_json_its_labels(tmp_path: Path) -> None:
    for part in ("Tr", "Ts"):
        save(tmp_path / f"images{part}" / f"{part}_0000.png")
        save(tmp_path / f"labels{part}" / f"{part}.png")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "tumour": 2, "organ": 1}}))
    samples = read_masks(tmp_path)
    assert [sample.split for sample in samples] == ["train", "test"]
    assert samples.classes == {"background": 0, "organ": 1, "tumour": 2}


def test_the_decathlon_writes_labels_the_other_way_round(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.png")
    (tmp_path / "labels.json").write_text('{"0": "background", "1": "spleen"}')
    assert read_masks(tmp_path).classes == {"background": 0, "spleen": 1}


def test_the_background_need_not_be_named(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.png")
    (tmp_path / "labels.json").write_text('{"vessel": 255}')
    assert read_masks(tmp_path).classes == {"background": 0, "vessel": 255}


@pytest.mark.parametrize("text", ["[1, 2]", '{"a": 1, "b": 1}', '{"a": 1.5}', "{", '{"a": -1}', "{}"])
def test_a_description_that_says_nothing_is_refused_by_name(tmp_path: Path, text: str) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.png")
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError, match=r"labels\.json"):
        read_masks(tmp_path)


def test_images_without_a_mask_are_named(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "images" / "b.png")
    save(tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match=r"1 of 2 images have no mask .*such as b"):
        read_masks(tmp_path)


def test_masks_without_an_image_are_named(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a.png")
    save(tmp_path / "masks" / "c.png")
    with pytest.raises(DataError, match=r"1 masks .* have no image, such as c\.png"):
        read_masks(tmp_path)


def test_two_masks_for_one_image_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / "a_mask.png")
    save(tmp_path / "masks" / "a_seg.png")
    with pytest.raises(DataError, match="a_mask and a_seg for one image"):
        read_masks(tmp_path)


def test_a_manifest_names_masks_regions_subjects_and_splits(tmp_path: Path) -> None:
    for name in ("a.png", "m.png", "r.png"):
        save(tmp_path / name)
    (tmp_path / "manifest.csv").write_text("path,mask,region,subject,split,site\na.png,m.png,r.png,P1,val,north\n")
    (sample,) = read_masks(tmp_path)
    assert (sample.subject, sample.split, dict(sample.metadata)) == ("P1", "val", {"site": "north"})
    assert sample.target.whole == tmp_path / "m.png" and sample.target.region == tmp_path / "r.png"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("path,mask\na.png,\n", "row 2 are blank"),
        ("path,mask\na.png,gone.png\n", "no such file"),
        ("path,label\na.png,x\n", "column 'mask'"),
        ("path,mask,mask:x\na.png,a.png,a.png\n", "columns mask and mask:x"),
    ],
)
def test_a_manifest_that_says_too_little_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text(rows)
    with pytest.raises(DataError, match=said):
        read_masks(tmp_path)


def test_to_learn_masks_are_needed_and_to_ask_they_are_not(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(DataError, match="no images with masks"):
        read_masks(tmp_path)
    (sample,) = read_masks(tmp_path, labelled=False)
    assert sample.target is None


def test_drive_and_the_membranes_are_read_as_they_are(shared_data: Path) -> None:
    assert len(read_masks(shared_data / "drive")) == 20
    samples = read_masks(shared_data / "isbi_em")
    assert len(samples) == 30 and samples[3].target.whole.stem == Path(samples.ids[3]).stem
