"""The ward of scans: a chest CT of some patients, as NIfTI with masks and as DICOM series, with the truth beside.

Who is scanned: everybody with a nodule, and one in three of the others, in the order of the cohort, up to the number
that was asked for. One row a site in `SCANNERS` says how it scans. All numbers are invented.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from scipy import ndimage

from suwen.core.files import write_json
from suwen.data.series import LPS_TO_RAS
from suwen.simulation.anatomy import draw_anatomy
from suwen.simulation.lesions import draw_nodule
from suwen.simulation.patients import OPENING, Patient, Stream, age_on, stream
from suwen.simulation.thorax import LABELS, build, draw_thorax
from suwen.simulation.world import World

MANIFEST = ("path", "mask", "series", "subject", "age", "sex", "site")
TRUTH = ("path", "subject", "nodule_ml", *(f"{label}_ml" for label in LABELS[1:-1]), "density", "size_mm")

EXTENT = (396.0, 300.0, 264.0)
"""Millimetres that are scanned along right, front and head."""

CONTROLS = 1 / 3
WATER = -1024
"""Intercept of the stored values, with slope 1: the smallest is air and less."""


@dataclass(frozen=True)
class CtScanner:
    """How one site scans.

    Attributes:
        spacing: millimetres between voxels along right, front and head.
        noise: Hounsfield units, standard deviation.
        blur: voxels, standard deviation of the reconstruction's kernel in the plane.
        codes: directions of the file's axes, as nibabel names them.
    """

    spacing: tuple[float, float, float]
    noise: float
    blur: float
    codes: str


SCANNERS: dict[str, CtScanner] = {
    "riverside": CtScanner((3.0, 3.0, 4.0), 22.0, 0.6, "LPS"),
    "lakeview": CtScanner((3.0, 3.0, 5.0), 30.0, 0.8, "RAS"),
    "qingshan": CtScanner((2.75, 2.75, 4.0), 26.0, 0.5, "LPS"),
    "donghu": CtScanner((3.3, 3.3, 4.0), 34.0, 0.8, "LAS"),
}


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan and all that is known of it.

    Attributes:
        values: int16 (X, Y, Z) Hounsfield units along right, front and head.
        labels: uint8 (X, Y, Z), numbers of `LABELS`.
        affine: float64 (4, 4) of both.
        codes: directions of the file's axes.
        density, size_mm: of the nodule; None without one.
    """

    patient: Patient
    values: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    codes: str
    density: float | None
    size_mm: float | None


def is_scanned(patient: Patient, world: World) -> bool:
    """Whether a subject has a scan."""
    return patient.nodule or bool(stream(world.seed, patient.number, Stream.SCAN).random() < CONTROLS)


def scan_of(patient: Patient, world: World) -> Scan:
    """The scan of one subject."""
    rng = stream(world.seed, patient.number, Stream.SCAN, 1)
    years = float(age_on(patient.birth, OPENING))
    anatomy = draw_anatomy(stream(world.seed, patient.number, Stream.ANATOMY), patient, years)
    nodule = draw_nodule(stream(world.seed, patient.number, Stream.NODULE))
    chest = draw_thorax(rng, patient, anatomy, nodule)
    scanner = SCANNERS[patient.site]
    counts = [round(extent / step) for extent, step in zip(EXTENT, scanner.spacing, strict=True)]
    shift = rng.normal(0, 6, 3).round(2)
    parts = zip(counts, scanner.spacing, shift, strict=True)
    lines = [(np.arange(n) - (n - 1) / 2) * step + off for n, step, off in parts]
    x, y, z = (line.astype(np.float32) for line in lines)
    values, labels = build(chest, (x[:, None, None], y[None, :, None], z[None, None, :]), min(scanner.spacing))
    noise = ndimage.gaussian_filter(rng.standard_normal(values.shape, np.float32), (scanner.blur, scanner.blur, 0))
    smooth = ndimage.gaussian_filter(values, (scanner.blur, scanner.blur, 0))
    noisy = smooth + noise * (scanner.noise / noise.std())
    affine = np.diag([*scanner.spacing, 1.0])
    affine[:3, 3] = [line[0] for line in lines]
    return Scan(
        patient=patient,
        values=np.clip(np.rint(noisy), -1024, 3071).astype(np.int16),
        labels=labels,
        affine=affine,
        codes=scanner.codes,
        density=None if chest.nodule is None else chest.nodule[2],
        size_mm=None if chest.nodule is None else float(2 * chest.nodule[1].max()),
    )


