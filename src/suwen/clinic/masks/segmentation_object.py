"""A mask as a DICOM segmentation (SEG) that names the very slices it was drawn on."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from suwen.clinic.masks.codes import code_of
from suwen.clinic.masks.finding import Finding
from suwen.core.errors import DataError, ExtraMissing
from suwen.core.files import atomic_path


def write_segmentation(path: Path, finding: Finding) -> None:
    """DICOM Segmentation Storage (PS3.3 A.51), binary, a segment a label that was drawn; segments may overlap.

    Raises:
        DataError: the input is no DICOM series, or nothing was drawn.
        ExtraMissing: highdicom is not installed.
    """
    try:
        import highdicom as hd
        from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
        from pydicom.sr.codedict import codes
    except ImportError as error:
        raise ExtraMissing("writing DICOM segmentations", "volume") from error
    headers = finding.headers
    if not headers:
        raise DataError(
            f"{finding.answer.input} is no DICOM series",
            why="a DICOM segmentation names the slices it was drawn on",
            fix="--write mask",
        )
    shown = [label for label in finding.labels[1:] if finding.mask(label).any()]
    if not shown:
        raise DataError(
            f"nothing was drawn on {finding.answer.input}",
            why="a segmentation without a segment cannot be written (PS3.3 C.8.20.2)",
            fix="--write mask, which writes an empty one",
        )
    algorithm = hd.AlgorithmIdentificationSequence(
        name=finding.answer.model, version=version("suwen"), family=codes.DCM.ArtificialIntelligence
    )
    segments = [
        SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=_concept(hd, label),
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(shown, start=1)
    ]
    made = Segmentation(
        source_images=headers,
        # (column, row, slice) → (slice, row, column, segment), as segments that overlap need it
        pixel_array=np.stack([finding.mask(label).transpose(2, 1, 0) for label in shown], axis=-1).astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=int(headers[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="suwen",
        manufacturer_model_name=finding.answer.model[:64],
        software_versions=version("suwen"),
        device_serial_number="0",
        series_description=f"suwen {finding.answer.task}"[:64],
    )
    with atomic_path(path) as temporary:
        made.save_as(temporary)


def _concept(hd: Any, label: str) -> Any:
    code = code_of(label)
    return hd.sr.CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)
