from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.nifti import read_nifti, write_mask
from suwen.data.volume_masks import values_on


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None, **header: Any) -> Path:
    image: Any = nibabel.Nifti1Image(array, np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "PIL"])
def test_a_mask_comes_back_at_the_very_place(tmp_path: Path, ending: str, axes: str) -> None:
    codes2ornt = nibabel.orientations.axcodes2ornt
    affine = np.array([[1.9, 0.1, 0, -7.3], [-0.1, 1.9, 0, 2.2], [0, 0, 3.3, 5], [0, 0, 0, 1]])
    turn = nibabel.orientations.ornt_transform(codes2ornt("RAS"), codes2ornt(axes))
    nibabel.save(nibabel.Nifti1Image(VOXELS, affine).as_reoriented(turn), tmp_path / f"a{ending}")
    volume = read_nifti(tmp_path / f"a{ending}")
    turned = volume.grid.along_the_body(np.asarray(volume.stored))
    assert (turned == VOXELS).all() and (volume.grid.as_in_the_file(turned) == volume.stored).all()
    codes = np.asarray(volume.stored) > 50
    write_mask(tmp_path / "mask.nii.gz", codes, volume)
    before, after = nibabel.load(tmp_path / f"a{ending}"), nibabel.load(tmp_path / "mask.nii.gz")
    assert np.array_equal(before.affine, after.affine) and after.get_data_dtype() == np.uint8
    assert (np.asarray(after.dataobj) == codes).all()
    for name in ("qform_code", "sform_code", "xyzt_units", "pixdim", "srow_x", "quatern_b"):
        assert np.array_equal(before.header[name], after.header[name])


