"""Files that can be written of a drawn mask, one row each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from suwen.clinic.masks.finding import Finding
from suwen.clinic.masks.observation import observations
from suwen.clinic.masks.outlines import outlines
from suwen.clinic.masks.segmentation_object import write_segmentation
from suwen.core.errors import NameUnknown
from suwen.core.files import atomic_path, write_json
from suwen.data.nifti import write_mask

NIFTI = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Output:
    """One kind of file.

    Attributes:
        ending: of its name, by the number of dimensions of the mask.
        write: ``(path, finding)``.
        summary: for ``--help``.
    """

    ending: dict[int, str]
    write: Callable[[Path, Finding], None]
    summary: str


def _write_mask(path: Path, finding: Finding) -> None:
    if finding.drawn.codes.ndim == 3:
        write_mask(path, finding.values, finding.opened.content)
        return
    with atomic_path(path) as temporary:
        Image.fromarray(finding.values).save(temporary, "PNG")


def _write_uncertainty(path: Path, finding: Finding) -> None:
    doubt = finding.drawn.uncertainty
    assert doubt is not None
    if doubt.ndim == 3:
        write_mask(path, doubt, finding.opened.content)
        return
    with atomic_path(path) as temporary:
        Image.fromarray(doubt).save(temporary, "PNG")


OUTPUTS: dict[str, Output] = {
    "mask": Output(
        {2: ".png", 3: ".nii.gz"}, _write_mask, "values of the labels, at the input's size and place: PNG or NIfTI"
    ),
    "uncertainty": Output(
        {2: ".uncertainty.png", 3: ".uncertainty.nii.gz"},
        _write_uncertainty,
        "how unsure the model is of each pixel, 0 to 255: PNG or NIfTI",
    ),
    "contours": Output(
        {2: ".contours.json", 3: ".contours.json"},
        lambda path, finding: write_json(path, outlines(finding)),
        "outlines as polygons, in pixels or in mm of the patient",
    ),
    "dicom-seg": Output({3: ".seg.dcm"}, write_segmentation, "a DICOM segmentation of the series"),
    "fhir": Output(
        {2: ".fhir.json", 3: ".fhir.json"},
        lambda path, finding: write_json(path, observations(finding)),
        "sizes as FHIR R4 Observations",
    ),
}
"""Name → file."""


class Writer:
    """Writes what was asked for, each file named after its input.

    Args:
        folder: where to.
        names: rows of `OUTPUTS`.

    Attributes:
        uncertainty: whether findings must have it.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, names
        self.uncertainty = "uncertainty" in names
        self._taken: set[str] = set()

    def __call__(self, finding: Finding) -> list[Path]:
        """The files of one finding.

        Raises:
            NameUnknown: there is no such file for this kind of input.
        """
        dims, stem = finding.drawn.codes.ndim, self._stem(finding.sample.id)
        written = []
        for name in self.names:
            ending = OUTPUTS[name].ending.get(dims) if name in OUTPUTS else None
            if ending is None:
                known = [each for each, row in OUTPUTS.items() if dims in row.ending]
                raise NameUnknown("output", name, known, fix=f"--write {known[0]}")
            written.append(self.folder / f"{stem}{ending}")
            OUTPUTS[name].write(written[-1], finding)
        return written

    def _stem(self, id: str) -> str:
        """The name of an input without suffixes; with the folders it lies in where another input has that name too."""
        path = Path(id)
        name = next((path.name[: -len(end)] for end in NIFTI if path.name.lower().endswith(end)), path.stem)
        parts = [*(part for part in path.parts[:-1] if part not in ("/", "..", ".")), name.replace("#", "_") or "mask"]
        tried = ["_".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        numbered = (f"{tried[-1]}_{number}" for number in itertools.count(2))
        stem = next(each for each in itertools.chain(tried, numbered) if each not in self._taken)
        self._taken.add(stem)
        return stem
