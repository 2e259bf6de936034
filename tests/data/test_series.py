"""DICOM geometry against SimpleITK, and series that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from suwen.core.errors import FileUnreadable
from suwen.data.series import LPS_TO_RAS, read_series, series_in
from suwen.data.volumes import open_volume
from suwen.simulation.patients import draw_patients
from suwen.simulation.volumes import Scan, scan_of, write_series
from suwen.simulation.world import World

Edit = Callable[[list[pydicom.Dataset]], None]


@pytest.fixture(scope="module")
def scan() -> Scan:
    world = World(seed=1, patients=draw_patients(3, seed=1))
    whole = scan_of(world.patients[0], world)
    return Scan(**{**vars(whole), "values": whole.values[:40, :32, :9], "labels": whole.labels[:40, :32, :9]})


@pytest.fixture
def folder(scan: Scan, tmp_path: Path) -> Path:
    write_series(scan, tmp_path / "series")
    return tmp_path / "series"


def edited(folder: Path, edit: Edit) -> Path:
    """The series after a change of its headers, in the order of the slices."""
    files = sorted(folder.iterdir(), key=lambda file: float(pydicom.dcmread(file).ImagePositionPatient[2]))
    slices = [pydicom.dcmread(file) for file in files]
    edit(slices)
    for file, dataset in zip(files, slices, strict=True):
        dataset.save_as(file)
    return folder


def test_slices_are_put_where_they_lie_whatever_their_names_are(folder: Path, scan: Scan) -> None:
    volume = open_volume(folder)
    body = volume.grid.along_the_body(np.concatenate([part for _, part in volume.layers()], axis=2))
    assert (body == scan.values).all()
    assert np.allclose(volume.grid.body_spacing, np.diag(scan.affine)[:3])
    assert volume.mode == "dicom CT" and volume.window == (-1150.0, 349.0)


def test_values_and_places_are_those_of_simpleitk(folder: Path) -> None:
    sitk: Any = pytest.importorskip("SimpleITK")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    volume = open_volume(folder)
    assert (
        sitk.GetArrayFromImage(image).transpose(2, 1, 0) == np.asarray(volume.stored) * volume.slope + volume.intercept
    ).all()
    lps = LPS_TO_RAS @ volume.affine
    assert lps[:3, 3].tolist() == list(image.GetOrigin())
    assert np.allclose(np.linalg.norm(lps[:3, :3], axis=0), image.GetSpacing(), atol=1e-12)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    assert np.allclose(lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0), directions, atol=1e-12)


def test_a_series_in_reversed_order_and_an_oblique_one_are_those_of_simpleitk(folder: Path) -> None:
    sitk: Any = pytest.importorskip("SimpleITK")
    turn = np.array([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]) @ np.array(
        [[1.0, 0.0, 0.0], [0.0, 0.96, 0.28], [0.0, -0.28, 0.96]]
    )

    def oblique(slices: list[pydicom.Dataset]) -> None:
        for number, dataset in enumerate(slices):
            position = turn @ np.array([float(each) for each in dataset.ImagePositionPatient])
            dataset.ImagePositionPatient = [f"{each:.9g}" for each in position]
            dataset.ImageOrientationPatient = [f"{each:.9g}" for each in (*turn[:, 0], *turn[:, 1])]
            dataset.InstanceNumber = len(slices) - number

    edited(folder, oblique)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    volume = open_volume(folder)
    corners = [(0, 0, 0), (39, 31, 8), (12, 5, 7)]
    for corner in corners:
        theirs = image.TransformIndexToPhysicalPoint(corner)
        ours = LPS_TO_RAS @ volume.affine @ [*corner, 1]
        assert np.allclose(ours[:3], theirs, atol=1e-5)


def test_a_gantry_that_was_tilted_is_refused(folder: Path) -> None:
    def tilt(slices: list[pydicom.Dataset]) -> None:
        for number, dataset in enumerate(slices):
            x, y, z = (float(each) for each in dataset.ImagePositionPatient)
            dataset.ImagePositionPatient = [x, y + number * 1.0, z]

    with pytest.raises(FileUnreadable, match=r"\.dcm is shifted .* mm .*tilted by \d+\.\d+ degrees"):
        open_volume(edited(folder, tilt))


def test_a_missing_slice_is_refused_and_the_gap_is_named(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda file: float(pydicom.dcmread(file).ImagePositionPatient[2]))
    files[4].unlink()
    with pytest.raises(FileUnreadable, match=rf"{files[5].name} lies 8 mm after {files[3].name}, .* 4 mm apart"):
        open_volume(folder)


def test_a_slice_that_is_there_twice_is_refused(folder: Path) -> None:
    first = sorted(folder.iterdir())[0]
    again = pydicom.dcmread(first)
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = f"{again.SOPInstanceUID}1"
    again.save_as(folder / "again.dcm")
    with pytest.raises(FileUnreadable, match="lies in the same place as"):
        open_volume(folder)


def test_two_series_in_one_folder_are_told_apart(folder: Path, scan: Scan, tmp_path: Path) -> None:
    for file in sorted(folder.iterdir()):
        other = pydicom.dcmread(file)
        other.SeriesInstanceUID = f"{other.SeriesInstanceUID}9"
        other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = f"{other.SOPInstanceUID}9"
        other.save_as(folder / f"b{file.name}")
    assert [len(files) for files in series_in(folder).values()] == [9, 9]
    with pytest.raises(FileUnreadable, match=r"holds 2 series(.|\n)*#1 .9 slices., .*#2 .9 slices."):
        open_volume(folder)
    body = open_volume(f"{folder}#2").grid.along_the_body(np.asarray(open_volume(f"{folder}#2").stored))
    assert (body.astype(int) - 1024 == scan.values).all()
    with pytest.raises(FileUnreadable, match="no such series"):
        open_volume(f"{folder}#3")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ImageOrientationPatient", [0, 1, 0, 0, 0, -1], "image orientation"),
        ("PixelSpacing", [1.5, 1.5], "pixels of 1.5 x 1.5 mm"),
        ("ImagePositionPatient", None, "has no ImagePositionPatient"),
        ("ImageOrientationPatient", None, "has no ImageOrientationPatient"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "not perpendicular"),
    ],
)
def test_a_slice_that_does_not_go_with_the_others_is_named(folder: Path, name: str, value: Any, said: str) -> None:
    def change(slices: list[pydicom.Dataset]) -> None:
        if value is None:
            delattr(slices[3], name)
        else:
            setattr(slices[3], name, value)

    with pytest.raises(FileUnreadable) as refused:
        open_volume(edited(folder, change))
    assert said in str(refused.value) and ".dcm" in str(refused.value)


def test_a_corrupt_slice_is_named(folder: Path) -> None:
    bad = sorted(folder.iterdir())[2]
    bad.write_bytes(bad.read_bytes()[:-900])
    with pytest.raises(FileUnreadable, match=bad.name):
        open_volume(folder)


def test_slices_with_slopes_of_their_own_become_values(folder: Path, scan: Scan) -> None:
    def scale(slices: list[pydicom.Dataset]) -> None:
        slices[0].RescaleSlope, slices[0].RescaleIntercept = 2, -2048

    volume = open_volume(edited(folder, scale))
    body = volume.grid.along_the_body(np.asarray(volume.stored))
    assert np.allclose(body[..., 1:], scan.values[..., 1:]) and np.allclose(body[..., 0], 2 * scan.values[..., 0])


def test_a_multi_frame_file_is_the_series_it_was_made_of(folder: Path, scan: Scan, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())  # in no order of place
    slices = [pydicom.dcmread(file) for file in files]
    whole = slices[0]
    whole.NumberOfFrames = len(slices)
    whole.PerFrameFunctionalGroupsSequence = []
    for dataset in slices:
        position, group = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = dataset.ImagePositionPatient
        group.PlanePositionSequence = [position]
        whole.PerFrameFunctionalGroupsSequence.append(group)
    orientation, measures, values, shared = (pydicom.Dataset() for _ in range(4))
    orientation.ImageOrientationPatient, measures.PixelSpacing = whole.ImageOrientationPatient, whole.PixelSpacing
    measures.SliceThickness = whole.SliceThickness
    values.RescaleSlope, values.RescaleIntercept = 1, -1024
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [values]
    whole.SharedFunctionalGroupsSequence = [shared]
    whole.PixelData = b"".join(dataset.PixelData for dataset in [pydicom.dcmread(files[0]), *slices[1:]])
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(whole, name)
    whole.save_as(tmp_path / "enhanced.dcm")
    volume, before = open_volume(tmp_path / "enhanced.dcm"), open_volume(folder)
    assert (np.asarray(volume.stored) == np.asarray(before.stored)).all()
    assert np.array_equal(volume.affine, before.affine) and volume.intercept == -1024


def test_every_shared_file_is_read_as_simpleitk_does_or_refused_by_name(shared_data: Path) -> None:
    sitk: Any = pytest.importorskip("SimpleITK")
    read = 0
    for file in sorted((shared_data / "dicom").glob("*.dcm")):
        try:
            volume = read_series([file])
        except FileUnreadable as refused:
            assert str(file) in str(refused)
            continue
        read += 1
        if volume.stored.dtype.kind == "f":
            continue  # SimpleITK does not read parametric maps
        image = sitk.ReadImage(str(file))
        values = np.concatenate([part for _, part in volume.layers()], axis=2)
        assert (sitk.GetArrayFromImage(image).transpose(2, 1, 0) == values).all()
        assert np.allclose((LPS_TO_RAS @ volume.affine)[:3, 3], image.GetOrigin(), atol=1e-9)
    assert read >= 8
