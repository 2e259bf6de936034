"""What is written of a mask, read back by other libraries."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from suwen.clinic.masks.codes import OWN, code_of
from suwen.clinic.masks.finding import Finding
from suwen.clinic.masks.observation import observations
from suwen.clinic.masks.outlines import outlines, polygons
from suwen.clinic.masks.outputs import OUTPUTS, Writer
from suwen.core.calibration import Calibration
from suwen.core.errors import DataError, NameUnknown, RecipeError
from suwen.core.sample import Sample
from suwen.data.case import Opened
from suwen.data.codebook import Codebook
from suwen.data.grid import Grid
from suwen.data.picture import picture_of
from suwen.data.segments import read_segments
from suwen.data.volume_masks import values_on
from suwen.data.volumes import open_volume
from suwen.heads.draw import Drawn
from suwen.heads.segment import Segment
from suwen.simulation.patients import draw_patients
from suwen.simulation.volumes import Scan, scan_of, write_series
from suwen.simulation.world import World

CLASSES = {"background": 0, "liver": 1, "odd thing": 7}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(seed=1, patients=draw_patients(3, seed=1))
    whole = scan_of(world.patients[0], world)
    folder = tmp_path_factory.mktemp("ct") / "series"
    write_series(
        Scan(**{**vars(whole), "values": whole.values[:30, :24, :8], "labels": whole.labels[:30, :24, :8]}), folder
    )
    return folder


def finding(source: Any, *, empty: bool = False, overlaps: tuple[tuple[str, ...], ...] = ()) -> Finding:
    if isinstance(source, np.ndarray):
        content: Any = picture_of(source)
        grid = Grid(source.shape)
    else:
        content = open_volume(source)
        grid = content.grid
    codes = np.zeros(grid.shape, np.uint8)
    if not empty:
        inner = tuple(slice(2, 6) for _ in grid.shape)
        codes[inner] = 1
        codes[(*(slice(8, 11) for _ in grid.shape[:-1]), slice(1, 4))] = 2
        if overlaps:
            codes[(slice(3, 5), *inner[1:])] = 3
    head = Segment(0, tuple(CLASSES), map_widths=(2,), dims=codes.ndim, overlaps=overlaps)
    answer = head.said(codes, grid, Calibration(sizes={"liver": 1.25, "odd thing": None}))
    answer.input, answer.model, answer.task = "in", "model@1234", "volume-segmentation"
    sample = Sample(id="a/scan.nii.gz", source=source, target=None, subject="S1")
    return Finding(
        sample,
        Opened(content, grid, "x", bytes),
        Drawn(codes, grid, np.zeros(2), np.full_like(codes, 9)),
        answer,
        CLASSES,
        Codebook(tuple(CLASSES), overlaps),
    )


def test_an_image_gets_a_png_of_its_size_with_the_values_of_the_masks_it_learned_from(tmp_path: Path) -> None:
    found = finding(np.zeros((20, 30), np.uint8))
    (path,) = Writer(tmp_path, ["mask"])(found)
    mask = np.asarray(Image.open(path))
    assert path.name == "scan.png" and mask.shape == (20, 30)
    assert set(np.unique(mask)) == {0, 1, 7} and ((mask == 7) == (found.drawn.codes == 2)).all()


def test_a_series_gets_a_nifti_at_its_place(series: Path, tmp_path: Path) -> None:
    found = finding(series)
    (path,) = Writer(tmp_path, ["mask"])(found)
    image: Any = nibabel.load(path)
    assert np.allclose(image.affine, open_volume(series).affine)
    assert (np.asarray(image.dataobj) == found.values).all()


def test_a_segmentation_names_the_slices_and_comes_back_as_it_was_drawn(series: Path, tmp_path: Path) -> None:
    found = finding(series)
    (path,) = Writer(tmp_path, ["dicom-seg"])(found)
    assert (values_on(path, found.drawn.grid) == found.drawn.codes).all()
    assert read_segments(path).labels == {1: "liver", 2: "odd thing"}
    written = pydicom.dcmread(path)
    (referenced,) = written.ReferencedSeriesSequence
    named = {str(item.ReferencedSOPInstanceUID) for item in referenced.ReferencedInstanceSequence}
    slices = {str(pydicom.dcmread(file).SOPInstanceUID) for file in series.iterdir()}
    assert named <= slices and written.PatientID == pydicom.dcmread(next(series.iterdir())).PatientID
    assert written.StudyInstanceUID == pydicom.dcmread(next(series.iterdir())).StudyInstanceUID
    hd: Any = pytest.importorskip("highdicom")
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    assert int((volume.array == 1).sum()) == int((found.drawn.codes == 1).sum())


def test_what_cannot_be_a_segmentation_is_refused(series: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was drawn"):
        Writer(tmp_path, ["dicom-seg"])(finding(series, empty=True))
    with pytest.raises(NameUnknown, match="unknown output 'dicom-seg'"):
        Writer(tmp_path, ["dicom-seg"])(finding(np.zeros((20, 30), np.uint8)))
    with pytest.raises(NameUnknown, match="unknown output 'rtstruct'"):
        Writer(tmp_path, ["rtstruct"])(finding(series))


def test_a_segmentation_of_another_series_is_refused(series: Path, tmp_path: Path) -> None:
    (path,) = Writer(tmp_path, ["dicom-seg"])(finding(series))
    grid = open_volume(series).grid
    assert grid.affine is not None
    moved = grid.affine.copy()
    moved[0, 3] += 1.3
    with pytest.raises(DataError, match="voxels beside those of its volume"):
        values_on(path, Grid(grid.shape, moved))
    far = grid.affine.copy()
    far[:3, 3] -= far[:3, 0] * 400
    with pytest.raises(DataError, match="reaches out of its volume"):
        values_on(path, Grid(grid.shape, far))


def test_outlines_enclose_what_was_drawn(series: Path) -> None:
    flat = outlines(finding(np.zeros((20, 30), np.uint8)))
    (square,) = flat["labels"]["liver"]
    points = np.array(square["points"])
    assert points.min() == 1.5 and points.max() == 5.5 and flat["unit"] == "px"
    deep = outlines(finding(series))
    volume = open_volume(series)
    assert [part["slice"] for part in deep["labels"]["liver"]] == [2, 3, 4, 5]
    centre = np.array(deep["labels"]["liver"][0]["points"])[:-1].mean(axis=0)
    lps = np.diag([-1, -1, 1, 1]) @ volume.affine @ [3.5, 3.5, 2, 1]
    assert np.allclose(centre, lps[:3], atol=0.01)


def test_a_hole_is_a_polygon_of_its_own() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8], mask[4, 4] = True, False
    assert len(polygons(mask)) == 2 and polygons(np.zeros((3, 3), bool)) == []


def test_observations_have_size_interval_and_study(series: Path) -> None:
    bundle = observations(finding(series))
    liver, odd = (entry["resource"] for entry in bundle["entry"])
    ml = 4 * 4 * 4 * 3 * 3 * 4 / 1000
    assert np.isclose(liver["valueQuantity"]["value"], ml, rtol=0.2) and liver["valueQuantity"]["code"] == "mL"
    low, high = (part["valueQuantity"]["value"] for part in liver["component"])
    assert np.isclose(high / low, 1.25**2, rtol=1e-3) and "component" not in odd
    assert liver["bodySite"]["coding"] == [{"system": "http://snomed.info/sct", "code": "10200004", "display": "Liver"}]
    assert liver["derivedFrom"][0]["identifier"]["value"].startswith("urn:oid:2.25.")
    assert liver["effectiveDateTime"] == "2023-01-01" and liver["status"] == "preliminary"
    json.dumps(bundle)


def test_codes_are_looked_up_by_their_very_name() -> None:
    assert (code_of("liver").value, code_of("liver").scheme) == ("10200004", "SCT")
    assert code_of("aorta").scheme == "SCT" and code_of("livers").scheme == OWN


def test_inputs_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    writer, source = Writer(tmp_path, ["mask"]), np.zeros((20, 30), np.uint8)
    names = []
    for id in ("a/scan.png", "b/scan.png", "b/scan.png"):
        found = finding(source)
        there = replace(found, sample=Sample(id=id, source=source, target=None, subject=id))
        names.append(writer(there)[0].name)
    assert len(set(names)) == 3 and names[:2] == ["scan.png", "b_scan.png"]


def test_every_output_says_what_it_is() -> None:
    assert all(row.summary and row.ending for row in OUTPUTS.values())


BOTH = (("liver", "odd thing"),)


def test_labels_that_overlap_get_a_file_each(series: Path, tmp_path: Path) -> None:
    found = finding(np.zeros((20, 30), np.uint8), overlaps=BOTH)
    paths = Writer(tmp_path, ["mask"])(found)
    assert [path.name for path in paths] == ["scan.liver.png", "scan.odd_thing.png"]
    for path, label in zip(paths, ("liver", "odd thing"), strict=True):
        assert np.array_equal(np.asarray(Image.open(path)) == 1, found.mask(label))
    paths = Writer(tmp_path, ["mask"])(finding(series, overlaps=BOTH))
    assert [path.name for path in paths] == ["scan.liver.nii.gz", "scan.odd_thing.nii.gz"]
    shapes = outlines(found)["labels"]
    assert len(shapes["liver"]) == 1 and len(shapes["odd thing"]) == 2


def test_segments_that_overlap_are_read_back_as_they_were_drawn(series: Path, tmp_path: Path) -> None:
    hd = pytest.importorskip("highdicom")
    found = finding(series, overlaps=BOTH)
    (path,) = Writer(tmp_path, ["dicom-seg"])(found)
    read = hd.seg.segread(path)
    assert [item.SegmentLabel for item in read.SegmentSequence] == ["liver", "odd thing"]
    uids = [str(header.SOPInstanceUID) for header in found.headers]
    planes = read.get_pixels_by_source_instance(uids, combine_segments=False)
    for number, label in enumerate(("liver", "odd thing")):
        assert np.array_equal(planes[..., number].transpose(2, 1, 0) > 0, found.mask(label))


def test_objects_are_outlined_by_themselves_and_written_with_their_numbers(series: Path, tmp_path: Path) -> None:
    for source, ending in ((np.zeros((20, 30), np.uint8), "png"), (series, "nii.gz")):
        found = finding(source)
        with pytest.raises(RecipeError, match="does not tell objects apart"):
            Writer(tmp_path, ["objects"])(found)
        mask = found.mask("liver")
        objects = mask.astype(np.int32)
        objects[4:] *= 2
        found = replace(found, drawn=replace(found.drawn, objects={"liver": objects}))
        lines = outlines(found)["labels"]["liver"]
        assert {line["object"] for line in lines} == {1, 2}
        layers = {number: [line for line in lines if line["object"] == number] for number in (1, 2)}
        whole = outlines(finding(source))["labels"]["liver"]
        ends = [np.concatenate([line["points"] for line in some]) for some in (*layers.values(), whole)]
        assert np.allclose(np.minimum(ends[0].min(0), ends[1].min(0)), ends[2].min(0), atol=0.01)
        assert np.allclose(np.maximum(ends[0].max(0), ends[1].max(0)), ends[2].max(0), atol=0.01)
        (path,) = Writer(tmp_path, ["objects"])(found)
        assert path.name == f"scan.objects.{ending}"
        read = np.asarray(Image.open(path)) if ending == "png" else np.asarray(nibabel.load(path).dataobj)
        assert np.array_equal(read, objects)