def test_both_forms_are_kept_where_they_differ(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(VOXELS, np.eye(4))
    image.set_sform(np.diag([2.0, 2, 2, 1]), code=4)
    image.set_qform(np.diag([2.0, 2, 2, 1]) + np.eye(4)[:, [3, 0, 1, 2]] * 0, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    write_mask(tmp_path / "m.nii", VOXELS > 3, read_nifti(tmp_path / "a.nii"))
    after: Any = nibabel.load(tmp_path / "m.nii")
    assert int(after.header["sform_code"]) == 4 and int(after.header["qform_code"]) == 1


def test_slope_and_intercept_are_applied_to_values_alone(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(VOXELS, np.eye(4))
    image.header.set_slope_inter(2.0, -5.0)
    nibabel.save(image, tmp_path / "a.nii")
    volume = read_nifti(tmp_path / "a.nii")
    ((_, values),) = volume.layers()
    assert np.allclose(values, np.asarray(nibabel.load(tmp_path / "a.nii").dataobj))
    write_mask(tmp_path / "m.nii", VOXELS > 3, volume)
    assert set(np.unique(np.asarray(nibabel.load(tmp_path / "m.nii").dataobj))) == {0, 1}


def test_what_is_no_volume_is_refused_by_name(tmp_path: Path) -> None:
    several = write(tmp_path / "4d.nii", np.zeros((4, 4, 4, 3), np.int16))
    with pytest.raises(FileUnreadable, match=r"4d\.nii has the shape 4 x 4 x 4 x 3(.|\n)*3 volumes"):
        read_nifti(several)
    assert read_nifti(write(tmp_path / "one.nii", np.zeros((4, 4, 4, 1), np.int16))).shape == (4, 4, 4)
    sheared = np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    with pytest.raises(FileUnreadable, match=r"sheared\.nii has axes that stand at 78\.\d+ degrees"):
        read_nifti(write(tmp_path / "sheared.nii", VOXELS, sheared))
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    image: Any = nibabel.Nifti1Image(VOXELS, None)
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = flat[:3]
    image.header["sform_code"] = 1
    nibabel.save(image, tmp_path / "flat.nii")
    with pytest.raises(FileUnreadable, match=r"flat\.nii has voxels of 1 x 0 x 1 mm"):
        read_nifti(tmp_path / "flat.nii")


def test_voxels_that_are_no_numbers_are_found_when_they_are_read(tmp_path: Path) -> None:
    array = np.zeros((4, 4, 40), np.float32)
    array[1, 1, 20] = np.nan
    volume = read_nifti(write(tmp_path / "nan.nii", array))
    with pytest.raises(DataError, match=r"nan\.nii has voxels that are NaN or infinite, 1 of them in layers 16 to 31"):
        list(volume.layers())


@pytest.mark.parametrize("keep", [0, 100, 348, 500])
def test_a_file_cut_short_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    noise = np.random.default_rng(0).integers(0, 3000, (20, 20, 20)).astype(np.int16)
    whole = write(tmp_path / "a.nii", noise).read_bytes()
    for name, content in (("cut.nii", whole[:keep]), ("cut.nii.gz", gzip.compress(whole)[: keep // 4])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileUnreadable, match=name):
            list(read_nifti(tmp_path / name).layers())


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    volume = read_nifti(write(tmp_path / "a.nii", VOXELS))
    moved = np.diag([2.0, 3.0, 4.0, 1.0])
    moved[0, 3] = 2.0
    with pytest.raises(DataError, match=r"moved\.nii lies up to 2 mm away"):
        values_on(write(tmp_path / "moved.nii", VOXELS, moved), volume.grid)
    rounded = np.diag([2.0, 3.00001, 4.0, 1.0])
    assert (values_on(write(tmp_path / "rounded.nii", VOXELS, rounded), volume.grid) == VOXELS).all()


def test_a_file_that_does_not_say_where_it_lies_is_known(tmp_path: Path) -> None:
    image: Any = nibabel.Nifti1Image(VOXELS, None)
    image.header.set_zooms((2, 2, 2))
    nibabel.save(image, tmp_path / "nowhere.nii")
    volume = read_nifti(tmp_path / "nowhere.nii")
    assert not volume.oriented and volume.grid.spacing == (2, 2, 2)


def test_every_shared_file_comes_back_exactly_or_is_refused_by_name(shared_data: Path, tmp_path: Path) -> None:
    for file in sorted((shared_data / "nifti").iterdir()):
        try:
            volume = read_nifti(file)
        except FileUnreadable as refused:
            assert str(file) in str(refused) and nibabel.load(file).ndim == 4
            continue
        image: Any = nibabel.load(file)
        values = np.concatenate([part for _, part in volume.layers()], axis=2)
        assert np.array_equal(values, np.asarray(image.dataobj, np.float32))
        write_mask(tmp_path / "m.nii.gz", values > values.mean(), volume)
        after: Any = nibabel.load(tmp_path / "m.nii.gz")
        assert np.array_equal(after.affine, image.affine) and after.shape == image.shape[:3]
        assert (np.asarray(after.dataobj) == (values > values.mean())).all()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_large_file_is_read_layer_by_layer_and_is_the_same(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(-1000, 3000, (9, 8, 40, 1)).astype(np.int16)
    image: Any = nibabel.Nifti1Image(noise, np.diag([2.0, -3.0, 4.0, 1.0]))
    image.header.set_slope_inter(2.0, -5.0)
    nibabel.save(image, tmp_path / f"a{ending}")
    whole = read_nifti(tmp_path / f"a{ending}")
    monkeypatch.setattr("suwen.data.nifti.LARGE", 0)
    lazy = read_nifti(tmp_path / f"a{ending}")
    assert not isinstance(lazy.stored, np.ndarray) and lazy.shape == whole.shape and lazy.digest() == whole.digest()
    assert (np.asarray(lazy.stored) == np.asarray(whole.stored)).all()
    assert (lazy.stored[2:5, ::2, 7] == np.asarray(whole.stored)[2:5, ::2, 7]).all()
    light = lazy.without_voxels()
    write_mask(tmp_path / "m.nii.gz", np.ones(light.shape, np.uint8), light)
    assert np.array_equal(nibabel.load(tmp_path / "m.nii.gz").affine, image.affine)
    content = (tmp_path / f"a{ending}").read_bytes()
    (tmp_path / f"cut{ending}").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(FileUnreadable, match="cut"):
        read_nifti(tmp_path / f"cut{ending}")