def volumes_ward(world: World, hospital: Path) -> Iterator[None]:
    """Write `volumes/` and `truth/volumes.csv` into `hospital`; yields after each patient."""
    folder = hospital / "volumes"
    for part in ("images", "masks", "series"):
        (folder / part).mkdir(parents=True)
    write_json(folder / "labels.json", {label: code for code, label in enumerate(LABELS)})
    done = 0
    with (
        (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as manifest_file,
        (hospital / "truth" / "volumes.csv").open("w", encoding="utf-8", newline="") as truth_file,
    ):
        manifest = csv.DictWriter(manifest_file, MANIFEST, lineterminator="\n")
        truth = csv.DictWriter(truth_file, TRUTH, lineterminator="\n")
        manifest.writeheader()
        truth.writeheader()
        for patient in world.patients:
            if done < world.scans and is_scanned(patient, world):
                scan = scan_of(patient, world)
                row = _write(scan, folder)
                manifest.writerow(row)
                truth.writerow(_truth(scan, row))
                done += 1
            yield


def _write(scan: Scan, folder: Path) -> dict[str, str | int]:
    patient = scan.patient
    name = patient.subject_id
    for part, array in (("images", scan.values), ("masks", scan.labels)):
        image = nibabel.Nifti1Image(array, scan.affine)
        image.set_sform(scan.affine, code=1)
        image.set_qform(scan.affine, code=1)
        image.header.set_xyzt_units("mm")
        turned = image.as_reoriented(
            nibabel.orientations.ornt_transform(
                nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(scan.codes)
            )
        )
        nibabel.save(turned, folder / part / f"{name}.nii.gz")
    write_series(scan, folder / "series" / name)
    return {
        "path": f"images/{name}.nii.gz",
        "mask": f"masks/{name}.nii.gz",
        "series": f"series/{name}",
        "subject": name,
        "age": age_on(patient.birth, OPENING),
        "sex": patient.sex,
        "site": patient.site,
    }


def write_series(scan: Scan, folder: Path) -> None:
    """The scan as CT Image Storage (PS3.3 A.3), one file a slice. Their names are in no order, as a scanner's are."""
    folder.mkdir(parents=True)
    patient = scan.patient
    ras = scan.affine
    study, series, frame = (_uid(patient.subject_id, part) for part in ("study", "series", "frame"))
    # rows run to the back, columns to the left, slices to the head
    voxels = scan.values[::-1, ::-1, :]
    last = np.array([*np.array(scan.values.shape[:2]) - 1, 0, 1])
    corner = LPS_TO_RAS @ ras @ last
    for number in range(voxels.shape[2]):
        position = corner[:3] + np.array([0.0, 0.0, ras[2, 2] * number])
        instance = _uid(patient.subject_id, "slice", number)
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = instance
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.PatientID, dataset.PatientName = patient.subject_id, f"Simulated^{patient.subject_id}"
        dataset.PatientSex = patient.sex
        dataset.PatientBirthDate = patient.birth.strftime("%Y%m%d")
        dataset.PatientAge = f"{age_on(patient.birth, OPENING):03d}Y"
        dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = OPENING.strftime("%Y%m%d")
        dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "080000"
        dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
        dataset.Modality, dataset.Manufacturer = "CT", "suwen simulate"
        dataset.SeriesNumber, dataset.InstanceNumber, dataset.AcquisitionNumber = 1, number + 1, 1
        dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        dataset.PatientPosition, dataset.PositionReferenceIndicator = "HFS", ""
        dataset.ImagePositionPatient = [_decimal(each) for each in position]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [_decimal(ras[1, 1]), _decimal(ras[0, 0])]
        dataset.SliceThickness = _decimal(ras[2, 2])
        dataset.KVP, dataset.RescaleType = "120", "HU"
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Rows, dataset.Columns = voxels.shape[1], voxels.shape[0]
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, WATER
        dataset.WindowCenter, dataset.WindowWidth = -400, 1500
        dataset.PixelData = (voxels[:, :, number].T.astype(np.int32) - WATER).astype(np.uint16).tobytes()
        dataset.save_as(folder / f"{instance[-12:]}.dcm", enforce_file_format=True)


def _decimal(value: float) -> str:
    """A number as DS writes it, in at most 16 characters (PS3.5, table 6.2-1)."""
    return f"{round(float(value), 6):g}" if abs(value) < 1e6 else f"{value:.8g}"


def _uid(*parts: object) -> UID:
    """A UID from what it is of, so that the same world has the same ones (PS3.5 B.2: UUID-derived)."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return UID(f"2.25.{int.from_bytes(digest, 'big')}")


def _truth(scan: Scan, row: dict[str, str | int]) -> dict[str, str | int]:
    ml = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
    counts = np.bincount(scan.labels.ravel(), minlength=len(LABELS)) * ml
    found: dict[str, str | int] = {f"{label}_ml": f"{counts[code]:.6g}" for code, label in enumerate(LABELS) if code}
    known = {"density": scan.density, "size_mm": scan.size_mm}
    shown = {name: "" if value is None else f"{value:.6g}" for name, value in known.items()}
    return {"path": row["path"], "subject": row["subject"]} | found | shown
