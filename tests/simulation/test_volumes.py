from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from suwen.data.volumes import open_volume
from suwen.simulation.films import films_of
from suwen.simulation.hospital import simulate
from suwen.simulation.patients import draw_patients
from suwen.simulation.thorax import LABELS
from suwen.simulation.volumes import SCANNERS, is_scanned, scan_of
from suwen.simulation.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=2, patients=draw_patients(40, seed=2), scans=4)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hospital") / "h"
    return simulate(patients=40, seed=2, out=out, wards=["volumes"], scans=4, progress=False) / "volumes"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digest(folder: Path) -> str:
    found = hashlib.blake2b()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return found.hexdigest()


def test_the_same_seed_writes_the_same_bytes_and_a_larger_cohort_begins_with_the_smaller(
    ward: Path, tmp_path: Path
) -> None:
    again = simulate(patients=60, seed=2, out=tmp_path / "h", wards=["volumes"], scans=4, progress=False)
    assert digest(again / "volumes") == digest(ward)


def test_as_many_are_scanned_as_were_asked_for_and_everybody_with_a_nodule(ward: Path, world: World) -> None:
    scanned = [row["subject"] for row in rows(ward / "manifest.csv")]
    expected = [patient.subject_id for patient in world.patients if is_scanned(patient, world)][:4]
    assert scanned == expected
    assert all(is_scanned(patient, world) for patient in world.patients if patient.nodule)


def test_truth_is_what_the_masks_hold(ward: Path) -> None:
    for row in rows(ward.parent / "truth" / "volumes.csv"):
        mask = open_volume(ward / row["path"].replace("images", "masks"))
        counts = np.bincount(np.asarray(mask.stored).ravel().astype(int), minlength=len(LABELS)) * mask.grid.voxel
        for code, label in enumerate(LABELS):
            if code:
                assert np.isclose(counts[code], float(row[f"{label}_ml"]), rtol=1e-4, atol=1e-3)
        assert (counts[-1] > 0) == bool(row["size_mm"])


def test_series_and_nifti_are_one_scan_at_one_place(ward: Path) -> None:
    for row in rows(ward / "manifest.csv"):
        nifti, series = open_volume(ward / row["path"]), open_volume(ward / row["series"])
        values = [
            each.grid.along_the_body(np.concatenate([part for _, part in each.layers()], axis=2))
            for each in (nifti, series)
        ]
        assert (values[0] == values[1]).all()
        assert np.allclose(nifti.grid.body_spacing, series.grid.body_spacing, atol=1e-5)
        lowest = [
            (each.affine @ np.array([[i, j, k, 1] for i in (0, n) for j in (0, m) for k in (0, o)]).T)[:3].min(axis=1)
            for each in (nifti, series)
            for n, m, o in [tuple(side - 1 for side in each.shape)]
        ]
        assert np.allclose(lowest[0], lowest[1], atol=1e-4)


def test_organs_have_their_densities_and_the_nodule_lies_in_a_lung(world: World) -> None:
    for patient in [each for each in world.patients if each.nodule][:3]:
        scan = scan_of(patient, world)
        means = {label: np.median(scan.values[scan.labels == code]) for code, label in enumerate(LABELS)}
        assert means["lung"] < -700 and 20 < means["heart"] < 60 and 45 < means["liver"] < 75
        centre = np.argwhere(scan.labels == LABELS.index("nodule")).mean(axis=0)
        where = scan.affine @ [*centre, 1]
        film = next(iter(films_of(patient, world)))
        # the image's left is the patient's right
        assert (where[0] > 0) == (film.truth["side"] == "right")
        assert scan.density is not None and scan.size_mm is not None and 14 < scan.size_mm < 35


def test_sites_differ_in_their_voxels_and_axes(world: World) -> None:
    assert len({scanner.codes for scanner in SCANNERS.values()}) > 2
    assert len({scanner.spacing for scanner in SCANNERS.values()}) > 2
    assert {patient.site for patient in world.patients} == set(SCANNERS)
